package server_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/server"
	"sluice/internal/sluicetest"
)

func TestServer_SetupToDemo(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t, "SLUICE_PROTECT=demo")
	ctx := context.Background()
	link, _, err := s.SetupLink(ctx)
	if err != nil || link == "" {
		t.Fatalf("set-up link %q, %v", link, err)
	}
	b := s.Browser()
	if a := b.Get("/"); a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Location(), "/login") {
		t.Errorf("the first visitor gets %d %s, want the sign-in page", a.Status, a.Location())
	}
	if a := b.Get(link); a.Status != http.StatusSeeOther || strings.Contains(a.Location(), "token") {
		t.Fatalf("link: %d %s; the token must leave the address", a.Status, a.Location())
	}
	form := url.Values{"username": {"root"}, "email": {"root@example.com"}, "password": {sluicetest.Password}}
	if a := b.Post("/setup", form); a.Status != http.StatusSeeOther {
		t.Fatalf("creating the admin: %d %s", a.Status, a.Body)
	}
	if a := s.Browser().Get(link); a.Status != http.StatusGone {
		t.Errorf("the link a second time: %d, want 410", a.Status)
	}
	apps := s.Apps.All()
	if len(apps) != 1 {
		t.Fatalf("%d apps", len(apps))
	}
	builder := b.At(apps[0].Origin(""))
	if a := builder.Get("/"); a.Status != http.StatusOK {
		t.Errorf("the admin at the demo builder: %d %s", a.Status, a.Body)
	}
	stranger := s.Browser().At(apps[0].Origin(""))
	if a := stranger.Get("/"); a.Status != http.StatusSeeOther || !strings.Contains(a.Location(), "/login?app=") {
		t.Errorf("a stranger's navigation: %d %s", a.Status, a.Location())
	}
	if a := stranger.With("Accept", "application/json").With("Sec-Fetch-Mode",
		"cors").Get("/api/flows"); a.Status != http.StatusUnauthorized {
		t.Errorf("a stranger's call: %d", a.Status)
	}
}

func TestServer_Restart(t *testing.T) {
	t.Parallel()
	v := sluicetest.Values(t, "SLUICE_PROTECT=demo")
	first := sluicetest.StartWith(t, v)
	first.Add("root", authz.RoleAdmin, true)
	b := first.SignedIn("root")
	id, port := first.Apps.All()[0].ID, first.Apps.All()[0].Port
	mainPort, err := strconv.Atoi(first.MainOrigin("")[strings.LastIndex(first.MainOrigin(""), ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	first.Stop()
	v.Port = mainPort
	second := sluicetest.StartWith(t, v)
	if a := second.Apps.All()[0]; a.ID != id || a.Port != port || len(second.Apps.All()) != 1 {
		t.Errorf("after a restart the app is another one: %+v", a)
	}
	if a := b.Get("/account"); a.Status != http.StatusOK {
		t.Errorf("the session did not survive: %d %s", a.Status, a.Location())
	}
	if link, _, err := second.SetupLink(context.Background()); link != "" || err != nil {
		t.Errorf("a set-up link with an admin there: %q, %v", link, err)
	}
}

func TestServer_AppListeners(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t, "SLUICE_PROTECT=demo")
	ctx, a := context.Background(), s.Apps.All()[0]
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(a.Port))
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if _, err := s.Apps.Manager.Remove(ctx, sluicetest.Operator(), a.ID); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if c, err = net.Dial("tcp", address); err != nil {
			return
		}
		_ = c.Close()
	}
	t.Error("the listener of a removed app still answers")
}

func TestHealthz(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t)
	if a := s.Browser().Get("/healthz"); a.Status != http.StatusOK || a.Body != "ok\n" {
		t.Errorf("healthz: %d %q", a.Status, a.Body)
	}
}

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ line, want string }{
		"port taken":        {"PORT=" + port, "something else listens on 127.0.0.1:" + port},
		"data is a file":    {"DATABASE_PATH=" + file, "is not a folder"},
		"keys are a file":   {"SECRETKEY_PATH=" + file, "SECRETKEY_PATH"},
		"metrics port":      {"SLUICE_METRICS_ADDR=127.0.0.1:" + port, "SLUICE_METRICS_ADDR"},
		"foreign addresses": {"HOST=192.0.2.1", "this machine has no address 192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) { mustNotStart(t, c.want, c.line) })
	}
}

// mustNotStart expects that these variables stop the start with a text that holds want.
func mustNotStart(t *testing.T, want string, environ ...string) {
	t.Helper()
	s, err := server.Start(context.Background(), sluicetest.Values(t, environ...), slog.New(slog.DiscardHandler))
	if err == nil {
		s.Stop(context.Background())
		t.Fatal("it started")
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
}

func TestMainOrigin(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t)
	port := s.MainOrigin("")[strings.LastIndex(s.MainOrigin(""), ":"):]
	for host, want := range map[string]string{
		"localhost:9999": "http://localhost" + port, "[::1]:9999": "http://[::1]" +
			port, "127.0.0.1": "http://127.0.0.1" + port,
	} {
		if got := s.MainOrigin(host); got != want {
			t.Errorf("MainOrigin(%q) = %q, want %q", host, got, want)
		}
	}
}

func TestSuperuser_FromConfiguration(t *testing.T) {
	t.Parallel()
	v := sluicetest.Values(t, "LANGFLOW_SUPERUSER=administrator", "LANGFLOW_SUPERUSER_PASSWORD=securepassword")
	s := sluicetest.StartWith(t, v)
	sign := func(s *sluicetest.Sluice, password string) int {
		return s.Browser().Post("/login", url.Values{"identifier": {"administrator"}, "password": {password}}).Status
	}
	if got := sign(s, "securepassword"); got != http.StatusSeeOther {
		t.Fatalf("sign-in: %d", got)
	}
	if strings.Contains(s.Log.String(), "securepassword") {
		t.Error("the password is logged")
	}
	if link, _, err := s.SetupLink(context.Background()); link != "" || err != nil {
		t.Errorf("a set-up link beside the superuser: %q, %v", link, err)
	}
	s.Stop()
	again := sluicetest.Values(
		t,
		"LANGFLOW_SUPERUSER=administrator",
		"LANGFLOW_SUPERUSER_PASSWORD=another long password",
	)
	again.Database, again.Secrets = v.Database, v.Secrets
	if got := sign(sluicetest.StartWith(t, again), "another long password"); got == http.StatusSeeOther {
		t.Error("the variable changed the password of an existing superuser")
	}
}

func TestSuperuser_PublishedDefaultPassword(t *testing.T) {
	t.Parallel()
	lines := []string{"LANGFLOW_SUPERUSER_PASSWORD=langflow"}
	s := sluicetest.Start(t, lines...)
	if !s.People.HasAdmin() {
		t.Error("on the loopback address it is refused")
	}
	mustNotStart(t, "published default", append(lines, "HOST=0.0.0.0")...)
	taken := sluicetest.Values(t)
	first := sluicetest.StartWith(t, taken)
	first.Add("langflow", authz.RoleViewer, false)
	first.Stop()
	with := sluicetest.Values(t, lines...)
	with.Database, with.Secrets = taken.Database, taken.Secrets
	if _, err := server.Start(context.Background(), with, slog.New(slog.DiscardHandler)); err == nil ||
		!strings.Contains(err.Error(), "sluice user promote langflow") {
		t.Errorf("a name that is taken: %v", err)
	}
}
