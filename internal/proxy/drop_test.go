package proxy

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/guard"
	"sluice/internal/objects"
)

// fieldsOf takes a body apart like inspect.
func fieldsOf(data []byte) (body, error) {
	b := body{held: true, data: data, fields: []field{}}
	err := guard.ScanObject(data, func(k, v []byte) { b.fields = append(b.fields, field{k, v}) })
	return b, err
}

func FuzzDrop(f *testing.F) {
	for _, s := range []string{`{}`, `{"data":1}`, `{"data":{"a":[1,{"data":2}]},"x":"data"}`, " { \"x\" :\t1 , " +
		"\"d\\u0061ta\" : null , \"y\":[ ] }\n", `{"a":1,"data":"}","b":","}`, `{"data":"\"","data2":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := fieldsOf(data)
		if err != nil || len(b.fields) == 0 {
			return
		}
		var want, got map[string]json.RawMessage
		if json.Unmarshal(data, &want) != nil {
			return
		}
		delete(want, "data")
		held, n := 0, 0
		for _, fl := range b.fields {
			n++
			if string(fl.key) == "data" {
				held++
			}
		}
		b = b.without([]string{"data"})
		if err := json.Unmarshal(b.data, &got); err != nil {
			t.Fatalf("%q became %q: %v", data, b.data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q became %q:\n%s", data, b.data, diff)
		}
		if len(b.fields) != n-held || held == 0 && !bytes.Equal(b.data, data) {
			t.Errorf("%q became %q with %d of %d members", data, b.data, len(b.fields), n)
		}
		again, err := fieldsOf(b.data)
		if err != nil {
			t.Fatal(err)
		}
		for i := range again.fields {
			if !bytes.Equal(again.fields[i].key, b.fields[i].key) ||
				!bytes.Equal(again.fields[i].value, b.fields[i].value) {
				t.Errorf(
					"member %d is %q: %q, in the body %q: %q",
					i,
					b.fields[i].key,
					b.fields[i].value,
					again.fields[i].key,
					again.fields[i].value,
				)
			}
		}
	})
}

func TestDrop_KeysOfBody(t *testing.T) {
	t.Parallel()
	b, err := fieldsOf(
		[]byte(
			`{"a":"x","inputs":{"session":"s","deep":{"session":"no"}},"a.b":"dotted","list":["1","2"],"n":null,"o":{"a":1}}`,
		),
	)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"a": `"x"`, "inputs.session": `"s"`, "a.b": `"dotted"`, "inputs.none": "",
		"none.a": "", "n": "null", "o.a": "1", ".a": "", ".": ""} {
		if got := string(b.valueAt(key)); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if list, err := b.textsAt("list"); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := b.textsAt("o"); err == nil {
		t.Error("an object is taken for an id")
	}
	if _, err := b.textsAt("o.a"); err == nil {
		t.Error("a number is taken for an id")
	}
}

func TestDrop_PythonUUIDs(t *testing.T) {
	t.Parallel()
	const id = "0a1b2c3d-4e5f-4a6b-8c7d-8e9f0a1b2c3d"
	for text, want := range map[string]string{
		id: id, "0A1B2C3D-4E5F-4A6B-8C7D-8E9F0A1B2C3D": id, "0a1b2c3d4e5f4a6b8c7d8e9f0a1b2c3d": id, "urn:uuid:" +
			id: id, "{" + id + "}": id,
		"0a1b-2c3d4e5f4a6b8c7d8e9f0a1b2c-3d": id, "uuid:" +
			id: id, "name": "", "0a1b2c3d4e5f4a6b8c7d8e9f0a1b2c3": "", id + "0": "", "": "",
	} {
		if got, ok := objects.ReadUUID(text); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
}

func FuzzWithScript(f *testing.F) {
	for _, s := range []string{"<html><head></head>", "<HEAD a='>'>", "<head", "<header><head >", "", "<!-- <head> " +
		"--><head>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		got := withScript(page)
		if !bytes.Equal(got, page) && !bytes.Equal(bytes.Replace(got, pageScriptTag, nil, 1), page) &&
			!bytes.Contains(page, pageScriptTag) {
			t.Errorf("%q became %q", page, got)
		}
	})
}

func FuzzOpenList(f *testing.F) {
	for _, s := range []string{`[]`, `[{"id":"x"}]`, `{"data":[1],"total":1}`,
		`{"items":[],"total":0,"pages":0,"size":1}`, `{"flows":{"items":[{}]},"folder":{}}`, `{"flows":null}`,
		`{"data":{}}`, `null`, `{`} {
		f.Add([]byte(s), "items")
		f.Add([]byte(s), "flows")
		f.Add([]byte(s), "")
	}
	f.Fuzz(func(t *testing.T, body []byte, at string) {
		l, ok := objects.OpenList(body, at)
		if !ok {
			return
		}
		l.Number("total")
		if out := l.With(nil); !json.Valid(out) ||
			bytes.Contains(out, []byte("secret-marker")) && !bytes.Contains(body, []byte("secret-marker")) {
			t.Errorf("%q became %q", body, out)
		}
	})
}
