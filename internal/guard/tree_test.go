package guard

import (
	"bytes"
	"encoding/json"
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
