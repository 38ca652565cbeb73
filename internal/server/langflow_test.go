package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/sluicetest"
)

// caller is the same browser, calling the API with JSON.
type caller struct{ *sluicetest.Client }

func (c caller) call(method, path, body string) sluicetest.Answer {
	return c.With("Sec-Fetch-Mode", "cors").
		With("Accept", "application/json").
		Do(method, "/api/v1"+path, "application/json", strings.NewReader(body))
}

func says(t *testing.T, what string, a sluicetest.Answer, status int, words ...string) {
	t.Helper()
	if a.Status != status {
		t.Errorf("%s: %d %s, want %d", what, a.Status, a.Location(), status)
	}
	for _, w := range words {
		if !strings.Contains(a.Body, w) {
			t.Errorf("%s does not say %q:\n%.3000s", what, w, a.Body)
		}
	}
	for _, secret := range []string{langflowtest.Secret, langflowtest.Password, "not the password"} {
		if strings.Contains(a.Body, secret) {
			t.Errorf("%s shows a secret", what)
		}
	}
}

func TestConnectingALangflow(t *testing.T) {
	t.Parallel()
	lf := langflowtest.Start(t)
	s := sluicetest.Start(t)
	s.Add("root", authz.RoleAdmin, true)
	b := s.SignedIn("root")
	says(
		t,
		"looking",
		b.Post("/admin/apps/find", url.Values{"url": {lf.URL}}),
		http.StatusOK,
		"Langflow 1.13.0",
		"Sluice tests each method",
		"external authentication",
	)
	a := b.Post("/admin/apps", url.Values{"url": {lf.URL}, "name": {"Flows"}})
	app := s.Apps.All()[0]
	page := "/admin/apps/" + app.ID + "/connection"
	if a.Status != http.StatusSeeOther || a.Location() != page {
		t.Fatalf("adding it leads to %d %s, want its connection", a.Status, a.Location())
	}
	says(
		t,
		"the connection page",
		b.Get(page),
		http.StatusOK,
		"Langflow trusts Sluice",
		"A shared secret key",
		"A sign-in for each account",
		"Not tested",
		"LANGFLOW_EXTERNAL_AUTH_JWKS_URL="+s.MainOrigin("")+"/.well-known/jwks.json",
	)
	says(t, "the app's page", b.Get("/admin/apps/"+app.ID), http.StatusOK, "Connect Langflow", "Not connected")
	wrong := url.Values{
		"do":         {"test"},
		"superuser":  {langflowtest.Superuser},
		"password":   {"not the password"},
		"secret_key": {langflowtest.Secret},
		"accounts":   {"shared"},
	}
	says(
		t,
		"a test with a wrong password",
		b.Post(page, wrong),
		http.StatusOK,
		"Does not work yet",
		"did not accept the superuser",
	)
	wrong.Set("do", "save")
	says(t, "saving it", b.Post(page, wrong), http.StatusConflict, "Does not work yet")
	right := url.Values{
		"do":         {"test"},
		"superuser":  {langflowtest.Superuser},
		"password":   {langflowtest.Password},
		"secret_key": {langflowtest.Secret},
		"accounts":   {"shared"},
	}
	says(
		t,
		"a test with the right one",
		b.Post(page, right),
		http.StatusOK,
		"Langflow accepts tokens that Sluice signs",
	)
	if now, _ := s.Apps.ByID(app.ID); now.BridgeMode != "" {
		t.Errorf("a test has connected it: %q", now.BridgeMode)
	}
	right.Set("do", "save")
	if a := b.Post(page, right); a.Status != http.StatusSeeOther || a.Location() != "/admin/apps/"+app.ID {
		t.Fatalf("saving: %d %s %.2000s", a.Status, a.Location(), a.Body)
	}
	says(
		t,
		"the app's page then",
		b.Get("/admin/apps/"+app.ID),
		http.StatusOK,
		"Bridged",
		"Online",
		"A shared secret key",
		"One per workspace",
	)
	says(
		t,
		"the connection then",
		b.Get(page),
		http.StatusOK,
		"Connected: A shared secret key",
		"Leave this empty to keep it",
		`value="`+langflowtest.Superuser+`"`,
	)
	if a := b.Post(page, url.Values{"do": {"save"}, "mode": {"sign-in"},
		"accounts": {"per-person"}}); a.Status != http.StatusSeeOther {
		t.Errorf("another way with what is stored: %d %.2000s", a.Status, a.Body)
	}
	if now, _ := s.Apps.ByID(app.ID); now.BridgeMode != "sign-in" || !now.PerPerson {
		t.Errorf("it is %q, per person %t", now.BridgeMode, now.PerPerson)
	}
}

func TestLangflow_AdoptUsers(t *testing.T) {
	t.Parallel()
	lf := langflowtest.Start(t)
	ada := lf.Add("ada", "x", "Invoices", "Support").ID
	s := sluicetest.Start(
		t,
		"SLUICE_PROTECT=langflow="+lf.URL,
		"LANGFLOW_SECRET_KEY="+langflowtest.Secret,
		"LANGFLOW_SUPERUSER="+langflowtest.Superuser,
		"LANGFLOW_SUPERUSER_PASSWORD="+langflowtest.Password,
	)
	s.Add("root", authz.RoleAdmin, true)
	b := s.SignedIn("root")
	app := s.Apps.All()[0]
	says(t, "checking", b.Post("/admin/apps/"+app.ID+"/check", nil), http.StatusSeeOther)
	says(t, "the app, connected by the variables", b.Get("/admin/apps/"+app.ID), http.StatusOK, "A shared secret key")
	users := "/admin/apps/" + app.ID + "/builder-users"
	says(t, "the users", b.Get(users), http.StatusOK, "ada", "2 flows, 1 project", "Adopt ada", "created by Sluice")
	says(
		t,
		"one of them",
		b.Get(users+"/"+ada),
		http.StatusOK,
		"Adopt this user with 2 flows",
		"Default workspace",
		"keep their ids",
	)
	says(t, "nobody", b.Get(users+"/nobody"), http.StatusNotFound)
	says(
		t,
		"another workspace",
		b.Post(users+"/"+ada, url.Values{"to": {"elsewhere"}}),
		http.StatusBadRequest,
		"is not used in this workspace",
	)
	if a := b.Post(users+"/"+ada, url.Values{"to": {"default"}}); a.Status != http.StatusSeeOther {
		t.Fatalf("adopting: %d %.2000s", a.Status, a.Body)
	}
	says(t, "the users then", b.Get(users), http.StatusOK, "adopted")
	says(t, "the flows of the workspace", b.Get("/flows"), http.StatusOK, "Invoices", "Support", "%2Fflow%2F")
	says(t, "the user then", b.Get(users+"/"+ada), http.StatusOK, "Release user")
	says(t, "Sluice's own", b.Post(users+"/"+ada+"/release", nil), http.StatusSeeOther)
	if a := b.Get("/flows"); strings.Contains(a.Body, "Invoices") {
		t.Error("the flows stayed when the user went")
	}
}

func TestLangflow_API(t *testing.T) {
	t.Parallel()
	lf := langflowtest.Start(t)
	ada := lf.Add("ada", "x", "Invoices").ID
	s := sluicetest.Start(t)
	s.Add("root", authz.RoleAdmin, true)
	s.Add("cid", authz.RoleUser, false)
	root, cid := caller{s.SignedIn("root")}, caller{s.SignedIn("cid")}
	says(
		t,
		"looking",
		root.call(http.MethodPost, "/apps/look", `{"url":"`+lf.URL+`"}`),
		http.StatusOK,
		`"kind":"langflow"`,
		`"supports":[`,
	)
	says(
		t,
		"an unknown kind",
		root.call(http.MethodPost, "/apps", `{"url":"`+lf.URL+`","kind":"dify"}`),
		http.StatusBadRequest,
		"langflow",
	)
	says(t, "adding", root.call(http.MethodPost, "/apps", `{"url":"`+lf.URL+`","kind":"langflow"}`), http.StatusCreated)
	base := "/apps/" + s.Apps.All()[0].ID
	says(
		t,
		"the connection",
		root.call(http.MethodGet, base+"/connection", ""),
		http.StatusOK,
		`"mode":""`,
		`"has_secret_key":false`,
		"LANGFLOW_EXTERNAL_AUTH_ENABLED=true",
	)
	access := `"superuser":"` + langflowtest.Superuser + `","password":"` + langflowtest.Password + `","secret_key":"` +
		langflowtest.Secret + `"`
	says(
		t,
		"tests",
		root.call(http.MethodPost, base+"/trials", `{`+access+`}`),
		http.StatusOK,
		`"mode":"external","ok":false`,
		`"mode":"signed","ok":true`,
		`"mode":"sign-in","ok":true`,
		`"total":3`,
	)
	says(
		t,
		"a way that does not work",
		root.call(http.MethodPut, base+"/connection", `{"mode":"external",`+access+`}`),
		http.StatusConflict,
		`"field":"mode"`,
	)
	says(
		t,
		"a word that is none",
		root.call(http.MethodPut, base+"/connection", `{"mode":"magic"}`),
		http.StatusBadRequest,
	)
	says(
		t,
		"users before it is connected",
		root.call(http.MethodGet, base+"/builder-users", ""),
		http.StatusConflict,
		"not connected",
	)
	says(
		t,
		"connecting",
		root.call(http.MethodPut, base+"/connection", `{`+access+`}`),
		http.StatusOK,
		`"mode":"signed"`,
		`"has_secret_key":true`,
		`"has_password":true`,
	)
	says(
		t,
		"users",
		root.call(http.MethodGet, base+"/builder-users", ""),
		http.StatusOK,
		`"username":"ada"`,
		`"flows":1`,
		`"total":3`,
	)
	says(
		t,
		"adopting",
		root.call(http.MethodPut, base+"/builder-users/"+ada, `{"workspace_id":"default"}`),
		http.StatusOK,
		`"adopted":`,
	)
	says(
		t,
		"somebody who is no member",
		root.call(http.MethodPut, base+"/builder-users/"+ada, `{"workspace_id":"default","person_id":"nobody"}`),
		http.StatusBadRequest,
		`"field":"person_id"`,
	)
	says(t, "letting go", root.call(http.MethodDelete, base+"/builder-users/"+ada, ""), http.StatusNoContent)
	says(t, "letting go again", root.call(http.MethodDelete, base+"/builder-users/"+ada, ""), http.StatusNotFound)
	for _, c := range [][3]string{{"GET", "/connection"}, {"PUT", "/connection", `{}`}, {"POST", "/trials", `{}`},
		{"GET", "/builder-users"}, {"PUT", "/builder-users/" + ada, `{"workspace_id":"default"}`}, {"DELETE",
			"/builder-users/" + ada}} {
		says(t, "a User's "+c[0]+" "+c[1], cid.call(c[0], base+c[1], c[2]), http.StatusForbidden)
	}
	for _, path := range []string{"/connection", "/builder-users", "/builder-users/" + ada} {
		if a := cid.Get("/admin" + base + path); a.Status != http.StatusSeeOther && a.Status != http.StatusForbidden {
			t.Errorf("a User sees the page %s: %d", path, a.Status)
		}
	}
}
