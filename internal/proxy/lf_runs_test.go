package proxy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"sluice/internal/authn"
	"sluice/internal/flow"
	"sluice/internal/identity"
)

// start begins a run of a flow and returns its job.
func (w *lfWorld) start(role, flowID string) string {
	w.t.Helper()
	got := w.call(
		role,
		"POST",
		"/api/v1/build/"+flowID+"/flow?event_delivery=streaming",
		`{"inputs":{"input_value":"x"}}`,
	)
	var made struct {
		JobID string `json:"job_id"`
	}
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || made.JobID == "" {
		w.t.Fatalf("%d %s", got.status, got.body)
	}
	return made.JobID
}

func TestRuns_Starter(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	job := w.start("viewer", w.ownFlow)
	adopted := w.start("viewer", w.oldFlow)
	if j, err := w.apps.Flows.Job(context.Background(), w.app.ID, job); err != nil || j.Flow != w.ownFlow ||
		j.Person != w.ids["viewer"] {
		t.Errorf("recorded as %+v, %v", j, err)
	}
	limited, _ := w.key("viewer", authn.NewAPIKey{Scope: authn.KeyScope{Flows: []string{w.oldFlow}}})
	for name, c := range map[string]struct {
		role, job string
		want      int
	}{
		"who started it":          {"viewer", job, 200},
		"who may edit the flow":   {"user", job, 200},
		"an admin":                {"admin", job, 200},
		"another workspace":       {"other", job, 404},
		"a job that there is not": {"viewer", nobodys, 404},
		"of an adopted flow":      {"viewer", adopted, 200},
	} {
		for _, call := range [][2]string{{"GET", "/events?event_delivery=streaming"}, {"POST", "/cancel"}} {
			w.f.Take()
			got := w.call(c.role, call[0], "/api/v1/build/"+c.job+call[1], "")
			log := w.f.Take()
			if got.status != c.want || (c.want == 200) != (len(log) == 1) {
				t.Errorf("%s, %s: %d %s; %d requests", name, call[1], got.status, got.body, len(log))
			}
			if c.job == adopted && (len(log) != 1 || log[0].Account != "veteran") {
				t.Errorf("%s: %+v", name, log)
			}
		}
	}
	own := w.start("admin", w.ownFlow)
	if got := w.call("viewer", "GET", "/api/v1/build/"+own+"/events", ""); got.status != 403 && got.status != 423 {
		t.Errorf("somebody else's run: %d %s", got.status, got.body)
	}
	h := with("Authorization: Bearer " + limited)
	if got := w.do("GET", "/api/v1/build/"+adopted+"/events", h, ""); got.status != 200 {
		t.Errorf("a key for the flow: %d %s", got.status, got.body)
	}
	if got := w.do("GET", "/api/v1/build/"+job+"/events", h, ""); got.status == 200 {
		t.Errorf("a key for another flow: %d %s", got.status, got.body)
	}
	if got := w.do("GET", "/api/v1/build/"+job+"/events", nil, ""); got.status != 401 {
		t.Errorf("a stranger: %d", got.status)
	}
}

func TestRuns_Streams(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	target := "/api/v1/build/" + w.ownFlow + "/flow?event_delivery=direct"
	pause := make(chan struct{})
	w.f.With(func() { w.f.Pause = pause })
	c := w.dial()
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(
		c,
		"POST "+target+" HTTP/1.1\r\nHost: "+appHost+"\r\nCookie: "+w.cookie(
			"viewer",
		)+"\r\nOrigin: "+appOrigin+"\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
	)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len(`{"event":"token"}`))
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != `{"event":"token"}` {
		t.Errorf("before the run went on: %q, %v", first, err)
	}
	close(pause)
	if rest, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(rest), "end") {
		t.Errorf("the rest: %q, %v", rest, err)
	}
	got := w.call("viewer", "POST", target, `{}`)
	if got.status != 200 || strings.Count(got.body, "event") != 2 || got.header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
}

func TestRuns_EndpointNames(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	limited, _ := w.key("user", authn.NewAPIKey{Scope: authn.KeyScope{Flows: []string{w.oldFlow}}})
	theirs, _ := w.key("other", authn.NewAPIKey{})
	for name, c := range map[string]struct {
		key, place string
		want       int
		flow       string
	}{
		"a name": {limited, "old-hand", 200, w.oldFlow},
		"an id":  {limited, w.oldFlow, 200, w.oldFlow},
		"an id as Python reads it": {limited, "urn:uuid:" + strings.ToUpper(strings.ReplaceAll(w.oldFlow, "-", "")),
			200, w.oldFlow},
		"a name beyond the key":        {limited, "shared-name", 403, ""},
		"a name of another workspace":  {theirs, "old-hand", 404, ""},
		"the same name there":          {theirs, "shared-name", 200, w.flow},
		"a name that nothing has":      {limited, "nothing", 404, ""},
		"another workspace's own name": {limited, "their-name", 404, ""},
	} {
		w.f.Take()
		h := with("X-Api-Key: "+c.key, "Content-Type: application/json")
		got := w.do("POST", "/api/v1/run/"+c.place+"?stream=false", h, `{"input_value":"x"}`)
		log := w.f.Take()
		if got.status != c.want {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if c.want != 200 && len(log) > 0 ||
			c.want == 200 && (len(log) != 1 || log[0].Target != "/api/v1/run/"+c.flow+"?stream=false") {
			t.Errorf("%s: Langflow got %+v", name, log)
		}
	}
}

func TestRuns_ChatsPerWorkspace(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{false, true} {
		w := newLangflowWorld(t, old)
		ours, theirs := lfMessage{
			ID:      "a0a0a0a0-a0a0-40a0-80a0-a0a0a0a0a0a0",
			Flow:    w.ownFlow,
			Session: "our chat",
			Text:    "hello",
		}, lfMessage{
			ID:      "b0b0b0b0-b0b0-40b0-80b0-b0b0b0b0b0b0",
			Flow:    w.flow,
			Session: "their chat",
			Text:    "secret",
		}
		adopted := lfMessage{
			ID:      "c0c0c0c0-c0c0-40c0-80c0-c0c0c0c0c0c0",
			Flow:    w.oldFlow,
			Session: "old chat",
			Text:    "adopted",
		}
		w.f.With(func() {
			w.own.Messages, w.theirs.Messages, w.adopted.Messages = []lfMessage{
				ours,
			}, []lfMessage{
				theirs,
			}, []lfMessage{
				adopted,
			}
		})
		for name, c := range inOrder(map[string]struct {
			method, target, body string
			want                 int
			account              string
		}{
			"our message": {"PUT", "/api/v1/monitor/messages/" + ours.ID, `{"text":"x"}`, 200,
				w.own.Username},
			"an adopted one": {"PUT", "/api/v1/monitor/messages/" + adopted.ID, `{"text":"x"}`, 200,
				"veteran"},
			"their message": {"PUT", "/api/v1/monitor/messages/" + theirs.ID, `{"text":"x"}`, 404, ""},
			"messages of both": {"DELETE", "/api/v1/monitor/messages", `["` + ours.ID + `","` + theirs.ID + `"]`,
				404, ""},
			"our messages": {"DELETE", "/api/v1/monitor/messages", `["` + ours.ID + `"]`, 200,
				w.own.Username},
			"an adopted chat": {"DELETE", "/api/v1/monitor/messages/session/old%20chat", "", 200, "veteran"},
			"our chat": {"DELETE", "/api/v1/monitor/messages/session/our%20chat", "", 200,
				w.own.Username},
			"a chat that there's not": {"DELETE", "/api/v1/monitor/messages/session/no%20chat", "", 200,
				w.own.Username},
		}) {
			w.f.Take()
			got := w.call("user", c.method, c.target, c.body)
			log := w.f.Take()
			if got.status != c.want || (c.account != "") != (len(log) == 1) ||
				len(log) == 1 && log[0].Account != c.account {
				t.Errorf("old %v, %s: %d %s; Langflow got %+v", old, name, got.status, got.body, log)
			}
		}
		got := w.call("user", "GET", "/api/v1/monitor/messages", "")
		if got.status != 200 || strings.Contains(got.body, "secret") || !strings.Contains(got.body, "hello") ||
			!strings.Contains(got.body, "adopted") {
			t.Errorf("old %v, all messages: %d %s", old, got.status, got.body)
		}
		if got := w.call("user", "GET", "/api/v1/monitor/messages/sessions?flow_id="+w.ownFlow,
			""); got.status != 200 ||
			got.body != `["our chat"]` {
			t.Errorf("old %v, the chats of a flow: %d %s", old, got.status, got.body)
		}
		if got := w.call("user", "GET", "/api/v1/monitor/messages/sessions", ""); got.status != 200 ||
			strings.Contains(got.body, "their") {
			t.Errorf("old %v, all chats: %d %s", old, got.status, got.body)
		}
		// Theirs is known once they have used it.
		w.call("other", "GET", "/api/v1/monitor/messages/sessions?flow_id="+w.flow, "")
		for name, body := range map[string]string{"a run": `{"inputs":{"session":"their chat"}}`,
			"in escapes": `{"inputs":{"sess\u0069on":"their \u0063hat"}}`} {
			if got := w.call("user", "POST", "/api/v1/build/"+w.ownFlow+"/flow", body); got.status != 404 {
				t.Errorf("old %v, %s in their chat: %d %s", old, name, got.status, got.body)
			}
		}
		if got := w.call("user", "DELETE", "/api/v1/monitor/messages/session/their%20chat", ""); got.status != 404 {
			t.Errorf("old %v, their chat: %d %s", old, got.status, got.body)
		}
	}
}

func TestRuns_Published(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	ctx := context.Background()
	w.call("admin", "GET", "/api/v1/flows/", "")
	if err := w.apps.Publications.Publish(ctx, systemPrincipal, w.app.ID, w.ownFlow); err != nil {
		t.Fatal(err)
	}
	h := with("Content-Type: application/json", "Cookie: client_id=visitor")
	got := w.do(
		"POST",
		"/api/v1/build_public_tmp/"+w.ownFlow+"/flow",
		h,
		`{"inputs":{"session":"visitor's"},"data":{"nodes":[]}}`,
	)
	var made struct {
		JobID string `json:"job_id"`
	}
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	log := w.f.Take()
	if last := log[len(log)-1]; last.Account != "" || strings.Contains(last.Body, "nodes") ||
		last.Header.Get("Cookie") != "client_id=visitor" {
		t.Errorf("Langflow got %+v", last)
	}
	for name, c := range map[string]struct {
		method, target, body string
		want                 int
	}{
		"the flow":                  {"GET", "/api/v1/flows/public_flow/" + w.ownFlow, "", 200},
		"another flow":              {"GET", "/api/v1/flows/public_flow/" + w.oldFlow, "", 401},
		"a flow of others":          {"POST", "/api/v1/build_public_tmp/" + w.flow + "/flow", `{}`, 401},
		"the run's events":          {"GET", "/api/v1/build_public_tmp/" + made.JobID + "/events", "", 200},
		"the same, as 1.6.8 has it": {"GET", "/api/v1/build/" + made.JobID + "/events", "", 200},
		"its end":                   {"POST", "/api/v1/build_public_tmp/" + made.JobID + "/cancel", "", 200},
		"a person's run": {"GET", "/api/v1/build_public_tmp/" + w.start("user", w.ownFlow) + "/events", "",
			404},
		"the same, in 1.6.8":     {"POST", "/api/v1/build/" + w.start("user", w.ownFlow) + "/cancel", "", 404},
		"its page":               {"GET", "/playground/" + w.ownFlow, "", 200},
		"the builder's own flow": {"GET", "/api/v1/flows/" + w.ownFlow, "", 401},
		"a person's chat": {"POST", "/api/v1/build_public_tmp/" + w.ownFlow + "/flow",
			`{"inputs":{"session":"staff"}}`, 404},
		"the visitor's chat": {"POST", "/api/v1/build_public_tmp/" + w.ownFlow + "/flow",
			`{"inputs":{"session":"visitor's"}}`, 200},
		"a run that there is not": {"GET", "/api/v1/build_public_tmp/" + nobodys + "/events", "", 401},
		"an id of others somewhere": {"POST", "/api/v1/build_public_tmp/" + w.ownFlow + "/flow",
			`{"inputs":{"input_value":"` + w.flow + `"}}`, 404},
	} {
		w.apps.Flows.LearnChat(w.app.ID, "staff", flow.Chat{Workspace: identity.DefaultWorkspace, Flow: w.ownFlow})
		w.call("other", "GET", "/api/v1/flows/", "")
		h := with("Content-Type: application/json")
		if c.body == "" {
			h = nil
		}
		if got := w.do(c.method, c.target, h, c.body); got.status != c.want {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	// The people of the workspace may look at a visitor's run if they may edit the flow.
	if got := w.call("user", "GET", "/api/v1/build_public_tmp/"+made.JobID+"/events", ""); got.status != 200 {
		t.Errorf("an editor: %d %s", got.status, got.body)
	}
}
