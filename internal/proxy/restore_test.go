package proxy_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRestore_PublicRuns: Langflow before 1.9 runs the flow in a stranger's request. It gets the
// stored flow instead.
func TestRestore_PublicRuns(t *testing.T) {
	t.Parallel()
	const graph = `{"nodes":[],"edges":[],"viewport":{"x":1}}`
	h := with("Content-Type: application/json", "Cookie: client_id=0b6a")
	for _, old := range []bool{true, false} {
		w := newLangflowWorld(t, old)
		w.f.With(func() { w.own.Get("flows", w.ownFlow).Data = json.RawMessage(graph) })
		if got := w.call("admin", "GET", "/api/v1/flows/", ""); got.status != http.StatusOK {
			t.Fatal(got.body)
		}
		if err := w.apps.Publications.Publish(t.Context(), systemPrincipal, w.app.ID, w.ownFlow); err != nil {
			t.Fatal(err)
		}
		w.f.With(func() { w.own.Get("flows", w.ownFlow).Access = "PUBLIC" })
		for body, rest := range map[string]string{
			`{"inputs":{"input_value":"hi"}}`:                                      `"inputs":{"input_value":"hi"}`,
			` { "data" : {"nodes":[],"edges":[]} , "inputs":{"input_value":"hi"}}`: `"inputs":{"input_value":"hi"}`,
			`{"data":{"nodes":[],"edges":[]}}`:                                     "",
			`{"data":null,"inputs":{"input_value":"hi"}}`:                          `"inputs":{"input_value":"hi"}`,
			`{}`: "",
		} {
			w.f.Take()
			got := w.do("POST", "/api/v1/build_public_tmp/"+w.ownFlow+"/flow", h, body)
			log := w.f.Take()
			if got.status != http.StatusOK || len(log) != 1 {
				t.Fatalf("old %v: %s: %d %s", old, body, got.status, got.body)
			}
			var sent, want map[string]any
			if err := json.Unmarshal([]byte(log[0].Body), &sent); err != nil {
				t.Fatalf("old %v: %s became %s", old, body, log[0].Body)
			}
			text := "{" + rest + "}"
			if old {
				text = `{"data":` + graph + comma(rest) + "}"
			}
			if err := json.Unmarshal([]byte(text), &want); err != nil {
				t.Fatal(err)
			}
			if !old && sent["data"] == nil {
				delete(sent, "data") // it sets nothing
			}
			if diff := cmp.Diff(want, sent); diff != "" {
				t.Errorf("old %v: %s: %s", old, body, diff)
			}
		}
		if !old {
			continue
		}
		w.f.With(func() { w.own.Get("flows", w.ownFlow).Access = "PRIVATE" })
		w.f.Take()
		if got := w.do("POST", "/api/v1/build_public_tmp/"+w.ownFlow+"/flow", h,
			`{}`); got.status != http.StatusServiceUnavailable ||
			len(w.f.Take()) > 0 {
			t.Errorf("a flow that Langflow does not give: %d %s", got.status, got.body)
		}
	}
}

func comma(s string) string {
	if s == "" {
		return ""
	}
	return "," + s
}
