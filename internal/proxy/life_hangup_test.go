package proxy_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// langflowLife is a request for each change in the life of a flow on Langflow, with parts of the
// audit entry if Langflow performs it (done) and if Langflow gives no answer (requested). FLOW
// stands for the id of a flow of the workspace.
var langflowLife = []struct{ name, method, path, kind, body, done, requested string }{
	{
		name:   "create",
		method: "POST", path: "/api/v1/flows/", kind: "application/json", body: `{"name":"Fresh"}`,
		done: `"Fresh" ×1: created in `, requested: "flow:edit failed ",
	},
	{
		name:   "import",
		method: "POST", path: "/api/v1/flows/upload/", kind: "multipart/form-data; boundary=b",
		body: "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.json\"\r\n" +
			"Content-Type: application/json\r\n\r\n" +
			`{"flows":[{"name":"Brought","data":{"nodes":[],"edges":[]}}]}` + "\r\n--b--\r\n",
		done: `"Brought" ×1: imported in `, requested: "flow:edit failed ",
	},
	{
		name:   "change",
		method: "PATCH", path: "/api/v1/flows/FLOW", kind: "application/json", body: `{"name":"Renamed"}`,
		done: `"Renamed" ×1: changed in `, requested: "flow:edit failed FLOW ",
	},
	{
		name:   "publish",
		method: "PATCH", path: "/api/v1/flows/FLOW", kind: "application/json", body: `{"access_type":"PUBLIC"}`,
		done: `×1: published in `, requested: "flow:edit failed FLOW ",
	},
	{
		name:   "run",
		method: "POST", path: "/api/v1/run/FLOW", kind: "application/json", body: `{"input_value":"x"}`,
		done: `×1: run in `, requested: "flow:run failed FLOW ",
	},
	{
		name:   "delete",
		method: "DELETE", path: "/api/v1/flows/FLOW",
		done: `×1: deleted in `, requested: "flow:edit failed FLOW ",
	},
}

// A client cannot keep an action out of the audit record by hanging up, because Langflow still
// performs it.
func TestFlowLife_LangflowClientHangsUp(t *testing.T) {
	t.Parallel()
	for _, c := range langflowLife {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newLangflowWorld(t, false)
			h := w.as("admin")
			var seq int64
			w.flowEntries(&seq)
			ctx, hangUp := context.WithCancel(context.Background())
			w.f.With(func() {
				w.f.Answer = func(g lfRequest) *lfAnswer {
					if g.Method != c.method {
						return nil
					}
					hangUp()
					if c.name == "import" {
						return &lfAnswer{
							Status: 201,
							Kind:   "application/json",
							Body:   `[{"id":"` + newID + `","name":"Brought"}]`,
						}
					}
					return nil
				}
			})
			path := strings.ReplaceAll(c.path, "FLOW", w.ownFlow)
			r := httptest.NewRequestWithContext(ctx, c.method, path, strings.NewReader(c.body))
			r.Host, r.Header = appHost, h
			setKind(r.Header, c.kind)
			answer := httptest.NewRecorder()
			w.front.Config.Handler.ServeHTTP(answer, r)
			if ctx.Err() == nil {
				t.Fatalf("Langflow was not asked: %d %s", answer.Code, answer.Body)
			}
			got := w.flowEntries(&seq)
			if !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, c.done) }) {
				t.Errorf("entries %q, want %s", got, c.done)
			}
		})
	}
}

func TestFlowLife_LangflowGivesNoAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range langflowLife {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newLangflowWorld(t, false)
			h := w.as("admin")
			setKind(h, c.kind)
			var seq int64
			w.flowEntries(&seq)
			w.f.With(func() {
				w.f.Answer = func(g lfRequest) *lfAnswer {
					if g.Method == c.method {
						panic(http.ErrAbortHandler)
					}
					return nil
				}
			})
			path := strings.ReplaceAll(c.path, "FLOW", w.ownFlow)
			if got := w.do(c.method, path, h, c.body); got.status < 500 {
				t.Errorf("answer %d %s", got.status, got.body)
			}
			got := slices.DeleteFunc(w.flowEntries(&seq), func(line string) bool {
				return strings.HasPrefix(line, "inventory ")
			})
			want := "admin " + strings.ReplaceAll(c.requested, "FLOW", w.ownFlow)
			if len(got) != 1 || !strings.HasPrefix(got[0], want) ||
				!strings.HasSuffix(got[0], "the builder gave no answer") {
				t.Errorf("entries %q, want %s", got, want)
			}
		})
	}
}

func setKind(h http.Header, kind string) {
	if kind != "" {
		h.Set("Content-Type", kind)
	}
}

// Flowise's import answers without the new flows' ids, so Sluice compares lists before and after,
// even if the client has hung up.
func TestFlowLife_FlowiseImportClientHangsUp(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	cookie := w.cookie("superuser")
	var seq int64
	w.flowEntries(&seq)
	ctx, hangUp := context.WithCancel(context.Background())
	f.reply(func(request) string {
		hangUp()
		f.flowise.With(func() {
			f.flowise.Lists = map[string]string{"chatflows": `[{"id":"` + newID + `","name":"Brought"}]`}
		})
		return jsonReply(201, `{"message":"success"}`)
	})
	body := strings.NewReader(`{"ChatFlow":[{"id":"` + newID + `","name":"Brought","flowData":"{}"}]}`)
	r := httptest.NewRequestWithContext(ctx, "POST", "/api/v1/export-import/import", body)
	r.Host = appHost
	r.Header = with("Cookie: "+cookie, "Origin: "+appOrigin, "Content-Type: application/json")
	answer := httptest.NewRecorder()
	w.front.Config.Handler.ServeHTTP(answer, r)
	if ctx.Err() == nil {
		t.Fatalf("Flowise was not asked: %d %s", answer.Code, answer.Body)
	}
	want := `flow:edit done ` + newID + ` "Brought" ×1: imported in `
	if got := w.flowEntries(&seq); len(got) != 1 || !strings.Contains(got[0], want) {
		t.Errorf("entries %q, want one with %s", got, want)
	}
}
