package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/problem"
)

const flowID = "22222222-2222-4222-8222-22222222aaaa"

// langflow is an instance of Langflow as far as the guard asks it, on a real listener.
type langflow struct {
	*httptest.Server
	release string

	mu     sync.Mutex
	flows  map[string]any // id -> flow
	broken int            // status of all answers; 0: they are good
	calls  map[string]int
	extra  map[string]any // components added to the catalogue

	all map[string]map[string]any
}

func newLangflow(t testing.TB, release string) *langflow {
	t.Helper()
	b := &langflow{release: release, flows: map[string]any{}, calls: map[string]int{}, extra: map[string]any{}, all: fixture[map[string]map[string]any]("all-" + release)}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *langflow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls[r.URL.Path]++
	if b.broken != 0 {
		w.WriteHeader(b.broken)
		return
	}
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	id, one := strings.CutPrefix(r.URL.Path, "/api/v1/flows/")
	switch {
	case r.URL.Path == "/api/v1/all":
		b.all["added"] = b.extra
		answer(b.all)
	case r.URL.Path == "/api/v1/flows/basic_examples/":
		answer(fixture[[]any]("examples-" + b.release))
	case r.URL.Path == "/api/v1/flows/":
		answer(slices.Collect(maps.Values(b.flows)))
	case one && b.flows[id] != nil:
		answer(b.flows[id])
	default: // starter projects too: 1.6 has none without its optional packages
		w.WriteHeader(http.StatusNotFound)
	}
}

func fixture[T any](name string) T {
	var v T
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		panic(err)
	}
	return v
}

// component is a fresh one from the catalogue.
func (b *langflow) component(name string) map[string]any {
	for _, category := range b.all {
		if c, ok := category[name].(map[string]any); ok && c["template"] != nil {
			return deepCopy(c)
		}
	}
	panic("no component " + name)
}

// node is a component as the pages put it into a flow.
func (b *langflow) node(name string) map[string]any {
	return nodeOf(name, b.component(name))
}

func nodeOf(name string, component map[string]any) map[string]any {
	id := name + "-abc12"
	return map[string]any{"id": id, "type": "genericNode", "position": map[string]any{"x": 1, "y": 2}, "data": map[string]any{"id": id, "type": name, "node": component}}
}

func flowOf(nodes ...any) map[string]any {
	return map[string]any{"name": "f", "data": map[string]any{"nodes": nodes, "edges": []any{}, "viewport": map[string]any{"x": 0, "y": 0, "zoom": 1}}}
}

// dig finds a member by keys and indexes.
func dig(v any, path ...any) any {
	for _, p := range path {
		switch k := p.(type) {
		case string:
			v = v.(map[string]any)[k]
		case int:
			v = v.([]any)[k]
		}
	}
	return v
}

// set changes a member.
func set(v any, to any, path ...any) {
	dig(v, path[:len(path)-1]...).(map[string]any)[path[len(path)-1].(string)] = to
}

func templateOf(node any) map[string]any {
	return dig(node, "data", "node", "template").(map[string]any)
}

func field(node any, name string) map[string]any {
	return templateOf(node)[name].(map[string]any)
}

func deepCopy[T any](v T) T {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out T
	if err := json.Unmarshal(data, &out); err != nil {
		panic(err)
	}
	return out
}

func marshal(v any) []byte {
	if raw, ok := v.([]byte); ok {
		return raw
	}
	if s, ok := v.(string); ok {
		return []byte(s)
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// request is one to the builder, by somebody who has no rights but to change flows.
func (b *langflow) request(body any, guards ...string) *Request {
	return &Request{
		Guards: guards, App: "app", AppName: "Langflow", Version: b.release, Flow: flowID, Account: "acc", ContentType: "application/json", Body: marshal(body),
		MayCode: func() bool { return false }, MayServe: func() bool { return false },
		Get: func(ctx context.Context, path string, limit int64) (int, []byte, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.URL+path, http.NoBody)
			if err != nil {
				return 0, nil, err
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return 0, nil, err
			}
			defer res.Body.Close()
			data, err := io.ReadAll(io.LimitReader(res.Body, limit))
			return res.StatusCode, data, err
		},
	}
}

// capable makes it a request of somebody who may bring code.
func (r *Request) capable() *Request {
	r.MayCode, r.MayServe = func() bool { return true }, func() bool { return true }
	return r
}

// ruleOf is the rule that refused, or "" for none.
func ruleOf(err error) string {
	if err == nil {
		return ""
	}
	p := problem.Of(err)
	if p.Next == "" && p.Kind == problem.Denied {
		return "a denial without a next step"
	}
	return p.Rule
}

// form is a multipart body with one file.
func formOf(name string, data []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "--sluicebound\r\nContent-Disposition: form-data; name=\"file\"; filename=%q\r\nContent-Type: application/octet-stream\r\n\r\n%s\r\n--sluicebound--\r\n", name, data)
	return b.Bytes()
}

const formType = "multipart/form-data; boundary=sluicebound"

// clock can be set forward.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }
