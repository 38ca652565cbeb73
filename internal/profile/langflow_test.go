package profile

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
	"sluice/internal/problem"
)

func TestLangflowTakesNoCredentials(t *testing.T) {
	p := mustProfile(t, KindLangflow, Options{})
	h := http.Header{
		"Authorization": {"Bearer x"}, "X-Api-Key": {"sk-x"}, "X_api_key": {"sk-x"}, "X-Langflow-Global-Var-Openai-Key": {"x"}, "X-LANGFLOW-GLOBAL-VAR-A": {"x"}, "x_langflow_global_var_b": {"x"},
		"X.Langflow.Global.Var.C": {"x"}, "X-Sluice-Assertion": {"x"}, "X-Langflow-Mcp-Composer-Token": {"x"}, "X-Forwarded-Prefix": {"/x"},
		"Cookie": {"access_token_lf=a; client_id=0b6a; refresh_token_lf=b", "apikey_tkn_lflw=c; auto_login_lf=d; lf_connection_oauth_0123=e; other=f; Client_Id=g; __Host-access_token_lf=h"},
		"Accept": {"*/*"}, "X-Langflow-Client": {"ui"}, "If-Match": {"v"},
	}
	p.CleanRequest(h)
	want := http.Header{"Cookie": {"client_id=0b6a; lf_connection_oauth_0123=e"}, "Accept": {"*/*"}, "X-Langflow-Client": {"ui"}, "If-Match": {"v"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	answer := http.Header{"Set-Cookie": {"refresh_token_lf=x; SameSite=None", "lf_connection_oauth_9=y", "session=z"}, "Server": {"uvicorn"}, "Access-Control-Allow-Origin": {"*"}}
	p.CleanResponse(answer)
	if diff := cmp.Diff(http.Header{"Set-Cookie": {"lf_connection_oauth_9=y"}}, answer); diff != "" {
		t.Error(diff)
	}
}

func TestLangflowErrors(t *testing.T) {
	p := mustProfile(t, KindLangflow, Options{})
	denied := problem.New(problem.Denied, "You may not change this flow.").WithNext("Ask an admin.").WithRule("role")
	var body struct{ Detail, Next, Rule, RequestID string }
	a := p.Error(denied, "r1")
	if err := json.Unmarshal(a.Body, &body); err != nil || a.Status != http.StatusForbidden || body.Detail != "You may not change this flow. Ask an admin." || body.Rule != "role" {
		t.Errorf("%d %s %v", a.Status, a.Body, err)
	}
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"a page's own call":            {http.Header{"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}}, langflowPageStatus},
		"axios without that":           {http.Header{"Accept": {"application/json, text/plain, */*"}}, langflowPageStatus},
		"a page of another origin":     {http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"cors"}, "Accept": {"application/json, text/plain, */*"}}, 403},
		"an address that was typed":    {http.Header{"Sec-Fetch-Site": {"none"}, "Sec-Fetch-Mode": {"navigate"}}, 403},
		"a link on the page":           {http.Header{"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"navigate"}}, 403},
		"a program":                    {http.Header{"Accept": {"*/*"}}, 403},
		"a page that is not signed in": {nil, 403},
	} {
		if got := p.ErrorFor(c.header, denied, "r1"); got.Status != c.status || !strings.Contains(string(got.Body), "You may not change this flow.") {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	// Signing in again helps then, and the page asks for it.
	page := http.Header{"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}}
	if got := p.ErrorFor(page, problem.New(problem.Unauthenticated, "Sign in."), "r1"); got.Status != http.StatusUnauthorized {
		t.Errorf("not signed in: %d", got.Status)
	}
}

func TestBodyRuleExceptions(t *testing.T) {
	access := BodyRule{Keys: []string{"access_type"}, Action: authz.FlowPublish, Unset: true, Except: []string{"PRIVATE"}}
	names := BodyRule{Keys: []string{"name"}, Plain: true}
	inside := BodyRule{In: "flows", Keys: []string{"id"}, Unset: true}
	cases := []struct {
		rule       BodyRule
		key, value string
		want       bool
	}{
		{access, "access_type", `"PRIVATE"`, false}, {access, "access_type", `"PRIVAT\u0045"`, false}, {access, "access_type", `null`, false},
		{access, "access_type", `"PUBLIC"`, true}, {access, "access_type", `"private"`, true}, {access, "access_type", `["PRIVATE"]`, true}, {access, "access_type", `bad`, true},
		{names, "name", `"my base"`, false}, {names, "name", `"Größe_1.x"`, false}, {names, "name", `["a","b"]`, false},
		{names, "name", `"/tmp/x"`, true}, {names, "name", `"a/b"`, true}, {names, "name", `"a\\b"`, true}, {names, "name", `"x\u0000y"`, true}, {names, "name", `".."`, true},
		{names, "name", `".hidden"`, true}, {names, "name", `" a"`, true}, {names, "name", `"a%2fb"`, true}, {names, "name", `""`, true}, {names, "name", `["a","../b"]`, true},
		{names, "name", `[["a"]]`, true}, {names, "name", `{"a":1}`, true}, {names, "name", `"\u007f"`, true}, {names, "name", `null`, true},
		{inside, "flows", `[{"name":"x"},{"id":null}]`, false}, {inside, "flows", `[]`, false}, {inside, "id", `"x"`, false}, {inside, "other", `[{"id":"x"}]`, false},
		{inside, "flows", `[{"name":"x"},{"id":"x"}]`, true}, {inside, "flows", `[{"\u0069d":"x"}]`, true}, {inside, "flows", `{"id":"x"}`, true}, {inside, "flows", `[1]`, true},
	}
	for _, c := range cases {
		if got := c.rule.Needs(c.key, []byte(c.value)); got != c.want {
			t.Errorf("%s: %s needs the action: %v, want %v", c.key, c.value, got, c.want)
		}
	}
}

func TestHiding(t *testing.T) {
	h := Hiding{Member: "value", Where: "type", Is: "Credential"}
	for body, want := range map[string]string{
		`{"id":"1","type":"Credential","value":"x"}`:   `{"id":"1","type":"Credential","value":null}`,
		`{"type":"credential","value":{"a":1}}`:        `{"type":"credential","value":null}`,
		`{"type":"\u0043redential","value":"x"}`:       `{"type":"\u0043redential","value":null}`,
		`{"type":"Generic","value":"x"}`:               `{"type":"Generic","value":"x"}`,
		`[ ]`:                                          `[ ]`,
		`[{"type":"Credential","value":null},{"b":1}]`: `[{"type":"Credential","value":null},{"b":1}]`,
		` [{"type":"Generic","value":"y"},{"type":"Credential","value":"x","a":"b"}]`: `[{"type":"Generic","value":"y"},{"a":"b","type":"Credential","value":null}]`,
		`{"type":["Credential"],"value":"x"}`:                                         `{"type":["Credential"],"value":"x"}`,
		`"x"`:                                                                         "", `[1]`: "", `null`: "", `[null]`: "", `{`: "", ``: "", `[{"a":1}`: "",
	} {
		got, err := h.Clean([]byte(body))
		if (want == "") != (err != nil) || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", body, got, err, want)
		}
	}
}

// FuzzHiding: whatever passes has no value where its type says that it is a secret.
func FuzzHiding(f *testing.F) {
	for _, s := range []string{`{"type":"Credential","value":"x"}`, `[{"type":"Credential","value":"x"}]`, `[]`, `{"type":"Credential","type":"Generic","value":"x"}`} {
		f.Add([]byte(s))
	}
	h := Hiding{Member: "value", Where: "type", Is: "Credential"}
	f.Fuzz(func(t *testing.T, body []byte) {
		clean, err := h.Clean(body)
		if err != nil {
			return
		}
		var list []map[string]any
		if json.Unmarshal(clean, &list) != nil {
			var one map[string]any
			if err := json.Unmarshal(clean, &one); err != nil {
				t.Fatalf("%q became %q", body, clean)
			}
			list = append(list, one)
		}
		for _, el := range list {
			if el["type"] == "Credential" && el["value"] != nil {
				t.Fatalf("%q became %q", body, clean)
			}
		}
	})
}

// FuzzPlainNames: what passes as a plain name has no meaning to a file system beyond being one.
func FuzzPlainNames(f *testing.F) {
	for _, s := range []string{`"a"`, `["a","b"]`, `"../x"`, `"a\u0000"`, `"a\\b"`, `" "`, `[["a"]]`} {
		f.Add([]byte(s))
	}
	rule := BodyRule{Keys: []string{"name"}, Plain: true}
	f.Fuzz(func(t *testing.T, value []byte) {
		if rule.Needs("name", value) {
			return
		}
		var one string
		var list []string
		if json.Unmarshal(value, &one) == nil {
			list = []string{one}
		} else if err := json.Unmarshal(value, &list); err != nil {
			t.Fatalf("%q passes and is neither a text nor a list: %v", value, err)
		}
		for _, name := range list {
			if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\x00\n\r%") || len(name) > 255 {
				t.Fatalf("%q passes", name)
			}
		}
	})
}
