package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
)

// flowEntries writes what is still counted, and returns the audit entries about flows since the
// last call, one line each.
func (w *world) flowEntries(since *int64) (lines []string) {
	w.t.Helper()
	w.gate.Flush(context.Background())
	entries, err := audit.After(context.Background(), w.db, *since, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		*since = e.Seq
		if e.ResourceType == "Flow" && e.Outcome != audit.Denied {
			lines = append(lines, fmt.Sprintf("%s %s %s %s %q ×%d: %s",
				e.ActorName, e.Action, e.Outcome, e.ResourceID, e.ResourceName, e.Times, e.Detail))
		}
	}
	return lines
}

func TestFlowLife_Flowise(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	var seq int64
	w.cookie("admin")
	w.flowEntries(&seq)
	h := with("Cookie: "+w.cookie("admin"), "Origin: "+appOrigin, "Content-Type: application/json")
	in := " in " + w.app.Name + " (app " + w.app.ID + ")"
	answers := func(status int, body string) {
		f.reply(func(request) string { return jsonReply(status, body) })
	}
	do := func(method, target, body string, status int) {
		t.Helper()
		header := h
		if body == "" {
			header = reading(h)
		}
		if got := w.do(method, target, header, body); got.status != status {
			t.Fatalf("%s %s: %d %s", method, target, got.status, got.body)
		}
	}
	want := func(what string, lines ...string) {
		t.Helper()
		if diff := cmp.Diff(lines, w.flowEntries(&seq)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	line := func(action, outcome, name string, times int, detail string) string {
		return fmt.Sprintf("admin %s %s %s %q ×%d: %s", action, outcome, newID, name, times, detail)
	}

	answers(200, `{"id":"`+newID+`","name":"New","type":"CHATFLOW"}`)
	do("POST", "/api/v1/chatflows", `{"name":"New","type":"CHATFLOW"}`, 200)
	want("created", line("flow:edit", "done", "New", 1, "created"+in))

	for range 3 {
		do("PUT", "/api/v1/chatflows/"+newID, `{"name":"New","flowData":"{}"}`, 200)
	}
	do("POST", "/api/v1/prediction/"+newID, `{"question":"hi"}`, 200)
	do("POST", "/api/v1/internal-prediction/"+newID, `{"question":"hi"}`, 200)
	want(
		"changed and run",
		line("flow:edit", "done", "New", 3, "changed"+in),
		line("flow:run", "done", "New", 2, "run"+in),
	)

	for range 2 {
		do("PUT", "/api/v1/chatflows/"+newID, `{"name":"New","isPublic":true}`, 200)
	}
	do("PUT", "/api/v1/chatflows/"+newID, `{"name":"New","isPublic":false}`, 200)
	want("published and unpublished",
		line("flow:publish", "done", "New", 1, "published"+in),
		line("flow:publish", "done", "New", 1, "unpublished"+in),
		line("flow:edit", "done", "New", 3, "changed"+in))

	answers(500, `{"message":"no"}`)
	do("PUT", "/api/v1/chatflows/"+newID, `{"name":"New"}`, 500)
	do("POST", "/api/v1/prediction/"+newID, `{"question":"hi"}`, 500)
	do("DELETE", "/api/v1/chatflows/"+newID, "", 500)
	want("refused by the builder",
		line("flow:edit", "failed", "New", 2, "not done"+in+"; the builder answered 500"),
		line("flow:run", "failed", "New", 1, "run"+in+"; the builder answered 500"))

	key, id := w.key("user", authn.NewAPIKey{Scope: authn.KeyScope{Actions: []authz.Action{authz.FlowRun}}})
	answers(200, `{"text":"hello"}`)
	for range 2 {
		if got := w.ask("POST", "/api/v1/prediction/"+newID, `{"question":"hi"}`,
			"Authorization: Bearer "+key); got.status != 200 {
			t.Fatalf("by key: %d %s", got.status, got.body)
		}
	}
	answers(200, `{"affected":1}`)
	do("DELETE", "/api/v1/chatflows/"+newID, "", 200)
	want("run by a key, and deleted",
		line("flow:edit", "done", "New", 1, "deleted"+in),
		fmt.Sprintf("user flow:run done %s %q ×2: run%s with API key %s", newID, "New", in, id))
}

func TestFlowLife_OtherObjectsHaveNoEntries(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	var seq int64
	h := with("Cookie: "+w.cookie("admin"), "Origin: "+appOrigin, "Content-Type: application/json")
	w.flowEntries(&seq)
	f.reply(func(request) string { return jsonReply(200, `{"id":"`+newID+`","name":"V"}`) })
	for _, call := range [][2]string{{"POST", "/api/v1/variables"}, {"PUT", "/api/v1/variables/" + newID}} {
		if got := w.do(call[0], call[1], h, `{"name":"V","value":"1"}`); got.status != 200 {
			t.Fatalf("%v: %d %s", call, got.status, got.body)
		}
	}
	if got := w.flowEntries(&seq); got != nil {
		t.Errorf("entries: %q", got)
	}
}

func TestFlowLife_CountsForTenMinutes(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	var seq int64
	h := with("Cookie: "+w.cookie("user"), "Origin: "+appOrigin, "Content-Type: application/json")
	w.flowEntries(&seq)
	f.reply(func(request) string { return jsonReply(200, `{"id":"`+privateFlow+`","name":"Mine"}`) })
	save := func() {
		t.Helper()
		if got := w.do("PUT", "/api/v1/chatflows/"+privateFlow, h, `{"name":"Mine"}`); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	written := func() (times []int64) {
		entries, err := audit.After(context.Background(), w.db, seq, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Action == string(authz.FlowEdit) {
				times = append(times, e.Times)
			}
		}
		return times
	}
	save()
	w.clock.advance(9 * time.Minute)
	save()
	if got := written(); got != nil {
		t.Errorf("within ten minutes: entries with counts %v", got)
	}
	w.clock.advance(2 * time.Minute)
	eventually(t, "the entry", func() bool { return cmp.Equal(written(), []int64{2}) })
	save()
	w.gate.Flush(context.Background())
	if got := written(); !cmp.Equal(got, []int64{2, 1}) {
		t.Errorf("after ten minutes: entries with counts %v", got)
	}
}

func TestFlowLife_Langflow(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	var seq int64
	w.as("admin")
	w.flowEntries(&seq)
	in := " in " + w.app.Name + " (app " + w.app.ID + ")"
	do := func(method, target, body string, status int) answer {
		t.Helper()
		got := w.call("admin", method, target, body)
		if got.status != status {
			t.Fatalf("%s %s: %d %s", method, target, got.status, got.body)
		}
		return got
	}
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(do("POST", "/api/v1/flows/", `{"name":"Fresh"}`, 201).body), &made); err != nil ||
		made.ID == "" {
		t.Fatalf("created %+v, %v", made, err)
	}
	// Langflow's page saves every two seconds.
	for range 3 {
		do("PATCH", "/api/v1/flows/"+made.ID, `{"name":"Fresh","access_type":"PRIVATE"}`, 200)
	}
	do("PATCH", "/api/v1/flows/"+made.ID, `{"name":"Fresh","access_type":"PUBLIC"}`, 200)
	do("POST", "/api/v1/run/"+made.ID, `{"input_value":"x"}`, 200)
	key, id := w.key("user", authn.NewAPIKey{})
	h := with("Authorization: Bearer "+key, "Content-Type: application/json")
	if got := w.do("POST", "/api/v1/run/"+made.ID, h, `{"input_value":"x"}`); got.status != 200 {
		t.Fatalf("a run by key: %d %s", got.status, got.body)
	}
	do("DELETE", "/api/v1/flows/"+made.ID, "", 200)
	line := func(who, action string, times int, detail string) string {
		return fmt.Sprintf("%s %s done %s %q ×%d: %s", who, action, made.ID, "Fresh", times, detail)
	}
	want := []string{
		line("admin", "flow:edit", 1, "created"+in),
		line("admin", "flow:publish", 1, "published"+in),
		line("admin", "flow:edit", 1, "deleted"+in),
		line("admin", "flow:edit", 4, "changed"+in),
		line("admin", "flow:run", 1, "run"+in),
		line("user", "flow:run", 1, "run"+in+" with API key "+id),
	}
	if diff := cmp.Diff(want, w.flowEntries(&seq)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFlowLife_ImportsAreCalledSo(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	var seq int64
	w.as("admin")
	w.flowEntries(&seq)
	w.f.With(func() {
		w.f.Answer = func(lfRequest) *lfAnswer {
			return &lfAnswer{Status: 201, Kind: "application/json", Body: `[{"id":"` + newID + `","name":"Brought"}]`}
		}
	})
	h := w.as("admin")
	h.Set("Content-Type", "multipart/form-data; boundary=b")
	body := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.json\"\r\nContent-Type: " +
		"application/json\r\n\r\n" +
		`{"flows":[{"name":"Brought","data":{"nodes":[],"edges":[]}}]}` + "\r\n--b--\r\n"
	if got := w.do("POST", "/api/v1/flows/upload/", h, body); got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	got := w.flowEntries(&seq)
	if len(got) != 1 || !strings.HasPrefix(got[0], `admin flow:edit done `+newID+` "Brought" ×1: imported in `) {
		t.Errorf("entries: %q", got)
	}
}

// A client cannot keep an action out of the audit record by hanging up, because the builder still
// performs it.
func TestFlowLife_ClientHangsUp(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	var seq int64
	cookie := w.cookie("admin")
	w.flowEntries(&seq)
	in := " in " + w.app.Name + " (app " + w.app.ID + ")"
	for _, c := range []struct{ name, method, path, body, answer, want string }{
		{
			"create",
			"POST", "/api/v1/chatflows", `{"name":"New","type":"CHATFLOW"}`,
			jsonReply(200, `{"id":"`+newID+`","name":"New","type":"CHATFLOW"}`),
			`admin flow:edit done ` + newID + ` "New" ×1: created` + in,
		},
		{
			"change",
			"PUT", "/api/v1/chatflows/" + privateFlow, `{"name":"Mine"}`,
			jsonReply(200, `{"id":"`+privateFlow+`","name":"Mine"}`),
			`admin flow:edit done ` + privateFlow + ` "Mine" ×1: changed` + in,
		},
		{
			"unpublish",
			"PUT", "/api/v1/chatflows/" + publicFlow, `{"name":"Open","isPublic":false}`,
			jsonReply(200, `{"id":"`+publicFlow+`","name":"Open"}`),
			`admin flow:publish done ` + publicFlow + ` "Open" ×1: unpublished` + in,
		},
		{
			"delete",
			"DELETE", "/api/v1/chatflows/" + privateFlow, "",
			jsonReply(200, `{"affected":1}`),
			`admin flow:edit done ` + privateFlow + ` "Mine" ×1: deleted` + in,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, hangUp := context.WithCancel(context.Background())
			f.reply(func(request) string {
				hangUp()
				return c.answer
			})
			r := httptest.NewRequestWithContext(ctx, c.method, c.path, strings.NewReader(c.body))
			r.Host = appHost
			r.Header = with("Cookie: "+cookie, "Origin: "+appOrigin, "Content-Type: application/json")
			answer := httptest.NewRecorder()
			w.front.Config.Handler.ServeHTTP(answer, r)
			if ctx.Err() == nil {
				t.Fatalf("the builder was not asked: %d %s", answer.Code, answer.Body)
			}
			if got := w.flowEntries(&seq); !slices.Contains(got, c.want) {
				t.Errorf("entries %q, want %s", got, c.want)
			}
		})
	}
}

func TestFlowLife_BuilderGivesNoAnswer(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	var seq int64
	h := with("Cookie: "+w.cookie("admin"), "Origin: "+appOrigin, "Content-Type: application/json")
	w.flowEntries(&seq)
	in := " in " + w.app.Name + " (app " + w.app.ID + "); the builder gave no answer"
	for name, answer := range map[string]string{
		"not HTTP": "nonsense\r\n\r\n",
		"half an answer": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n1\r\n{\r\nx\r\n",
	} {
		f.reply(func(request) string { return answer })
		for _, c := range []struct{ method, path, want string }{
			{"PUT", "/api/v1/chatflows/" + privateFlow, "flow:edit failed " + privateFlow + ` "" ×1: requested`},
			{"POST", "/api/v1/chatflows", `flow:edit failed  "" ×1: requested`},
		} {
			if got := w.do(c.method, c.path, h, `{"name":"Mine","type":"CHATFLOW"}`); got.status < 500 {
				t.Errorf("%s: %s: %d", name, c.method, got.status)
			}
			if got := w.flowEntries(&seq); !cmp.Equal(got, []string{"admin " + c.want + in}) {
				t.Errorf("%s: %s: entries %q", name, c.method, got)
			}
		}
	}
	f.stop()
	if got := w.do("PUT", "/api/v1/chatflows/"+privateFlow, h, `{"name":"Mine"}`); got.status != 503 {
		t.Errorf("a builder that is down: %d", got.status)
	}
	if got := w.flowEntries(&seq); got != nil {
		t.Errorf("a builder that was never reached: entries %q", got)
	}
}
