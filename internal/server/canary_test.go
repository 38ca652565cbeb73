package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/sluicetest"
)

// canaries are secrets that were given to a Sluice or that it made, by what they are.
type canaries map[string]string

// spellings are the ways in which a secret could stand somewhere without being seen.
func spellings(secret string) []string {
	return []string{
		secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.RawURLEncoding.EncodeToString([]byte(secret)),
		hex.EncodeToString([]byte(secret)), strings.ToLower(secret),
	}
}

// search reports every canary in a text.
func (c canaries) search(t *testing.T, where string, text []byte) {
	t.Helper()
	for name, secret := range c {
		if len(secret) < 12 {
			t.Fatalf("the canary %q was never planted", name)
		}
		for _, spelling := range spellings(secret) {
			if i := bytes.Index(text, []byte(spelling)); i >= 0 {
				t.Errorf("%s holds the %s: …%q…", where, name, text[max(0, i-60):min(len(text), i+10)])
				break
			}
		}
	}
}

// TestCanary_NoPlainSecrets plants one secret of each kind, uses each rightly and wrongly, and
// searches for all of them in every file that Sluice has written, in its log and in its record.
func TestCanary_NoPlainSecrets(t *testing.T) {
	t.Parallel()
	secrets := canaries{
		"superuser's password": "canary-one horse-battery-staple", "second password": "canary-two " +
			"horse-battery-staple", "client secret": "canary-client-secret-4711",
		"vault value":              "sk-canary-vault-value-0815",
		"JWT_AUTH_TOKEN_SECRET":    "c4na2yJwtAuth8f1d60b7e3a95c2d4e6f7a8b",
		"JWT_REFRESH_TOKEN_SECRET": "c4na2yJwtRefr9a7e2b41f8d36c5a0e9b7d1c",
		"EXPRESS_SESSION_SECRET":   "c4na2ySession3b8e1f7a6d2c9e4b5a0f8d7e",
		"TOKEN_HASH_SECRET":        "c4na2yTokHash6e2d9b4a7f1c8e3d5b0a9f6c",
		"SMTP_PASSWORD":            "canary-smtp-password-99",
	}
	data := t.TempDir()
	s := sluicetest.Start(
		t,
		"DATABASE_PATH="+data,
		"LANGFLOW_SUPERUSER=root",
		"LANGFLOW_SUPERUSER_PASSWORD="+secrets["superuser's password"],
		"SMTP_HOST=127.0.0.1",
		"SMTP_PORT=9",
		"SMTP_USER=sluice",
		"SMTP_PASSWORD="+secrets["SMTP_PASSWORD"],
		"JWT_AUTH_TOKEN_SECRET="+secrets["JWT_AUTH_TOKEN_SECRET"],
		"JWT_REFRESH_TOKEN_SECRET="+secrets["JWT_REFRESH_TOKEN_SECRET"],
		"EXPRESS_SESSION_SECRET="+secrets["EXPRESS_SESSION_SECRET"],
		"TOKEN_HASH_SECRET="+secrets["TOKEN_HASH_SECRET"],
	)
	p := &planter{t: t, s: s, found: secrets}
	p.signIn()
	p.makeSecrets()
	p.misuse()
	audit := s.Log.String() + p.get(
		"/api/v1/audit?limit=200",
	).Body + p.get(
		"/api/v1/keys",
	).Body + p.get(
		"/api/v1/providers",
	).Body + p.get(
		"/api/v1/workspaces/default/credentials",
	).Body
	s.Stop()
	secrets.search(t, "the log or an answer", []byte(audit+s.Log.String()))
	err := filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		secrets.search(t, "the file "+d.Name(), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// planter makes secrets and keeps them.
type planter struct {
	t     *testing.T
	s     *sluicetest.Sluice
	found canaries
	root  *sluicetest.Client
}

func (p *planter) signIn() {
	p.root = p.s.Browser()
	form := url.Values{"identifier": {"root"}, "password": {p.found["superuser's password"]}}
	if a := p.root.Post("/login", form); a.Status != http.StatusSeeOther {
		p.t.Fatalf("root could not sign in: %d %s", a.Status, a.Body)
	}
	for _, c := range p.root.Cookies() {
		if c.Name == "sluice_session" {
			p.found["session cookie"] = c.Value
		}
	}
}

func (p *planter) get(path string) sluicetest.Answer {
	p.t.Helper()
	a := p.root.With("Accept", "application/json").Get(path)
	if a.Status != http.StatusOK {
		p.t.Fatalf("GET %s: %d %s", path, a.Status, a.Body)
	}
	return a
}

// post sends JSON and keeps strings of the answer by their keys: names maps a key to what it is.
func (p *planter) post(c *sluicetest.Client, path string, body any, names map[string]string) {
	p.t.Helper()
	var text []byte
	contentType := ""
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			p.t.Fatal(err)
		}
		contentType = "application/json"
	}
	a := c.With("Accept", "application/json").Do(http.MethodPost, path, contentType, bytes.NewReader(text))
	var answer map[string]any
	if a.Body != "" {
		if err := json.Unmarshal([]byte(a.Body), &answer); err != nil {
			p.t.Fatalf("POST %s: %d %s", path, a.Status, a.Body)
		}
	}
	if a.Status >= 300 {
		p.t.Fatalf("POST %s: %d %s", path, a.Status, a.Body)
	}
	for key, name := range names {
		value, _ := answer[key].(string)
		if value == "" {
			p.t.Fatalf("POST %s gives no %s: %s", path, key, a.Body)
		}
		p.found[name] = value
	}
}

func (p *planter) makeSecrets() {
	p.post(
		p.root,
		"/api/v1/users",
		map[string]any{
			"username": "ann",
			"email":    "ann@example.com",
			"password": p.found["second password"],
			"active":   true,
		},
		nil,
	)
	p.post(
		p.s.Browser(),
		"/api/v1/auth/token",
		map[string]any{"username": "ann", "password": p.found["second password"]},
		map[string]string{"access_token": "access token", "refresh_token": "refresh token"},
	)
	p.post(p.root, "/api/v1/keys", map[string]any{"name": "canary"}, map[string]string{"secret": "API key"})
	p.post(p.root, "/api/v1/me/factors/totp", nil, map[string]string{"secret": "authenticator's secret"})
	p.post(p.root, "/api/v1/providers", map[string]any{
		"slug":          "corp",
		"kind":          "oidc",
		"name":          "Corp",
		"issuer":        "https://idp.example.com",
		"client_id":     "sluice",
		"client_secret": p.found["client secret"],
	}, nil)
	p.post(
		p.root,
		"/api/v1/workspaces/default/credentials",
		map[string]any{
			"name":   "OpenAI",
			"kind":   "openAIApi",
			"values": map[string]string{"openAIApiKey": p.found["vault value"]},
		},
		nil,
	)
	u, err := p.s.People.Find(context.Background(), authz.SystemPrincipal("test"), "ann")
	if err != nil {
		p.t.Fatal(err)
	}
	token, _, err := p.s.SignUps.ResetLink(context.Background(), authz.SystemPrincipal("test"), u.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	p.found["reset token"] = token
	if err := p.s.SignUps.RequestReset(context.Background(), "ann", "192.0.2.1"); err != nil {
		p.t.Fatal(err)
	}
}

// misuse sends secrets where they do not belong, and slightly wrong, so that errors and refusals
// have something to leak.
func (p *planter) misuse() {
	stranger := p.s.Browser().With("Accept", "application/json")
	for name, secret := range p.found {
		wrong := secret[:len(secret)-1] + "~"
		for _, c := range []*sluicetest.Client{stranger.With("Authorization", "Bearer "+secret),
			stranger.With("Authorization", "Bearer "+wrong), stranger.With("X-Api-Key", secret), stranger.With("Cookie",
				"sluice_session="+secret)} {
			if a := c.Get("/api/v1/me"); strings.Contains(a.Body, secret) {
				p.t.Errorf("an answer repeats the %s", name)
			}
		}
		body, err := json.Marshal(map[string]string{"username": secret, "password": secret, "code": wrong})
		if err != nil {
			p.t.Fatal(err)
		}
		stranger.Do(http.MethodPost, "/api/v1/auth/token", "application/json", bytes.NewReader(body))
		p.s.Browser().Post("/login", url.Values{"identifier": {"root"}, "password": {secret + "x"}})
	}
}
