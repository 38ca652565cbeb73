//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// canvasNode is a box on the canvas. Only this file has the texts and selectors of Flowise's own
// pages.
const canvasNode = ".react-flow__node"

// SignInToFlowise signs in on Flowise's own page, around Sluice.
func (p *Person) SignInToFlowise(origin string, o Owner) {
	p.t.Helper()
	p.Open(origin + "/signin")
	p.Fill("input[type=email], input[name=username]", o.Email)
	p.Fill("input[type=password]", o.Password)
	p.Click("button[type=submit]", "")
	p.SeeFlowise()
}

// SeeFlowise waits for the page that Flowise shows to people who are signed in: its list of flows
// and its menu.
func (p *Person) SeeFlowise() {
	p.t.Helper()
	p.See("Chatflows")
	p.See("Document Stores")
	p.Await("GET", "/api/v1/chatflows?type=CHATFLOW")
}

// BuildEcho builds an agent flow in the canvas with the mouse: start, then a direct reply that says
// "echo: " and the question. It saves the flow under a name and returns its id.
func (p *Person) BuildEcho(origin, name string) string {
	p.t.Helper()
	p.Open(origin + "/v2/agentcanvas")
	p.SeeElement(canvasNode)
	p.Click("button[title='Add Node']", "")
	p.Drag("[draggable=true]", "Direct Reply", canvasNode, "Start", 300, 120)
	p.Click("button[title='Add Node']", "")
	p.Drag(canvasNode+" .react-flow__handle.source", "", canvasNode+" .react-flow__handle.target", "", 0, 0)
	p.SeeElement(".react-flow__edge path")
	p.DoubleClick(canvasNode, "Direct Reply")
	const editor = "[role=dialog] .ProseMirror"
	p.until("cursor in the text of the reply", func() bool {
		// A dialog that is still opening takes back the focus.
		p.Click(editor, "")
		focused, err := eval[bool](p, "!!document.activeElement?.closest('"+editor+"')")
		return err == nil && focused
	})
	p.Insert("echo: {{ question }}")
	p.find(editor, "echo: ")
	p.until("way out of the dialog", func() bool {
		p.Press(kb.Escape)
		open, err := eval[bool](p, "!!document.querySelector('[role=dialog]')")
		return err == nil && !open
	})
	p.Shot("built")
	p.Click("button[title^=Save]", "")
	p.Fill("[role=dialog] input", name)
	p.Click("[role=dialog] button", "Save")
	if r := p.Await("POST", "/api/v1/chatflows"); r.Status != 200 {
		p.t.Fatalf("saving the flow: %d", r.Status)
	}
	p.At(origin + "/v2/agentcanvas/")
	return p.URL()[strings.LastIndex(p.URL(), "/")+1:]
}

// OpenFlow opens the canvas of a flow.
func (p *Person) OpenFlow(origin, id string) {
	p.t.Helper()
	p.Open(origin + "/v2/agentcanvas/" + id)
	p.SeeElement(canvasNode)
}

// SaveFlow presses the canvas' save button and returns the answer that the page got.
func (p *Person) SaveFlow(id string) Request {
	p.t.Helper()
	p.Click("button[title^=Save]", "")
	return p.Await("PUT", "/api/v1/chatflows/"+id)
}

// Chat asks a question in the canvas' chat window and waits for the answer.
func (p *Person) Chat(id, question, answer string) {
	p.t.Helper()
	p.Click("button[title=Chat]", "")
	p.Fill("#userInput", question)
	p.Press(kb.Enter)
	p.See(answer)
	if r := p.Await("POST", "/api/v1/internal-prediction/"+id); r.Status != 200 || r.MIME != "text/event-stream" {
		p.t.Errorf("the canvas' chat got %d %s instead of a stream", r.Status, r.MIME)
	}
}

// LogOutOfFlowise signs out by Flowise's own menu.
func (p *Person) LogOutOfFlowise(origin string) {
	p.t.Helper()
	p.Open(origin + "/")
	p.SeeFlowise()
	p.Click("header .MuiAvatar-root:has(svg[class*=settings])", "")
	p.Click("[role=button], li", "Logout")
}

// EchoFlow is the request body that creates the flow of BuildEcho through Flowise's API.
func EchoFlow(t testing.TB, name string) map[string]any {
	t.Helper()
	node := func(name, label string, x int, param string, value string, outputs ...any) map[string]any {
		id := name + "_0"
		at := map[string]int{"x": x, "y": 100}
		return map[string]any{
			"id":               id,
			"type":             "agentFlow",
			"position":         at,
			"positionAbsolute": at,
			"width":            150,
			"height":           66,
			"data": map[string]any{
				"id":          id,
				"name":        name,
				"label":       label,
				"type":        label,
				"category":    "Agent Flows",
				"version":     1,
				"baseClasses": []string{label},
				"color":       "#4DDBBB",
				"inputs": map[string]string{
					param: value,
				}, "inputAnchors": []any{}, "outputs": map[string]any{}, "outputAnchors": append([]any{}, outputs...),
				"inputParams": []any{
					map[string]any{
						"name":           param,
						"label":          param,
						"type":           "string",
						"acceptVariable": true,
						"id":             id + "-input-" + param + "-string",
						"display":        true,
					},
				}},
		}
	}
	const out = "startAgentflow_0-output-startAgentflow"
	flow, err := json.Marshal(map[string]any{
		"nodes": []any{
			node(
				"startAgentflow",
				"Start",
				100,
				"startInputType",
				"chatInput",
				map[string]string{"id": out, "label": "Start", "name": "startAgentflow"},
			),
			node("directReplyAgentflow", "Direct Reply", 360, "directReplyMessage", "echo: {{ question }}"),
		},
		"edges": []any{
			map[string]any{"id": "edge", "type": "agentFlow", "source": "startAgentflow_0", "sourceHandle": out,
				"target":       "directReplyAgentflow_0",
				"targetHandle": "directReplyAgentflow_0",
				"data":         map[string]any{"isHumanInput": false}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"name": name, "type": "AGENTFLOW", "flowData": string(flow)}
}
