package proxy_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/flow"
	"sluice/internal/identity"
)

// ids are the ids of a list, in order.
func ids(t testing.TB, body string, path ...string) []string {
	t.Helper()
	value := json.RawMessage(body)
	for _, name := range path {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(value, &m); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		value = m[name]
	}
	var list []struct{ ID string }
	if err := json.Unmarshal(value, &list); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].ID
	}
	return out
}

func TestLists_AllAccounts(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{false, true} {
		w := newLangflowWorld(t, old)
		variable := w.adopted.Put("variables", &lfThing{Name: "v"})
		file := w.own.Put("files", &lfThing{Name: "f"})
		w.theirs.Put("variables", &lfThing{Name: "secret"})
		w.theirs.Put("files", &lfThing{Name: "secret"})
		projects := []string{w.own.Things["projects"][0].ID, w.adopted.Things["projects"][0].ID}
		flows := []string{w.ownFlow, w.oldFlow}
		for name, c := range map[string]struct {
			target string
			path   []string
			want   []string
			kind   flow.Kind
		}{
			"flows": {"/api/v1/flows/?get_all=true&header_flows=true", nil, flows, flow.Chatflow},
			"flows, a page": {"/api/v1/flows/?get_all=false&page=1&size=50", []string{"items"}, flows,
				flow.Chatflow},
			"without a slash": {"/api/v1/flows", nil, flows, flow.Chatflow},
			"of one project":  {"/api/v1/flows/?folder_id=" + projects[1], nil, flows[1:], flow.Chatflow},
			"projects":        {"/api/v1/projects/", nil, projects, flow.Project},
			"in a project":    {"/api/v1/projects/" + projects[1], []string{"flows"}, flows[1:], flow.Chatflow},
			"in one, by pages": {"/api/v1/projects/" + projects[0] + "?page=1&size=12", []string{"flows", "items"},
				flows[:1], flow.Chatflow},
			"variables": {"/api/v1/variables/", nil, []string{variable.ID}, flow.Variable},
			"files":     {"/api/v2/files", nil, []string{file.ID}, flow.StoredFile},
		} {
			got := w.call("viewer", "GET", c.target, "")
			if name == "variables" {
				got = w.call("user", "GET", c.target, "")
			}
			if got.status != 200 || got.header.Get("Content-Encoding") != "" || strings.Contains(got.body, "ecret") {
				t.Fatalf("old %v, %s: %d %v %s", old, name, got.status, got.header, got.body)
			}
			if list := ids(t, got.body, c.path...); !slices.Equal(list, c.want) {
				t.Errorf("old %v, %s: %v, want %v", old, name, list, c.want)
			}
			for _, id := range c.want {
				if ws, kind, _ := w.apps.Flows.Owner(w.app.ID, id); ws != identity.DefaultWorkspace || kind != c.kind {
					t.Errorf("old %v, %s: %s belongs to %q as %q", old, name, id, ws, kind)
				}
			}
		}
		got := w.call("viewer", "GET", "/api/v1/flows/?get_all=false", "")
		if !strings.Contains(got.body, `"total":2`) || !strings.Contains(got.body, `"pages":1`) {
			t.Errorf("the counts of two accounts: %s", got.body)
		}
		if got := w.call("other", "GET", "/api/v1/flows/", ""); got.status != 200 || len(ids(t, got.body)) != 2 ||
			strings.Contains(got.body, w.ownFlow) {
			t.Errorf("the other workspace sees %s", got.body)
		}
	}
}

func TestLists_MovedObject(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	w.call("admin", "GET", "/api/v1/flows/", "")
	if err := w.apps.Flows.Move(context.Background(), systemPrincipal, w.app.ID, []string{w.ownFlow}, w.other,
		""); err != nil {
		t.Fatal(err)
	}
	got := w.call("admin", "GET", "/api/v1/flows/?get_all=false", "")
	if list := ids(t, got.body, "items"); !slices.Equal(list, []string{w.oldFlow}) ||
		!strings.Contains(got.body, `"total":1`) {
		t.Errorf("%s", got.body)
	}
	if got := w.call("admin", "GET", "/api/v1/flows/"+w.ownFlow, ""); got.status != 404 {
		t.Errorf("it is still theirs: %d %s", got.status, got.body)
	}
}

func TestLists_FailedAccount(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	w.f.With(func() {
		w.f.Answer = func(g lfRequest) *lfAnswer {
			if g.Account == "veteran" {
				return &lfAnswer{Status: 500, Kind: "application/json", Body: `{"detail":"x"}`}
			}
			return nil
		}
	})
	if got := w.call("admin", "GET", "/api/v1/flows/", ""); got.status != 200 ||
		!slices.Equal(ids(t, got.body), []string{w.ownFlow}) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestLists_CompressedAnswer(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	pack := func(data []byte) string {
		var b bytes.Buffer
		zip := gzip.NewWriter(&b)
		_, _ = zip.Write(data)
		_ = zip.Close()
		return b.String()
	}
	zipped := http.Header{"Content-Encoding": {"gzip"}, "Etag": {`"x"`}}
	answer := ""
	w.f.With(func() {
		w.f.Answer = func(lfRequest) *lfAnswer {
			return &lfAnswer{Status: 200, Kind: "application/json", Body: answer, Header: zipped}
		}
	})
	set := func(s string) { w.f.With(func() { answer = s }) }
	set(pack([]byte(`[{"id":"` + w.ownFlow + `","name":"<a&b>"}]`)))
	if got := w.call("admin", "GET", "/api/v1/flows/", ""); got.status != 200 || got.header.Get("Etag") != "" ||
		!strings.Contains(got.body, `"<a&b>"`) {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
	for name, body := range map[string]string{
		"a bomb":       pack(bytes.Repeat([]byte(" "), 40<<20)),
		"not packed":   "[]",
		"cut off":      pack([]byte(`[{"id":"x"}]`))[:20],
		"packed twice": pack([]byte(pack([]byte(`[]`)))),
	} {
		set(body)
		if got := w.call("admin", "GET", "/api/v1/flows/", ""); got.status != http.StatusBadGateway {
			t.Errorf("%s: %d %.100s", name, got.status, got.body)
		}
	}
	set(pack([]byte(`[]`)))
	for range 8 { // the reservation is released
		if got := w.call("admin", "GET", "/api/v1/flows/", ""); got.status != 200 {
			t.Errorf("after the bombs: %d %s", got.status, got.body)
		}
	}
}

func TestLists_RenewalCounted(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	w.call("admin", "GET", "/api/v1/flows/", "")
	forgotten := ""
	for _, g := range w.f.Take() {
		if g.Account == "veteran" {
			forgotten = strings.TrimPrefix(g.Header.Get("Authorization"), "Bearer ")
		}
	}
	if forgotten == "" {
		t.Fatal("the second account was not asked")
	}
	w.clock.advance(time.Minute)
	// The request is refused, and then the question of the bridge whether it was only that request.
	w.f.With(func() { w.f.Refuse = map[string]int{forgotten: 2} })
	if got := w.call("admin", "GET", "/api/v1/flows/", ""); got.status != 200 || len(ids(t, got.body)) != 2 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	eventually(t, "the count of renewals", func() bool {
		return gauge(t, w.world, "sluice_proxy_session_renewals_total") == 1
	})
}
