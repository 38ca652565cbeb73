package guards

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"
	"unicode/utf8"

	"sluice/internal/guard"
)

// judged is the rule for a body, with everything from memory.
func judged(g *Guard, b *langflow, body any) string {
	return ruleOf(check(context.Background(), g, b.request(body, "code")))
}

// TestProperty_AnyChange changes single bytes of code at random, in components anywhere in the
// flow.
func TestProperty_AnyChange(t *testing.T) {
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
		bodies := []any{
			flow,
			map[string]any{"data": flow["data"]},
			map[string]any{"flows": []any{flow, flow}},
			escapeAll(marshal(flow)),
		}
		if got := judged(g, b, bodies[rnd.IntN(len(bodies))]); got != "guard.code" {
			t.Fatalf("a change at byte %d is allowed: rule %q\n%s", at, got, source)
		}
	}
}

// TestProperty_OrderAndBlanks: the order of members and the blanks of a body do not change the
// verdict.
func TestProperty_OrderAndBlanks(t *testing.T) {
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
	b.store(flowID, stored)
	for range 10 {
		if got := judged(g, b, shuffled(rnd, stored)); got != "" {
			t.Errorf("the stored flow in another order: rule %q", got)
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

// FuzzCode: no body makes the guard fail, and no body with a foreign text in a field of type "code"
// is allowed, in any context.
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
		_ = check(t.Context(), g, r)
		v, err := guard.Parse(data)
		if err != nil || v.Kind != guard.Object {
			return
		}
		wrapped := []byte(`{"data":{"nodes":[{"id":"n","data":{"type":"X","node":{"template":{"code":` +
			`{"type":"code","value":"foreign"}},"rest":` + string(data) + `}}}]}}`)
		if got := judged(g, b, wrapped); got == "" {
			t.Fatalf("foreign code next to %q is allowed", data)
		}
	})
}
