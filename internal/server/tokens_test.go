package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/sluicetest"
)

// program is an API client.
type program struct {
	t    *testing.T
	s    *sluicetest.Sluice
	Pair struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
}

// signIn signs a program in with Password.
func signIn(t *testing.T, s *sluicetest.Sluice, username string) *program {
	t.Helper()
	p := &program{t: t, s: s}
	p.take(p.post("/api/v1/auth/token", map[string]string{"username": username, "password": sluicetest.Password}))
	return p
}

func (p *program) post(path string, body any) sluicetest.Answer {
	p.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.s.Browser().Do(http.MethodPost, path, "application/json", bytes.NewReader(text))
}

// take keeps the tokens of an answer.
func (p *program) take(a sluicetest.Answer) {
	p.t.Helper()
	if a.Status != http.StatusOK {
		p.t.Fatalf("no tokens: %d %s", a.Status, a.Body)
	}
	if err := json.Unmarshal([]byte(a.Body), &p.Pair); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) refresh() sluicetest.Answer {
	return p.post("/api/v1/auth/refresh", map[string]string{"refresh_token": p.Pair.Refresh})
}

// get calls a path on a node with the access token.
func (p *program) get(base, path string) sluicetest.Answer {
	return p.s.Browser().
		At(base).
		With("Authorization", "Bearer "+p.Pair.Access).
		With("Accept", "application/json").
		With("Sec-Fetch-Mode", "cors").
		Get(path)
}

func TestTokens_OpenApps(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t, "SLUICE_PROTECT=demo")
	s.Add("root", authz.RoleAdmin, true)
	p, builder := signIn(t, s, "root"), s.Apps.All()[0].Origin("")
	if a := p.get(builder, "/api/flows"); a.Status != http.StatusOK {
		t.Fatalf("the builder: %d %s", a.Status, a.Body)
	}
	if a := s.Browser().With("Authorization", "Bearer "+p.Pair.Access).Do(http.MethodPost, "/api/v1/auth/logout", "",
		nil); a.Status != http.StatusNoContent {
		t.Fatalf("logout: %d %s", a.Status, a.Body)
	}
	if a := p.get(builder, "/api/flows"); a.Status != http.StatusUnauthorized {
		t.Errorf("the builder after logout: %d", a.Status)
	}
}

func TestTokens_TwoNodes(t *testing.T) {
	t.Parallel()
	lines := append(onPostgres(t), "SECRETKEY_PATH="+t.TempDir())
	one, two := sluicetest.Start(t, lines...), sluicetest.Start(t, lines...)
	one.Add("ann", authz.RoleUser, false)
	there := two.MainOrigin("")
	p := signIn(t, one, "ann")
	// No waiting: a load balancer does not wait either.
	if a := p.get(there, "/api/v1/me"); a.Status != http.StatusOK {
		t.Fatalf("a token of this moment on the other node: %d %s", a.Status, a.Body)
	}
	q := &program{t: t, s: two, Pair: p.Pair}
	q.take(q.refresh())
	if a := q.get(one.MainOrigin(""), "/api/v1/me"); a.Status != http.StatusOK {
		t.Fatalf("a refreshed token on the first node: %d %s", a.Status, a.Body)
	}
	if a := one.Browser().With("Authorization", "Bearer "+q.Pair.Access).Do(http.MethodPost, "/api/v1/auth/logout", "",
		nil); a.Status != http.StatusNoContent {
		t.Fatalf("logout: %d %s", a.Status, a.Body)
	}
	began := time.Now()
	until(
		t,
		"the end of the access token on the other node",
		func() bool { return q.get(there, "/api/v1/me").Status == http.StatusUnauthorized },
	)
	t.Logf("the other node knew of the logout after %v", time.Since(began))
}

func TestTokens_RevokedOnRestart(t *testing.T) {
	t.Parallel()
	v := sluicetest.Values(t)
	first := sluicetest.StartWith(t, v)
	first.Add("ann", authz.RoleUser, false)
	p, b := signIn(t, first, "ann"), first.SignedIn("ann")
	port := func(s *sluicetest.Sluice) string { return s.MainOrigin("") }
	first.Stop()

	second := sluicetest.StartWith(t, v)
	p.s = second
	if a := p.get(port(second), "/api/v1/me"); a.Status != http.StatusOK {
		t.Errorf("after a restart: %d %s", a.Status, a.Body)
	}
	p.take(p.refresh())
	second.Stop()

	v.EndAtRestart = true
	third := sluicetest.StartWith(t, v)
	p.s = third
	if a := p.get(port(third), "/api/v1/me"); a.Status != http.StatusUnauthorized {
		t.Errorf("the access token outlives the restart: %d", a.Status)
	}
	if a := p.refresh(); a.Status != http.StatusUnauthorized {
		t.Errorf("the refresh token outlives the restart: %d", a.Status)
	}
	if a := b.At(port(third)).Get("/account"); a.Status != http.StatusSeeOther {
		t.Errorf("the browser's session outlives the restart: %d", a.Status)
	}
	p.take(p.post("/api/v1/auth/token", map[string]string{"username": "ann", "password": sluicetest.Password}))
}

// TestTokens_NotStored uses tokens in every way that goes right or wrong and then looks for them
// wherever Sluice writes.
func TestTokens_NotStored(t *testing.T) {
	t.Parallel()
	v := sluicetest.Values(
		t,
		"SLUICE_PROTECT=demo",
		"SLUICE_REFRESH_GRACE_SECONDS=0",
		"SMTP_HOST=127.0.0.1",
		"SMTP_PORT=9",
		"SENDER_EMAIL=sluice@example.com",
	)
	s := sluicetest.StartWith(t, v)
	s.Add("ann", authz.RoleAdmin, true)
	p := signIn(t, s, "ann")
	secrets := map[string]bool{sluicetest.Password: true}
	note := func() { secrets[p.Pair.Access], secrets[p.Pair.Refresh] = true, true }
	note()
	old := p.Pair
	p.take(p.refresh())
	note()
	p.get(s.MainOrigin(""), "/api/v1/me")
	p.get(s.Apps.All()[0].Origin(""), "/api/flows")
	p.get(s.MainOrigin(""), "/api/v1/users/none")
	p.Pair.Access += "A"
	if a := p.get(s.MainOrigin(""), "/api/v1/me"); a.Status != http.StatusUnauthorized {
		t.Errorf("a token with a letter more: %d", a.Status)
	}
	p.post("/api/v1/auth/token", map[string]string{"username": "ann", "password": sluicetest.Password + "!"})
	p.post("/api/v1/auth/refresh", map[string]any{"refresh_token": p.Pair.Refresh, "more": p.Pair.Refresh})
	p.Pair = old
	if a := p.refresh(); a.Status != http.StatusUnauthorized || !strings.Contains(a.Body, "used before") {
		t.Errorf("a second use without grace: %d %s", a.Status, a.Body)
	}
	p.post("/api/v1/auth/revoke", map[string]string{"refresh_token": p.Pair.Refresh})
	s.Gate.Flush(context.Background())
	entries, err := audit.After(context.Background(), s.DB, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := json.Marshal(entries)
	if err != nil || !strings.Contains(string(recorded), "a refresh token was used twice") {
		t.Errorf("the second use is not in the record (%v)", err)
	}
	places := map[string]string{"log": s.Log.String(), "audit": string(recorded)}
	if !strings.Contains(places["log"], "createTokens") {
		t.Error("the log is not the one of these requests")
	}
	for _, name := range []string{db.FileName, db.FileName + "-wal"} {
		text, err := os.ReadFile(filepath.Join(v.Database.Folder, name))
		if err != nil {
			t.Fatal(err)
		}
		places[name] = string(text)
	}
	for where, text := range places {
		for secret := range secrets {
			if strings.Contains(text, secret) || strings.Contains(text, secret[len(secret)-24:]) {
				t.Errorf("%s holds a token or password", where)
			}
		}
	}
}
