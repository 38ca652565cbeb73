package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func scanned(data string) (map[string]string, error) {
	got := map[string]string{}
	err := ScanObject([]byte(data), func(k, v []byte) { got[string(k)] = string(v) })
	return got, err
}

func TestScanObject_TopLevelKeys(t *testing.T) {
	got, err := scanned(` {"a" : 1, "\u0062\ud83d\ude00" :{"c":[true,false,null,-0.5e+7]},"":"x\"y","é":[ ] } `)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "1", "b😀": `{"c":[true,false,null,-0.5e+7]}`, "": `"x\"y"`, "é": "[ ]"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestScanObjectRefuses(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"byte order mark", "\ufeff{}", "byte order mark"},
		{"not UTF-8", "{\"a\":\"\xff\"}", "UTF-8"},
		{"overlong UTF-8", "{\"a\":\"\xc0\xae\"}", "UTF-8"},
		{"array", "[1]", "object"},
		{"empty", "", "object"},
		{"word", "null", "object"},
		{"two documents", "{}{}", "text after"},
		{"NUL at the end", "{}\x00", "text after"},
		{"trailing comma", `{"a":1,}`, "key"},
		{"trailing comma in array", `{"a":[1,]}`, "value"},
		{"comment", `{/**/"a":1}`, "key"},
		{"single quotes", `{'a':1}`, "key"},
		{"bare key", `{a:1}`, "key"},
		{"NaN", `{"a":NaN}`, "value"},
		{"leading zero", `{"a":01}`, "comma"},
		{"plus sign", `{"a":+1}`, "value"},
		{"hex", `{"a":0x1}`, "comma"},
		{"minus without a digit", `{"a":-}`, "digit"},
		{"point without a digit", `{"a":1.}`, "digit"},
		{"exponent without a digit", `{"a":1e+}`, "digit"},
		{"objects too deep", strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), "deeper"},
		{"control character", "{\"a\":\"\n\"}", "control"},
		{"bad escape", `{"a":"\x41"}`, "escape"},
		{"short escape", `{"a":"\u00"}`, "hexadecimal"},
		{"cut off", `{"a":"`, "too early"},
		{"twice", `{"a":1,"b":2,"a":3}`, "twice"},
		{"twice after decoding", `{"id":1,"\u0069d":2}`, "twice"},
		{"twice further down", `{"a":[{"b":{"c":1,"c":2}}]}`, "twice"},
		{"twice among many", `{` + manyMembers(40) + `,"k3":1}`, "twice"},
		{"too deep", `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, "deeper"},
		{"bottomless", `{"a":` + strings.Repeat("[", 100000), "deeper"},
		{"prototype", `{"a":{"__proto__":{}}}`, "prototype"},
		{"escaped prototype", `{"_\u005fproto__":1}`, "prototype"},
		{"constructor", `{"constructor":{"prototype":{}}}`, "prototype"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := scanned(c.data)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
		})
	}
}

func manyMembers(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, `"k`+string(rune('0'+i%10))+strings.Repeat("x", i/10)+`":1`)
	}
	return strings.Join(parts, ",")
}

func TestScanObject_Allowed(t *testing.T) {
	for _, data := range []string{
		`{}`, `{"a":{"b":1},"c":{"b":1}}`, `{"a":"constructor"}`, `{"constructor":"a word"}`, `{` + manyMembers(40) +
			`}`,
		`{"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`,
		strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64), `{"\u00aA":0}`,
	} {
		if _, err := scanned(data); err != nil {
			t.Errorf("%.40s: %v", data, err)
		}
	}
}

// FuzzScanObject holds scanObject against encoding/json: what it takes is valid JSON with the same
// keys and values, and what it refuses is either not valid or one of the things that it promises to
// refuse.
func FuzzScanObject(f *testing.F) {
	for _, s := range []string{
		`{"a":1,"b":[{"c":"\u00e9\ud83d\ude00"}]}`, `{"a":1,"a":2}`, `[1]`, `{"x":-0.1e-9,"y":null}`, "\ufeff{}",
		`{"\ud800":1,"\udfff":2}`, `{"__proto__":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := map[string][]byte{}
		err := ScanObject(data, func(k, v []byte) { got[string(k)] = bytes.Clone(v) })
		if err != nil {
			if promised := errors.Is(err, errBOM) || errors.Is(err, errUTF8) || errors.Is(err, errDepth) ||
				errors.Is(err, errNotObject) ||
				errors.Is(err, errPrototype) || strings.Contains(err.Error(), "twice"); !promised &&
				json.Valid(data) {
				t.Fatalf("valid JSON is refused: %v", err)
			}
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("what encoding/json does not take is taken: %v", err)
		}
		if len(want) != len(got) {
			t.Fatalf("%d keys, want %d", len(got), len(want))
		}
		for k, v := range want {
			if !bytes.Equal(v, got[k]) {
				t.Fatalf("key %q: %s, want %s", k, got[k], v)
			}
		}
		if err := repeatedKey(json.NewDecoder(bytes.NewReader(data))); err != nil {
			t.Fatalf("a repeated key is taken: %v", err)
		}
	})
}

// repeatedKey walks a document with encoding/json's own tokens.
func repeatedKey(d *json.Decoder) error {
	token, err := d.Token()
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return err
	}
	delim, _ := token.(json.Delim)
	seen := map[string]bool{}
	for delim != 0 && d.More() {
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			if seen[key.(string)] {
				return errors.New(key.(string))
			}
			seen[key.(string)] = true
		}
		if err := repeatedKey(d); err != nil {
			return err
		}
	}
	if delim != 0 {
		_, err = d.Token()
	}
	return err
}

func TestUnescape_TakesOneLevel(t *testing.T) {
	for in, want := range map[string]string{
		`a\"b`:         `a"b`,
		`\\u0041`:      `\u0041`,
		`\u0041\n`:     "A\n",
		`\b\f\r\t\/`:   "\b\f\r\t/",
		`\q`:           "q",
		`\uZZZZ`:       "uZZZZ",
		`\u00`:         "u00",
		`x\`:           "x",
		`\ud83d\ude00`: "\ufffd\ufffd",
	} {
		if diff := cmp.Diff(want, string(Unescape([]byte(in)))); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
}

func TestClip_KeepsSixtyFourBytes(t *testing.T) {
	for n, want := range map[int]int{0: 0, 63: 63, 64: 64, 65: 64, 1000: 64} {
		if got := len(Clip(strings.Repeat("a", n))); got != want {
			t.Errorf("of %d bytes %d are kept, want %d", n, got, want)
		}
	}
}
