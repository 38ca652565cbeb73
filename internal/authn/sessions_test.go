package authn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

var cli = authz.SystemPrincipal("cli")

type node struct {
	offset   atomic.Int64
	stopped  atomic.Int64 // what the clock shows without offset, in nanoseconds; 0 while it goes
	db       *db.DB
	gate     *authz.Gate
	people   *identity.People
	sessions *authn.Sessions
}

func (n *node) Now() time.Time {
	at := time.Now()
	if stopped := n.stopped.Load(); stopped != 0 {
		at = time.Unix(0, stopped)
	}
	return at.Add(time.Duration(n.offset.Load()))
}

// stop stops the clock at a whole second, so that a test can reach a border exactly.
func (n *node) stop() { n.stopped.Store(time.Now().Truncate(time.Second).UnixNano()) }

func (n *node) step(d time.Duration) { n.offset.Add(int64(d)) }
func (n *node) who(token string) string {
	p, _ := n.sessions.Lookup(token, authn.AudienceMain)
	return p.ID
}
func (n *node) live(token string) bool { return n.who(token) != "" }

const maxAge, maxIdle = 30 * 24 * time.Hour, 24 * time.Hour

func start(t testing.TB, d *db.DB) *node {
	t.Helper()
	n, log, ctx := &node{db: d}, slog.New(slog.DiscardHandler), context.Background()
	hasher := identity.NewHasher(bcrypt.MinCost, nil)
	var errs [3]error
	n.gate, errs[0] = authz.NewGate(authz.Config{DB: d, Now: n.Now, Log: log})
	n.people, errs[1] = identity.New(ctx, identity.Config{
		DB: d, Gate: n.gate, Hasher: hasher, Now: n.Now, Log: log,
		Hooks: identity.Hooks{
			Disabled:         authn.EndDisabled,
			Removed:          flow.HandOver,
			WorkspaceDeleted: flow.ForgetProjects,
		},
	})
	n.sessions, errs[2] = authn.New(ctx, authn.Config{
		DB: d, Gate: n.gate, People: n.people, TokenKey: []byte(strings.Repeat("k",
			32)), MaxAge: maxAge, MaxIdle: maxIdle, Now: n.Now, Log: log,
	})
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.gate.Close(ctx); hasher.Close() })
	return n
}

func (n *node) add(t testing.TB, username string) identity.User {
	t.Helper()
	u, err := n.people.Create(context.Background(), cli, identity.NewUser{Username: username, Active: true})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (n *node) signIn(t testing.TB, userID string) (string, authn.Session) {
	t.Helper()
	token, s, err := n.sessions.Start(
		context.Background(),
		userID,
		authn.Meta{IP: "192.0.2.1", UserAgent: "Browser/1.0", Method: "password"},
	)
	if err != nil {
		t.Fatal(err)
	}
	return token, s
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what + ": never")
		}
	}
}

func TestSessions_Restart(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		before := start(t, d)
		u := before.add(t, "ann")
		token, s := before.signIn(t, u.ID)
		after := start(t, d)
		if after.who(token) != u.ID {
			t.Error("the session is lost after a restart")
		}
		if err := after.sessions.Revoke(context.Background(), principalOf(after, token), s.ID); err != nil {
			t.Fatal(err)
		}
		if start(t, d).live(token) {
			t.Error("a revoked session came back with a restart")
		}
	})
}

func principalOf(n *node, token string) authz.Principal {
	p, _ := n.sessions.Lookup(token, authn.AudienceMain)
	return p
}

func TestSessions_RevocationOnEveryNode(t *testing.T) {
	dir := t.TempDir()
	one := start(t, dbtest.Open(t, db.Config{Folder: dir, Now: time.Now}))
	two := start(t, dbtest.Open(t, db.Config{Folder: dir, Now: time.Now}))
	u := one.add(t, "ann")
	token, s := one.signIn(t, u.ID)
	until(t, "the session on the other node", func() bool { return two.live(token) })
	here, there := one.sessions.Done(s.ID), two.sessions.Done(s.ID)
	if err := one.sessions.Revoke(context.Background(), principalOf(one, token), s.ID); err != nil {
		t.Fatal(err)
	}
	if one.live(token) {
		t.Error("still in force on this node when Revoke returned")
	}
	for name, done := range map[string]<-chan struct{}{"this node": here, "the other node": there} {
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Errorf("a stream on %s was never told", name)
		}
	}
	if two.live(token) {
		t.Error("still in force on the other node")
	}
	select {
	case <-one.sessions.Done(s.ID):
	default:
		t.Error("Done of an ended session is open")
	}
}

func TestSessions_DisabledPerson(t *testing.T) {
	n := start(t, dbtest.SQLite(t))
	u := n.add(t, "ann")
	token, s := n.signIn(t, u.ID)
	done := n.sessions.Done(s.ID)
	ctx := context.Background()
	if err := n.people.Update(ctx, cli, u.ID, identity.UserUpdate{Active: problem.Some(false)}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	default:
		t.Error("streams go on")
	}
	if n.live(token) {
		t.Error("the session goes on")
	}
	if err := n.people.Update(ctx, cli, u.ID, identity.UserUpdate{Active: problem.Some(true)}); err != nil {
		t.Fatal(err)
	}
	if n.live(token) || start(t, n.db).live(token) {
		t.Error("the session came back with the account")
	}
}

func TestSessions_IdleAndAbsoluteLimits(t *testing.T) {
	n := start(t, dbtest.SQLite(t))
	u := n.add(t, "ann")
	token, s := n.signIn(t, u.ID)
	for range 29 {
		n.step(23*time.Hour + 59*time.Minute)
		if !n.live(token) {
			t.Fatal("a session in use ended before its absolute limit")
		}
		if err := n.sessions.Maintain(context.Background(), n.Now()); err != nil {
			t.Fatal(err)
		}
	}
	done := n.sessions.Done(s.ID)
	n.step(23 * time.Hour)
	n.step(2 * time.Hour)
	if n.live(token) {
		t.Error("beyond its limits the session goes on")
	}
	if err := n.sessions.Maintain(context.Background(), n.Now()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	default:
		t.Error("the streams of an expired session go on")
	}
	idle, _ := n.signIn(t, u.ID)
	n.step(maxIdle - time.Second)
	if !n.live(idle) {
		t.Error("ended before the idle limit")
	}
	n.step(maxIdle + time.Second)
	if n.live(idle) {
		t.Error("goes on beyond the idle limit")
	}
}

func TestSessions_UseOnAnotherNode(t *testing.T) {
	dir := t.TempDir()
	one := start(t, dbtest.Open(t, db.Config{Folder: dir, Now: time.Now}))
	two := start(t, dbtest.Open(t, db.Config{Folder: dir, Now: time.Now}))
	token, _ := one.signIn(t, one.add(t, "ann").ID)
	until(t, "the session on the other node", func() bool { return two.live(token) })
	one.step(23 * time.Hour)
	two.step(23 * time.Hour)
	if !one.live(token) {
		t.Fatal("ended too early")
	}
	if err := one.sessions.Maintain(context.Background(), one.Now()); err != nil {
		t.Fatal(err)
	}
	two.step(2 * time.Hour)
	until(t, "the other node learns that the session was used", func() bool { return two.live(token) })
}

func TestCookies(t *testing.T) {
	n := start(t, dbtest.SQLite(t))
	u := n.add(t, "ann")
	token, _ := n.signIn(t, u.ID)
	other, _ := n.signIn(t, n.add(t, "bob").ID)
	unknown := strings.Repeat("A", 43)
	for name, c := range map[string]struct {
		cookies []string
		secure  bool
		want    string // "ann", "" for a stranger, "error"
	}{
		"none": {nil, false, ""},
		"own":  {[]string{"sluice_session=" + token}, false, "ann"},
		"beside others": {[]string{"_ga=GA1.2.3; theme=dark; sluice_session=" + token + "; x=y"}, false,
			"ann"},
		"two headers":              {[]string{"a=b", "sluice_session=" + token}, false, "ann"},
		"unknown":                  {[]string{"sluice_session=" + unknown}, false, ""},
		"planted first":            {[]string{"sluice_session=planted; sluice_session=" + token}, false, "error"},
		"two good ones":            {[]string{"sluice_session=" + other + "; sluice_session=" + token}, false, "error"},
		"two headers with one":     {[]string{"sluice_session=" + other, "sluice_session=" + token}, false, "error"},
		"quoted around":            {[]string{`a="; sluice_session=` + token + `; b="`}, false, "error"},
		"quoted value":             {[]string{`sluice_session="` + token + `"`}, false, "error"},
		"garbage":                  {[]string{"sluice_session=../../etc/passwd"}, false, "error"},
		"empty":                    {[]string{"sluice_session="}, false, "error"},
		"longer":                   {[]string{"sluice_session=" + token + "A"}, false, "error"},
		"other case":               {[]string{"Sluice_Session=" + token}, false, ""},
		"plain name on https":      {[]string{"sluice_session=" + token}, true, ""},
		"host name on https":       {[]string{"__Host-sluice_session=" + token}, true, "ann"},
		"planted beside on https":  {[]string{"sluice_session=planted; __Host-sluice_session=" + token}, true, "ann"},
		"balanced quotes beside":   {[]string{`q="a b"; sluice_session=` + token}, false, "ann"},
		"thousands of other pairs": {[]string{strings.Repeat("a=b; ", 5000) + "sluice_session=" + token}, false, "ann"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Cookie"] = c.cookies
		p, err := n.sessions.Authenticate(r, authn.AudienceMain, c.secure)
		got := p.Name
		if err != nil {
			got = "error"
			if !problem.Is(err, problem.Unauthenticated) {
				t.Errorf("%s: %v, want unauthenticated", name, err)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
		}
	}
}

func TestSetCookieAttributes(t *testing.T) {
	n := start(t, dbtest.SQLite(t))
	for _, secure := range []bool{false, true} {
		set, cleared := httptest.NewRecorder(), httptest.NewRecorder()
		n.sessions.SetCookie(set, "x", secure)
		n.sessions.ClearCookie(cleared, secure)
		for maxAge, w := range map[int]*httptest.ResponseRecorder{int(maxAge.Seconds()): set, -1: cleared} {
			c := w.Result().Cookies()[0]
			if c.Name != authn.CookieName(secure) || !c.HttpOnly || c.Secure != secure || c.Path != "/" ||
				c.Domain != "" ||
				c.SameSite != http.SameSiteLaxMode ||
				c.MaxAge != maxAge {
				t.Errorf("secure=%v: %v", secure, c)
			}
		}
	}
}

func TestIsSessionCookie(t *testing.T) {
	for name, want := range map[string]bool{
		"sluice_session": true, "__Host-sluice_session": true, "session": false, "Sluice_Session": false, "": false,
	} {
		if got := authn.IsSessionCookie(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// TestStart_ClipsTheProgramsName at 300 bytes, and never inside a character.
func TestStart_ClipsTheProgramsName(t *testing.T) {
	n := start(t, dbtest.SQLite(t))
	for name, c := range map[string]struct{ sent, want string }{
		"as long as it may be": {strings.Repeat("a", 300), strings.Repeat("a", 300)},
		"a byte longer":        {strings.Repeat("a", 301), strings.Repeat("a", 300)},
		"inside a character":   {strings.Repeat("a", 298) + "\u65e5b", strings.Repeat("a", 298)},
		"not UTF-8":            {"a\xffb", "ab"},
	} {
		_, s, err := n.sessions.Start(
			context.Background(),
			n.add(t, strings.ReplaceAll(name, " ", "-")).ID,
			authn.Meta{UserAgent: c.sent},
		)
		if err != nil || s.UserAgent != c.want {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(s.UserAgent), err, len(c.want))
		}
	}
}

// TestWorkspace_OfASession is the chosen one as long as the person belongs to it, then the default
// one, then their first.
func TestWorkspace_OfASession(t *testing.T) {
	n, ctx := start(t, dbtest.SQLite(t)), context.Background()
	other, err := n.people.CreateWorkspace(ctx, cli, "Other")
	if err != nil {
		t.Fatal(err)
	}
	u := n.add(t, "ann")
	token, _ := n.signIn(t, u.ID)
	role := func(workspace, role string) {
		t.Helper()
		if err := n.people.SetRole(ctx, cli, u.ID, workspace, role); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when, workspace string) {
		t.Helper()
		if got := principalOf(n, token).Workspace; got != workspace {
			t.Errorf("%s: %q, want %q", when, got, workspace)
		}
	}
	want("a member of the default workspace", identity.DefaultWorkspace)
	role(other.ID, authz.RoleUser)
	want("a further membership moves nobody", identity.DefaultWorkspace)
	if err := n.sessions.SwitchWorkspace(ctx, principalOf(n, token), other.ID); err != nil {
		t.Fatal(err)
	}
	want("chosen", other.ID)
	role(other.ID, "")
	want("chosen, and belongs to it no more", identity.DefaultWorkspace)
	for workspace, may := range map[string]bool{"": true, identity.DefaultWorkspace: true, other.ID: false} {
		if got := n.sessions.MayWorkIn(u.ID, workspace); got != may {
			t.Errorf("may work in %q: %v", workspace, got)
		}
	}
	role(other.ID, authz.RoleUser)
	role(identity.DefaultWorkspace, "")
	want("a member elsewhere only", other.ID)
	role(other.ID, "")
	want("a member of none", "")
}

func TestEnterCodes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n, ctx := start(t, d), context.Background()
		u := n.add(t, "ann")
		token, s := n.signIn(t, u.ID)
		p := principalOf(n, token)
		state, err := n.sessions.NewEnterState()
		if err != nil {
			t.Fatal(err)
		}
		code, err := n.sessions.NewEnterCode(ctx, p, "app1", state)
		if err != nil {
			t.Fatal(err)
		}
		for name, try := range map[string][3]string{
			"another app": {code, "app2", state}, "another browser": {code, "app1",
				strings.Repeat("B", 43)}, "no browser": {code, "app1", ""}, "no code": {"", "app1", state},
		} {
			if _, err := n.sessions.RedeemEnterCode(ctx, try[0], try[1], try[2]); !problem.Is(err, problem.NotFound) {
				t.Errorf("%s: %v, want not found", name, err)
			}
		}
		cookie, err := n.sessions.RedeemEnterCode(ctx, code, "app1", state)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.sessions.RedeemEnterCode(ctx, code, "app1", state); !problem.Is(err, problem.Gone) {
			t.Errorf("a second time: %v, want gone", err)
		}
		if got, ok := n.sessions.Lookup(cookie, "app1"); !ok || got.ID != u.ID || got.SessionID != s.ID {
			t.Errorf("the app's cookie: %+v %v", got, ok)
		}
		if _, ok := n.sessions.Lookup(cookie, authn.AudienceMain); ok {
			t.Error("an app's cookie opens Sluice's own pages")
		}
		again, err := n.sessions.IssueFor(ctx, s.ID, "app1")
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := n.sessions.Lookup(cookie, "app1"); ok {
			t.Error("the replaced cookie still works")
		}
		late, _ := n.sessions.NewEnterCode(ctx, p, "app1", state)
		n.step(61 * time.Second)
		if _, err := n.sessions.RedeemEnterCode(ctx, late, "app1", state); !problem.Is(err, problem.Gone) {
			t.Errorf("after a minute: %v, want gone", err)
		}
		if err := n.sessions.Revoke(ctx, p, s.ID); err != nil {
			t.Fatal(err)
		}
		if _, ok := n.sessions.Lookup(again, "app1"); ok {
			t.Error("signing out leaves the app's cookie good")
		}
		if _, err := n.sessions.IssueFor(ctx, s.ID, "app1"); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("a cookie for an ended session: %v", err)
		}
	})
}

func TestSessions_OtherPersons(t *testing.T) {
	n, ctx := start(t, dbtest.SQLite(t)), context.Background()
	ann, bob := n.add(t, "ann"), n.add(t, "bob")
	annToken, _ := n.signIn(t, ann.ID)
	bobToken, bobSession := n.signIn(t, bob.ID)
	p := principalOf(n, annToken)
	missing := n.sessions.Revoke(ctx, p, "6b1e7d3c-0000-4000-8000-000000000000")
	foreign := n.sessions.Revoke(ctx, p, bobSession.ID)
	if !problem.Is(missing, problem.NotFound) || problem.Of(missing).Detail != problem.Of(foreign).Detail ||
		problem.Of(foreign).Kind != problem.NotFound {
		t.Errorf("missing: %v; somebody else's: %v; they must not differ", missing, foreign)
	}
	if !n.live(bobToken) {
		t.Error("somebody else's session was ended")
	}
	if _, err := n.sessions.List(ctx, p, bob.ID); !problem.Is(err, problem.Denied) {
		t.Errorf("listing somebody else's: %v", err)
	}
	second, _ := n.signIn(t, ann.ID)
	if err := n.sessions.RevokeAll(ctx, p, ann.ID, p.SessionID); err != nil {
		t.Fatal(err)
	}
	list, err := n.sessions.List(ctx, p, ann.ID)
	if err != nil || len(list) != 1 || !list[0].Current || n.live(second) {
		t.Errorf("after revoking all others: %+v, %v", list, err)
	}
	if err := n.sessions.Revoke(ctx, cli, bobSession.ID); err != nil || n.live(bobToken) {
		t.Errorf("the operator: %v", err)
	}
}

func TestSessions_Many(t *testing.T) {
	n, ctx := start(t, dbtest.SQLite(t)), context.Background()
	users := make([]identity.User, 5)
	for i := range users {
		users[i] = n.add(t, fmt.Sprintf("user%d", i))
	}
	var wg sync.WaitGroup
	for _, u := range users {
		wg.Go(func() {
			for range 20 {
				token, s, err := n.sessions.Start(ctx, u.ID, authn.Meta{})
				if err != nil || n.who(token) != u.ID {
					t.Errorf("a new session belongs to %q (%v), want %q", n.who(token), err, u.ID)
					return
				}
				if err := n.sessions.Revoke(ctx, principalOf(n, token), s.ID); err != nil || n.live(token) {
					t.Errorf("after revoking: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzCookie(f *testing.F) {
	n := start(f, dbtest.SQLite(f))
	token, _ := n.signIn(f, n.add(f, "ann").ID)
	f.Add("sluice_session=" + token)
	f.Add(`a="; sluice_session=x; b="`)
	f.Add("sluice_session=;;=;sluice_session")
	f.Fuzz(func(t *testing.T, header string) {
		r := &http.Request{Header: http.Header{"Cookie": {header}}}
		p, err := n.sessions.Authenticate(r, authn.AudienceMain, false)
		if err == nil && p.SignedIn() && !strings.Contains(header, "sluice_session="+token) {
			t.Errorf("%q signs somebody in", header)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	n := start(b, dbtest.SQLite(b))
	token, _ := n.signIn(b, n.add(b, "ann").ID)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "_ga=GA1.2.3; theme=dark; sluice_session="+token)
	b.ReportAllocs()
	for b.Loop() {
		if p, err := n.sessions.Authenticate(r, authn.AudienceMain, false); err != nil || !p.SignedIn() {
			b.Fatal(err)
		}
	}
}

func TestSessions_SuperuserUnknownWorkspace(t *testing.T) {
	n, ctx := start(t, dbtest.SQLite(t)), context.Background()
	u, err := n.people.Create(ctx, cli, identity.NewUser{Username: "root", Superuser: true, Active: true})
	if err != nil {
		t.Fatal(err)
	}
	token, _ := n.signIn(t, u.ID)
	if err := n.sessions.SwitchWorkspace(ctx, principalOf(n, token), "no-such-workspace"); !problem.Is(
		err,
		problem.NotFound,
	) {
		t.Errorf("a workspace that does not exist: %v, want not found", err)
	}
	team, err := n.people.CreateWorkspace(ctx, cli, "Team")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.people.SetRole(ctx, cli, u.ID, team.ID, authz.RoleAdmin); err != nil ||
		principalOf(n, token).Workspace != identity.DefaultWorkspace {
		t.Errorf("a further membership moved somebody to %q (%v)", principalOf(n, token).Workspace, err)
	}
	if err := n.sessions.SwitchWorkspace(ctx, principalOf(n, token), team.ID); err != nil ||
		principalOf(n, token).Workspace != team.ID {
		t.Fatalf("works in %q, %v", principalOf(n, token).Workspace, err)
	}
	if err := n.people.DeleteWorkspace(ctx, cli, team.ID); err != nil {
		t.Fatal(err)
	}
	if got := principalOf(n, token).Workspace; got != identity.DefaultWorkspace {
		t.Errorf("after the workspace is gone: works in %q", got)
	}
}

// TestEndEverything_IsNoFailure: only sessions that could not be read again are one.
func TestEndEverything_IsNoFailure(t *testing.T) {
	n := start(t, dbtest.SQLite(t))
	ctx := context.Background()
	var log bytes.Buffer
	watching, err := authn.New(ctx, authn.Config{
		DB:       n.db,
		Gate:     n.gate,
		People:   n.people,
		TokenKey: []byte(strings.Repeat("k", 32)),
		MaxAge:   maxAge,
		MaxIdle:  maxIdle,
		Now:      n.Now,
		Log:      slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	token, _ := n.signIn(t, n.add(t, "ann").ID)
	n.db.CatchUp(ctx)
	if _, ok := watching.Lookup(token, authn.AudienceMain); !ok {
		t.Fatal("the session is not known")
	}
	if err := n.sessions.EndEverything(ctx, cli, "test"); err != nil {
		t.Fatal(err)
	}
	n.db.CatchUp(ctx)
	if _, ok := watching.Lookup(token, authn.AudienceMain); ok || log.Len() > 0 {
		t.Errorf("the session lives: %v; the log says %q", ok, log.String())
	}
}
