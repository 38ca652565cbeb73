package proxy_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"sluice/internal/flow"
	"sluice/internal/identity"
)

func TestVariables_PerWorkspace(t *testing.T) {
	t.Parallel()
	f, w, admin, _ := tenants(t)
	err := w.apps.Flows.Claim(
		context.Background(),
		flow.Object{App: w.app.ID, ID: newID, Kind: flow.Variable, Workspace: w.other, Name: "apiKey"},
		flow.Object{
			App:       w.app.ID,
			ID:        ownObject,
			Kind:      flow.Variable,
			Workspace: identity.DefaultWorkspace,
			Name:      "apiKey2",
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{
		"{{$vars.apiKey2}} and {{ $vars.unknown }}": 200,
		`$vars["apiKey2"]`:                          200,
		`$vars['apiKey2']`:                          200,
		"no variables at all":                       200,
		"vars.apiKey":                               200,
		"{{$vars.apiKey}}":                          404,
		"return $vars.apiKey + 1":                   404,
		`$vars["apiKey"]`:                           404,
		`$vars['apiKey']`:                           404,
		"$vars [ `apiKey` ]":                        404,
		`$vars["api"+"Key"]`:                        404,
		"JSON.stringify($vars)":                     404,
		"const {apiKey} = $vars":                    404,
		"$vars.apiKey2 $vars.apiKey":                404,
		"$vars":                                     404,
	} {
		inner, _ := json.Marshal(map[string]string{"message": text})
		body, _ := json.Marshal(map[string]string{"name": "x", "flowData": string(inner)})
		got := w.do("PUT", "/api/v1/chatflows/"+privateFlow, admin, string(body))
		if got.status != want {
			t.Errorf("%s: %d, want %d: %s", text, got.status, want, got.body)
		}
	}
	if got := w.do("PUT", "/api/v1/chatflows/"+privateFlow, admin,
		`{"flowData":"\u0024vars.apiKey"}`); got.status != 404 {
		t.Errorf("an escaped name: %d", got.status)
	}
	f.take()
	for _, c := range []struct {
		method, target, body string
		want                 int
	}{
		{"POST", "/api/v1/variables", `{"name":"apiKey","value":"x"}`, http.StatusConflict}, {"PUT",
			"/api/v1/variables/" + ownObject, `{"name":"apiKey"}`, http.StatusConflict},
		{"POST", "/api/v1/variables", `{"name":"mine","value":"x"}`, 200}, {"PUT", "/api/v1/variables/" + ownObject,
			`{"name":"apiKey2","value":"y"}`, 200},
	} {
		if got := w.do(c.method, c.target, admin, c.body); got.status != c.want {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.body, got.status, c.want, got.body)
		}
	}
}
