package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"os"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// judged is the rule for a body, with everything from memory.
func judged(g *Guard, b *langflow, body any) string {
	return ruleOf(g.Check(context.Background(), b.request(body, "code")))
}

// TestAnyChangeOfCodeIsNoticed changes single bytes of code at random, in components that stand anywhere.
func TestAnyChangeOfCodeIsNoticed(t *testing.T) {
	const seed = 20261122
	rnd := rand.New(rand.NewPCG(seed, 1))
	b := newLangflow(t, "new")
	g := &Guard{}
	names := []string{"ChatInput", "ChatOutput", "TextInput", "File", "LoopComponent", "MCPTools"}
	for range 400 {
		n := b.node(names[rnd.IntN(len(names))])
		code := field(n, "code")
		source := []byte(code["value"].(string))
		at := rnd.IntN(len(source))
		switch rnd.IntN(3) {
		case 0:
			source[at] ^= byte(1 + rnd.IntN(127))
		case 1:
			source = append(source[:at:at], source[at+1:]...)
		default:
			source = append(source[:at:at], append([]byte{byte(' ' + rnd.IntN(95))}, source[at:]...)...)
		}
		if !utf8.Valid(source) || string(source) == code["value"] {
			continue
		}
		code["value"] = string(source)
		nested := n
		for range rnd.IntN(5) {
			nested = group(map[string]any{}, b.node("TextInput"), nested)
		}
		flow := flowOf(b.node("ChatInput"), nested)
		bodies := []any{flow, map[string]any{"data": flow["data"]}, map[string]any{"flows": []any{flow, flow}}, escapeAll(marshal(flow))}
		if got := judged(g, b, bodies[rnd.IntN(len(bodies))]); got != "guard.code" {
			t.Fatalf("a change at byte %d passes: rule %q\n%s", at, got, source)
		}
	}
}

// TestOrderAndBlanksDoNotCount: the same body in any order of members and with any blanks is judged alike.
func TestOrderAndBlanksDoNotCount(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	b := newLangflow(t, "old")
	g := &Guard{}
	for _, a := range attacks {
		flow := flowOf(b.node("ChatInput"))
		a.change(b, flow)
		for range 3 {
			if got := judged(g, b, shuffled(rnd, flow)); got != "guard.code" {
				t.Errorf("%s: rule %q", a.name, got)
			}
		}
	}
	stored := flowOf(b.node("PythonREPLComponent"), b.node("ChatInput"))
	b.flows[flowID] = stored
	for range 10 {
		if got := judged(g, b, shuffled(rnd, stored)); got != "" {
			t.Errorf("what is stored, in another order: rule %q", got)
		}
	}
}

// shuffled writes a value with its members in any order and with blanks between.
func shuffled(rnd *rand.Rand, v any) []byte {
	blank := func() []byte { return bytes.Repeat([]byte(" \n"), rnd.IntN(2)) }
	var out bytes.Buffer
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		rnd.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		out.WriteByte('{')
		for i, k := range keys {
			if i > 0 {
				out.WriteByte(',')
			}
			out.Write(blank())
			out.Write(marshal(any(json.RawMessage(quoted(k)))))
			out.Write(append(blank(), ':'))
			out.Write(shuffled(rnd, v[k]))
		}
		out.WriteByte('}')
	case []any:
		out.WriteByte('[')
		for i, kid := range v {
			if i > 0 {
				out.WriteByte(',')
			}
			out.Write(shuffled(rnd, kid))
			out.Write(blank())
		}
		out.WriteByte(']')
	default:
		data, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return data
	}
	return out.Bytes()
}

func quoted(s string) []byte {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return data
}

// FuzzParse: what parse takes, encoding/json takes too, and reads the same texts in it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x\u00e9",{"b":null}],"c":true}`, `[]`, `"x"`, `1e5`, `{"a":1,"a":2}`, `{"\ud83d\ude00":"\ud800"}`, ` {"a" : -0.5 } `, "nul"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := parse(data)
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
func plain(v *value) any {
	switch v.kind {
	case object:
		out := map[string]any{}
		for i := range v.kids {
			out[string(v.kids[i].key)] = plain(&v.kids[i])
		}
		return out
	case array:
		out := []any{}
		for i := range v.kids {
			out = append(out, plain(&v.kids[i]))
		}
		return out
	case text:
		return v.string()
	case number:
		return json.Number(v.raw)
	}
	var word any
	_ = json.Unmarshal(v.raw, &word)
	return word
}

// FuzzCode: no body makes the guard fail, and none with a foreign text in a field of type "code" passes, whatever is around it.
func FuzzCode(f *testing.F) {
	b := newLangflow(f, "new")
	g := &Guard{}
	for _, a := range attacks {
		flow := flowOf(b.node("ChatInput"))
		a.change(b, flow)
		f.Add(marshal(flow))
	}
	examples, err := os.ReadFile("testdata/examples-old.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(examples)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := b.request(data, "code")
		r.Flow = ""
		_ = g.Check(t.Context(), r)
		v, err := parse(data)
		if err != nil || v.kind != object {
			return
		}
		wrapped := []byte(`{"data":{"nodes":[{"id":"n","data":{"type":"X","node":{"template":{"code":{"type":"code","value":"foreign"}},"rest":` + string(data) + `}}}]}}`)
		if got := judged(g, b, wrapped); got == "" {
			t.Fatalf("foreign code passes beside %q", data)
		}
	})
}

// FuzzForm: what parts takes, mime/multipart reads as the same parts.
func FuzzForm(f *testing.F) {
	f.Add(formOf("a.txt", []byte("x")))
	f.Add([]byte(disposition(`Content-Disposition: form-data; name="file"; filename="a.txt"; filename*=UTF-8''b`)))
	f.Add([]byte("--sluicebound\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--sluicebound\r\ncontent-disposition: form-data; name=\"b\"; filename*=utf-8''x%20y\r\n\r\n\r\n--sluicebound\r\n\r\n--sluicebound--"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parts(data, "sluicebound")
		if err != nil {
			return
		}
		r := multipart.NewReader(bytes.NewReader(data), "sluicebound")
		for i, p := range list {
			got, err := r.NextRawPart()
			if err != nil {
				t.Fatalf("part %d of %q: %v", i, data, err)
			}
			content, err := io.ReadAll(got)
			if err != nil || !bytes.Equal(content, p.data) || got.FormName() != p.name {
				t.Fatalf("part %d of %q: %q %q (%v), want %q %q", i, data, got.FormName(), content, err, p.name, p.data)
			}
		}
		if _, err := r.NextRawPart(); err != io.EOF {
			t.Fatalf("%q has more parts than %d: %v", data, len(list), err)
		}
	})
}

// FuzzName: a name that is taken stays one segment below a folder, however often it is decoded.
func FuzzName(f *testing.F) {
	for _, s := range []string{"a.txt", "..%2f", "%252e", "．", "_mcp", "a b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if badName(name) != "" {
			return
		}
		for range 3 {
			if bytes.ContainsAny([]byte(name), "/\\\x00\r\n") || name == "." || name == ".." || name == "" || name[0] == '.' {
				t.Fatalf("%q is taken", name)
			}
			name = unescapePercent(name)
		}
	})
}
