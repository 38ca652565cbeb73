package langflow

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/problem"
)

func TestProfile_TakesNoCredentials(t *testing.T) {
	p := mustProfile(t, "langflow")
	h := http.Header{
		"Authorization":                    {"Bearer x"},
		"X-Api-Key":                        {"sk-x"},
		"X_api_key":                        {"sk-x"},
		"X-Langflow-Global-Var-Openai-Key": {"x"},
		"X-LANGFLOW-GLOBAL-VAR-A":          {"x"},
		"x_langflow_global_var_b":          {"x"},
		"X.Langflow.Global.Var.C":          {"x"},
		"X-Sluice-Assertion":               {"x"},
		"X-Langflow-Mcp-Composer-Token":    {"x"},
		"X-Forwarded-Prefix":               {"/x"},
		"Cookie": {
			"access_token_lf=a; client_id=0b6a; refresh_token_lf=b",
			"apikey_tkn_lflw=c; auto_login_lf=d; lf_connection_oauth_0123=e; other=f; Client_Id=g; " +
				"__Host-access_token_lf=h",
		},
		"Accept":            {"*/*"},
		"X-Langflow-Client": {"ui"},
		"If-Match":          {"v"},
	}
	p.CleanRequest(h)
	want := http.Header{
		"Cookie":            {"client_id=0b6a; lf_connection_oauth_0123=e"},
		"Accept":            {"*/*"},
		"X-Langflow-Client": {"ui"},
		"If-Match":          {"v"},
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	answer := http.Header{
		"Set-Cookie":                  {"refresh_token_lf=x; SameSite=None", "lf_connection_oauth_9=y", "session=z"},
		"Server":                      {"uvicorn"},
		"Access-Control-Allow-Origin": {"*"},
	}
	p.CleanResponse(answer)
	if diff := cmp.Diff(http.Header{"Set-Cookie": {"lf_connection_oauth_9=y"}}, answer); diff != "" {
		t.Error(diff)
	}
}

func TestProfile_Errors(t *testing.T) {
	p := mustProfile(t, "langflow")
	denied := problem.New(problem.Denied, "You may not change this flow.").WithNext("Ask an admin.").WithRule("role")
	var body struct{ Detail, Next, Rule, RequestID string }
	a := p.Error(denied, "r1")
	if err := json.Unmarshal(a.Body, &body); err != nil || a.Status != http.StatusForbidden ||
		body.Detail != "You may not change this flow. Ask an admin." ||
		body.Rule != "role" {
		t.Errorf("%d %s %v", a.Status, a.Body, err)
	}
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"a page's own call": {http.Header{"Sec-Fetch-Site": {
			"same-origin"}, "Sec-Fetch-Mode": {"cors"}}, pageStatus,
		},
		"axios without that": {http.Header{"Accept": {"application/json, text/plain, */*"}}, pageStatus},
		"a page of another origin": {http.Header{"Sec-Fetch-Site": {
			"cross-site"}, "Sec-Fetch-Mode": {"cors"}, "Accept": {"application/json, text/plain, */*"}}, 403,
		},
		"an address that was typed": {http.Header{"Sec-Fetch-Site": {"none"}, "Sec-Fetch-Mode": {"navigate"}}, 403},
		"a link on the page": {http.Header{"Sec-Fetch-Site": {
			"same-origin"}, "Sec-Fetch-Mode": {"navigate"}}, 403,
		},
		"a program":                    {http.Header{"Accept": {"*/*"}}, 403},
		"a page that is not signed in": {nil, 403},
	} {
		if got := p.ErrorFor(c.header, denied, "r1"); got.Status != c.status ||
			!strings.Contains(string(got.Body), "You may not change this flow.") {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	// Signing in again helps, and the page asks for it.
	page := http.Header{"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}}
	expired := problem.New(problem.Unauthenticated, "Sign in.")
	if got := p.ErrorFor(page, expired, "r1"); got.Status != http.StatusUnauthorized {
		t.Errorf("not signed in: %d", got.Status)
	}
}
