package guards

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/guard"
	"sluice/internal/problem"
)

// langflow is a Langflow installation that lists what it ships with. Ann has an account there.
type langflow struct {
	*langflowtest.Server
	release string
	ann     *langflowtest.User
	token   string // ann's session
}

func newLangflow(t testing.TB, release string) *langflow {
	t.Helper()
	b := &langflow{Server: langflowtest.Start(t), release: release}
	b.With(func() {
		b.Old = release == "old"
		b.Components = fixture[map[string]map[string]any]("all-" + release)
		b.Components["added"] = map[string]any{}
		b.Examples = fixture[[]any]("examples-" + release)
		b.ann = b.Add("ann", "x")
		b.token = b.Token(b.ann)
	})
	return b
}

// store stores a flow in ann's account under an id.
func (b *langflow) store(id string, flow any) {
	data, ok := flow.(map[string]any)["data"]
	if !ok {
		panic("a flow without data")
	}
	b.With(func() {
		b.ann.Things[langflowtest.Flows] = nil
		b.ann.Put(langflowtest.Flows, &langflowtest.Thing{ID: id, Name: "f", Data: marshal(data)})
	})
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

// component is a new component from the catalog.
func (b *langflow) component(name string) map[string]any {
	for _, category := range b.Components {
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
	return map[string]any{
		"id":       id,
		"type":     "genericNode",
		"position": map[string]any{"x": 1, "y": 2},
		"data":     map[string]any{"id": id, "type": name, "node": component},
	}
}

func flowOf(nodes ...any) map[string]any {
	return map[string]any{
		"name": "f",
		"data": map[string]any{"nodes": nodes, "edges": []any{}, "viewport": map[string]any{"x": 0, "y": 0, "zoom": 1}},
	}
}

// dig finds a member by its keys and indexes.
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

// asked is a request with the names of the guards that check it.
type asked struct {
	guard.Request
	guards []string
}

// check takes a request through its guards.
func check(ctx context.Context, g *Guard, r *asked) error {
	for _, name := range r.guards {
		if err := g.Checks()[name](ctx, &r.Request); err != nil {
			return err
		}
	}
	return nil
}

// request is a request to the builder by a person who may only change flows.
func (b *langflow) request(body any, guards ...string) *asked {
	return &asked{guards: guards, Request: guard.Request{
		App:         "app",
		AppName:     "Langflow",
		Version:     b.release,
		Flow:        flowID,
		Account:     "acc",
		ContentType: "application/json",
		Body:        marshal(body),
		MayCode:     func() bool { return false },
		MayServe:    func() bool { return false },
		Get:         b.get,
	}}
}

// get reads from the builder as ann does.
func (b *langflow) get(ctx context.Context, path string, limit int64) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.URL+path, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, limit))
	return res.StatusCode, data, err
}

// capable turns it into a request by a person who may bring code.
func (r *asked) capable() *asked {
	r.MayCode, r.MayServe = func() bool { return true }, func() bool { return true }
	return r
}

// clock can be set forward.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func formOf(name string, data []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "--sluicebound\r\nContent-Disposition: form-data; name=\"file\"; filename=%q\r\nContent-Type: "+
		"application/octet-stream\r\n\r\n%s\r\n--sluicebound--\r\n", name, data)
	return b.Bytes()
}

const formType = "multipart/form-data; boundary=sluicebound"

const flowID = "22222222-2222-4222-8222-22222222aaaa"

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
