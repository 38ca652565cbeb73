package profile

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"sluice/internal/flow"
	"sluice/internal/problem"
)

// FoundObject is an object of a builder, as the builder lists it.
type FoundObject struct {
	// ID is the builder's own, Name may be empty.
	ID, Name string
	Kind     flow.Kind
	// Account is the builder's account that holds it; "" for builders without accounts.
	Account string
}

// Inventory is a Bridge that can list all objects of its builder and find out what lies in what.
type Inventory interface {
	// Inventory lists every object that has an owner, of all kinds.
	Inventory(ctx context.Context) ([]FoundObject, error)
	// Parent asks the builder in which object something lies; hint is the object that the request names beside it, or "". Errors: problem.NotFound.
	Parent(ctx context.Context, kind flow.Kind, id, hint string) (string, error)
}

var _ Inventory = (*FlowiseBridge)(nil)

// maxInventory bounds what is read of one list, in bytes. Lists of flows hold the flows' definitions.
const maxInventory = 256 << 20

// flowiseLists are the lists of Flowise that together hold every object.
var flowiseLists = []struct {
	path  string
	kind  flow.Kind
	pages bool // there is no whole list, only pages of at most flowisePage
}{
	{"/api/v1/chatflows", flow.Chatflow, false},
	{"/api/v1/tools", flow.Tool, false},
	{"/api/v1/credentials", flow.Credential, false},
	{"/api/v1/variables", flow.Variable, false},
	{"/api/v1/assistants", flow.Assistant, false},
	{"/api/v1/document-store/store", flow.DocumentStore, false},
	{"/api/v1/marketplaces/custom", flow.Template, false},
	{"/api/v1/custom-mcp-servers", flow.MCPServer, true},
}

// flowisePage is the most that Flowise puts on a page, and maxPages how many pages are read.
const (
	flowisePage = 100
	maxPages    = 1000
)

// flowiseObject is what lists of Flowise say of an object.
type flowiseObject struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	KeyName string `json:"keyName"`
	Type    string `json:"type"`
	Details string `json:"details"`
}

// Inventory implements Inventory.
func (b *FlowiseBridge) Inventory(ctx context.Context) ([]FoundObject, error) {
	var all []FoundObject
	for _, list := range flowiseLists {
		add := func(o flowiseObject) {
			if o.ID != "" {
				all = append(all, FoundObject{ID: o.ID, Name: o.title(), Kind: FlowKind(list.kind, o.Type)})
			}
		}
		read := func(dec *json.Decoder) error { return eachElement(dec, add) }
		if list.pages {
			read = func(dec *json.Decoder) error {
				var page struct{ Data []flowiseObject }
				err := dec.Decode(&page)
				for _, o := range page.Data {
					add(o)
				}
				return err
			}
		}
		for page, last := 1, -1; page <= maxPages && len(all) != last; page++ {
			last = len(all)
			path := list.path
			if list.pages {
				path = fmt.Sprintf("%s?page=%d&limit=%d", path, page, flowisePage)
			}
			if err := b.readList(ctx, path, read); err != nil {
				return nil, err
			}
			if !list.pages || len(all)-last < flowisePage {
				break
			}
		}
	}
	return all, nil
}

// title is what people call an object. The name of an assistant stands in a text of JSON.
func (o *flowiseObject) title() string {
	if o.Name+o.KeyName != "" || o.Details == "" {
		return o.Name + o.KeyName
	}
	name, _ := decodeObject([]byte(o.Details))["name"].(string)
	return name
}

// FlowKind is the kind of a flow whose type is known; other kinds stay as they are.
func FlowKind(kind flow.Kind, flowType string) flow.Kind {
	if kind != flow.Chatflow {
		return kind
	}
	switch flowType {
	case "AGENTFLOW", "MULTIAGENT":
		return flow.Agentflow
	case "ASSISTANT":
		return flow.Assistantflow
	}
	return flow.Chatflow
}

// eachElement reads a JSON array element by element.
func eachElement[T any](dec *json.Decoder, visit func(T)) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('[') {
		return fmt.Errorf("not a list")
	}
	for dec.More() {
		var v T
		if err := dec.Decode(&v); err != nil {
			return err
		}
		visit(v)
	}
	return nil
}

// Parent implements Inventory.
func (b *FlowiseBridge) Parent(ctx context.Context, kind flow.Kind, id, hint string) (string, error) {
	unknown := problem.New(problem.NotFound, "There is no such object in Flowise.")
	if !isUUID(id) {
		return "", unknown
	}
	parent := ""
	var err error
	switch kind {
	case Execution:
		err = b.readList(ctx, "/api/v1/executions/"+id, func(dec *json.Decoder) error {
			var e struct {
				AgentflowID string `json:"agentflowId"`
			}
			err := dec.Decode(&e)
			parent = e.AgentflowID
			return err
		})
	case Feedback:
		if !isUUID(hint) {
			return "", unknown
		}
		err = b.readList(ctx, "/api/v1/feedback/"+hint, func(dec *json.Decoder) error {
			return eachElement(dec, func(o flowiseObject) {
				if o.ID == id {
					parent = hint
				}
			})
		})
	}
	if err != nil {
		return "", err
	}
	if parent == "" {
		return "", unknown
	}
	return parent, nil
}

// readList reads an answer of Flowise with the owner's session, of any size up to maxInventory. A refusal of Flowise is problem.NotFound: it answers 404 and 500 for what
// is not there.
func (b *FlowiseBridge) readList(ctx context.Context, path string, read func(*json.Decoder) error) error {
	s, err := b.current(ctx)
	if err != nil {
		return err
	}
	res, err := b.client.get(ctx, path, s.cookie[0])
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		return problem.New(problem.Unavailable, "Flowise does not accept Sluice's session at the moment.").WithRetryAfter(refusalGrace)
	case res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json"):
		return problem.New(problem.NotFound, "There is no such object in Flowise.").WithRule(fmt.Sprintf("flowise status %d", res.StatusCode))
	}
	if err := read(json.NewDecoder(io.LimitReader(res.Body, maxInventory))); err != nil {
		return problem.New(problem.Upstream, "Flowise gave a list that Sluice cannot read.").WithCause(fmt.Errorf("%s: %w", path, err))
	}
	return nil
}

// get asks for a page that may be long; the caller closes its body.
func (c *client) get(ctx context.Context, path, cookie string) (*http.Response, error) {
	path, query, _ := strings.Cut(path, "?")
	u := c.base.JoinPath(path)
	u.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, problem.New(problem.Invalid, "The builder's address is not a usable URL.").WithField("url").WithCause(err)
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
		req.Header.Set("X-Request-From", "internal")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	return res, nil
}

// DemoInventory lists the flows of the built-in builder.
func DemoInventory(ctx context.Context, c *http.Client, base *url.URL) ([]FoundObject, error) {
	res, err := newClient(base, c).get(ctx, "/api/flows", "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	var all []FoundObject
	err = eachElement(json.NewDecoder(io.LimitReader(res.Body, maxInventory)), func(o flowiseObject) {
		all = append(all, FoundObject{ID: o.ID, Name: o.Name, Kind: flow.Chatflow})
	})
	if err != nil {
		return nil, problem.New(problem.Upstream, "The demo builder gave a list that Sluice cannot read.").WithCause(err)
	}
	return all, nil
}
