package flowise

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// lists are the lists of Flowise that together hold every object.
var lists = []struct {
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

// pageSize is the most that Flowise puts on a page, and maxPages how many pages are read.
const (
	pageSize = 100
	maxPages = 1000
)

// object is what lists of Flowise say of an object.
type object struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	KeyName string `json:"keyName"`
	Type    string `json:"type"`
	Details string `json:"details"`
}

// inventory is Bridge.Inventory.
func (b *bridge) inventory(ctx context.Context) ([]builder.FoundObject, error) {
	var all []builder.FoundObject
	for _, list := range lists {
		add := func(o object) {
			if o.ID != "" {
				all = append(all, builder.FoundObject{ID: o.ID, Name: o.title(), Kind: flowKind(list.kind, o.Type)})
			}
		}
		read := func(dec *json.Decoder) error { return builder.EachElement(dec, add) }
		if list.pages {
			read = func(dec *json.Decoder) error {
				var page struct{ Data []object }
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
				path = fmt.Sprintf("%s?page=%d&limit=%d", path, page, pageSize)
			}
			if err := b.readList(ctx, path, read); err != nil {
				return nil, err
			}
			if !list.pages || len(all)-last < pageSize {
				break
			}
		}
	}
	return all, nil
}

// title is what people call an object. The name of an assistant stands in a text of JSON.
func (o *object) title() string {
	if o.Name+o.KeyName != "" || o.Details == "" {
		return o.Name + o.KeyName
	}
	name, _ := builder.DecodeObject([]byte(o.Details))["name"].(string)
	return name
}

// flowTypes are Flowise's words for what is not a chatflow.
var flowTypes = map[string]flow.Kind{
	"AGENTFLOW":  flow.Agentflow,
	"MULTIAGENT": flow.Agentflow,
	"ASSISTANT":  flow.Assistantflow,
}

// flowKind is the kind of a flow whose type is known; other kinds stay as they are.
func flowKind(kind flow.Kind, flowType string) flow.Kind {
	if is, ok := flowTypes[flowType]; ok && kind == flow.Chatflow {
		return is
	}
	return kind
}

// parent is Bridge.Parent.
func (b *bridge) parent(ctx context.Context, kind flow.Kind, id, hint string) (string, error) {
	unknown := problem.New(problem.NotFound, "There is no such object in Flowise.")
	if !profile.IsUUID(id) {
		return "", unknown
	}
	parent := ""
	var err error
	switch kind {
	case profile.Execution:
		err = b.readList(ctx, "/api/v1/executions/"+id, func(dec *json.Decoder) error {
			var e struct {
				AgentflowID string `json:"agentflowId"`
			}
			err := dec.Decode(&e)
			parent = e.AgentflowID
			return err
		})
	case profile.Feedback:
		if !profile.IsUUID(hint) {
			return "", unknown
		}
		err = b.readList(ctx, "/api/v1/feedback/"+hint, func(dec *json.Decoder) error {
			return builder.EachElement(dec, func(o object) {
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

// readList reads an answer of Flowise with the owner's session, of any size up to builder.MaxList.
// A refusal of Flowise is problem.NotFound: it answers 404 and 500 for what is not there.
func (b *bridge) readList(ctx context.Context, path string, read func(*json.Decoder) error) error {
	s, err := b.current(ctx)
	if err != nil {
		return err
	}
	res, err := b.client.Open(ctx, path, s.header)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		return problem.New(problem.Unavailable, "Flowise does not accept Sluice's session at the moment.").
			WithRetryAfter(refusalGrace)
	case res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json"):
		return problem.New(problem.NotFound, "There is no such object in Flowise.").
			WithRule(fmt.Sprintf("flowise status %d", res.StatusCode))
	}
	if err := read(json.NewDecoder(io.LimitReader(res.Body, builder.MaxList))); err != nil {
		return problem.New(problem.Upstream, "Flowise gave a list that Sluice cannot read.").
			WithCause(fmt.Errorf("%s: %w", path, err))
	}
	return nil
}
