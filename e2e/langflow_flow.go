//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// langflowComponent is a component as Langflow's catalog describes it.
type langflowComponent = map[string]any

// catalog finds components in Langflow's own catalog by name, in any category.
func catalog(t testing.TB, c *Client, names ...string) map[string]langflowComponent {
	t.Helper()
	var all map[string]json.RawMessage
	call(t, c, "GET", "/api/v1/all", nil, &all)
	found := map[string]langflowComponent{}
	for _, category := range all {
		var members map[string]langflowComponent
		if json.Unmarshal(category, &members) != nil {
			continue
		}
		for _, name := range names {
			if part, ok := members[name]; ok && part["template"] != nil {
				found[name] = part
			}
		}
	}
	for _, name := range names {
		if found[name] == nil {
			t.Fatalf("Langflow's catalog has no %s", name)
		}
	}
	return found
}

// node places a component on the canvas.
func node(id, kind string, part langflowComponent, x float64) map[string]any {
	return map[string]any{
		"id": id, "type": "genericNode", "position": map[string]any{"x": x, "y": 0.0}, "selected": false,
		"data": map[string]any{"id": id, "type": kind, "node": part, "showNode": true},
	}
}

// EchoLangflow is a flow that repeats its input: a chat input joined to a chat output. c is a
// client of a Langflow, or of Sluice in front of one.
func EchoLangflow(t testing.TB, c *Client, name string) map[string]any {
	t.Helper()
	parts := catalog(t, c, "ChatInput", "ChatOutput")
	const in, out = "ChatInput-aaaaa", "ChatOutput-bbbbb"
	source := map[string]any{"dataType": "ChatInput", "id": in, "name": "message", "output_types": []string{"Message"}}
	target := map[string]any{
		"fieldName":  "input_value",
		"id":         out,
		"inputTypes": []string{"Data", "DataFrame", "Message"},
		"type":       "other",
	}
	if field, ok := parts["ChatOutput"]["template"].(map[string]any)["input_value"].(map[string]any); ok {
		target["inputTypes"], target["type"] = field["input_types"], field["type"]
	}
	return map[string]any{"name": name, "description": "", "data": map[string]any{
		"nodes": []any{node(in, "ChatInput", parts["ChatInput"], 0), node(out, "ChatOutput", parts["ChatOutput"], 600)},
		"edges": []any{map[string]any{
			"id": "joined", "source": in, "target": out, "sourceHandle": handle(t, source), "targetHandle": handle(t,
				target),
			"data": map[string]any{"sourceHandle": source, "targetHandle": target},
		}},
		"viewport": map[string]any{"x": 0, "y": 0, "zoom": 1},
	}}
}

// handle formats the end of an edge as Langflow does: JSON with a different quotation mark.
func handle(t testing.TB, end map[string]any) string {
	t.Helper()
	b, err := json.Marshal(end)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), `"`, "œ")
}

// CreateFlow creates a Langflow flow, and returns its id.
func CreateFlow(t testing.TB, c *Client, flow map[string]any) string {
	t.Helper()
	var made struct{ ID string }
	call(t, c, "POST", "/api/v1/flows/", flow, &made)
	if made.ID == "" {
		t.Fatal("a flow was made without an id")
	}
	return made.ID
}

// RunFlow calls a flow with an API key, and returns the status and the text of the answer.
func RunFlow(c *Client, key, flow, text string) Answer {
	with := *c
	with.Header = http.Header{"X-Api-Key": {key}}
	return with.Call(
		"POST",
		"/api/v1/run/"+flow+"?stream=false",
		map[string]any{"input_value": text, "input_type": "chat", "output_type": "chat"},
	)
}
