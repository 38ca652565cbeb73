package guard

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzParse: what parse takes, encoding/json takes too, and reads the same texts in it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,"x\u00e9",{"b":null}],"c":true}`,
		`[]`,
		`"x"`,
		`1e5`,
		`{"a":1,"a":2}`,
		`{"\ud83d\ude00":"\ud800"}`,
		` {"a" : -0.5 } `,
		"nul",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		if err != nil {
			return
		}
		var want any
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("%q is taken, and is no JSON: %v", data, err)
		}
		if d := cmp.Diff(want, plain(&v)); d != "" {
			t.Fatalf("%q: %s", data, d)
		}
	})
}

// plain is a value as encoding/json gives it.
func plain(v *Value) any {
	switch v.Kind {
	case Object:
		out := map[string]any{}
		for i := range v.Kids {
			out[string(v.Kids[i].Key)] = plain(&v.Kids[i])
		}
		return out
	case Array:
		out := []any{}
		for i := range v.Kids {
			out = append(out, plain(&v.Kids[i]))
		}
		return out
	case Text:
		return v.Text()
	case Number:
		return json.Number(v.Raw)
	}
	var word any
	_ = json.Unmarshal(v.Raw, &word)
	return word
}

func TestParse(t *testing.T) {
	deep := func(open, inner, end string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for name, c := range map[string]struct{ data, says string }{ // says: what the error says, "" for none
		"an array":               {` [ 1 , "x" , [ ] , { } , null ] `, ""},
		"an object":              {` { "a" : { "b" : [ true , -0.5e3 ] } , "c" : "" } `, ""},
		"a text":                 {`"x"`, ""},
		"arrays as deep":         {deep("[", "", "]", 64), ""},
		"arrays too deep":        {deep("[", "", "]", 65), "deeper"},
		"objects as deep":        {deep(`{"a":`, "1", "}", 64), ""},
		"objects too deep":       {deep(`{"a":`, "1", "}", 65), "deeper"},
		"two documents":          {`[][]`, "text after"},
		"a key twice":            {`{"a":1,"\u0061":2}`, "twice"},
		"an array that is open":  {`[1}`, "the end of the array"},
		"an object that is open": {`{"a":1]`, "the end of the object"},
		"a byte order mark":      {"\ufeff[]", "byte order mark"},
		"no UTF-8":               {"\"\xff\"", "UTF-8"},
	} {
		v, err := Parse([]byte(c.data))
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want an error that says %q", name, err, c.says)
			}
			continue
		}
		var want any
		dec := json.NewDecoder(strings.NewReader(c.data))
		dec.UseNumber()
		if jsonErr := dec.Decode(&want); err != nil || jsonErr != nil {
			t.Errorf("%s: %v, %v", name, err, jsonErr)
			continue
		}
		got, err := json.Marshal(plain(&v))
		if expected, jsonErr := json.Marshal(want); err != nil || jsonErr != nil || !bytes.Equal(got, expected) {
			t.Errorf("%s: %.200s, want %.200s (%v, %v)", name, got, expected, err, jsonErr)
		}
	}
}

func TestParse_BoundsTheValues(t *testing.T) {
	list := []byte("[1" + strings.Repeat(",1", MaxValues-2) + "]")
	if v, err := Parse(list); err != nil || len(v.Kids) != MaxValues-1 {
		t.Errorf("a list that is as long as it may be has %d values, %v", len(v.Kids), err)
	}
	_, err := Parse(append(list[:len(list)-1], ",1]"...))
	if err == nil || !strings.Contains(err.Error(), "400000 values") {
		t.Errorf("a list with one value more: %v", err)
	}
}

func TestValue_Members(t *testing.T) {
	v, err := Parse([]byte(`{"a":{"b":"x\n\"\\\/\b\f\r\t\u00e9"},"Key":1,"kEy2":2,"list":[{"a":1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := v.In("a", "b").Text(); got != "x\n\"\\/\b\f\r\té" {
		t.Errorf("a text inside: %q", got)
	}
	for name, missing := range map[string]*Value{
		"another key":       v.At("b"),
		"another case":      v.At("key"),
		"of a list":         v.In("list", "a"),
		"of a text":         v.In("a", "b", "x"),
		"another, folded":   Folded(&v, "keys"),
		"of a list, folded": Folded(v.At("list"), "a"),
	} {
		if missing.Kind != 0 || missing.Text() != "" || !missing.Empty() {
			t.Errorf("%s: %+v", name, missing)
		}
	}
	for key, want := range map[string]string{"KEY": "1", "key2": "2", "Key": "1"} {
		if got := string(Folded(&v, key).Raw); got != want {
			t.Errorf("%s in any case: %q, want %s", key, got, want)
		}
	}
}

func TestEmpty_IsWhatPythonTakesForNothing(t *testing.T) {
	for data, want := range map[string]bool{
		`""`: true, `{}`: true, `[]`: true, `null`: true, `false`: true, `0`: true,
		`" "`: false, `{"a":0}`: false, `[0]`: false, `true`: false, `1`: false,
	} {
		v, err := Parse([]byte(data))
		if err != nil || v.Empty() != want {
			t.Errorf("%s: %v, %v", data, v.Empty(), err)
		}
	}
}
