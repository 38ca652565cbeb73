//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// lodging is one Langflow that has a hard time behind one Sluice that is never restarted.
type lodging struct {
	l     *Langflow
	s     *Sluice
	app   string // the app's id
	root  *Client
	lf    *Client // the superuser's at Langflow, for all the time
	key   string  // runs flows
	flow  string
	guest *Person // a person whose browser stays open
}

// TestLangflowTrouble stops, restarts, upgrades and replaces a Langflow, and changes the way into
// it, under people who work in it.
func TestLangflowTrouble(t *testing.T) {
	longSuite(t, 30*time.Minute)
	l := StartLangflow(t, oldLangflow)
	w := &lodging{l: l, s: StartSluiceWith(t, langflowVariables, "--protect", l.URL), guest: NewPerson(t, "guest")}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"with the shared key", w.signed},
		{"with a sign-in for each account", w.signIn},
		{"Langflow is stopped", w.stopped},
		{"another server answers at its address", w.html},
		{"a newer release comes up on the same database", w.upgraded},
		{"Langflow trusts Sluice", w.external},
		{"Langflow gets another secret key", w.otherKey},
		{"Langflow gets an empty database", w.emptied},
	} {
		if !t.Run(step.name, func(t *testing.T) { defer w.as(t)(); step.run(t) }) {
			t.FailNow()
		}
	}
}

// as makes everyone report to t, and returns a function that undoes it.
func (w *lodging) as(t *testing.T) func() {
	outer := w.guest.t
	set := func(t testing.TB) {
		w.guest.t = t
		for _, c := range []**Client{&w.root, &w.lf} {
			if *c != nil {
				*c = (*c).As(t)
			}
		}
	}
	set(t)
	return func() { set(outer) }
}

// health looks at the app now.
func (w *lodging) health(t *testing.T) (h struct {
	OK                  bool
	Text, Next, Version string
}) {
	t.Helper()
	call(t, w.root, "POST", "/api/v1/apps/"+w.app+"/check", nil, &h)
	return h
}

// connect chooses the way into Langflow.
func (w *lodging) connect(t *testing.T, mode string) {
	t.Helper()
	call(t, w.root, "PUT", "/api/v1/apps/"+w.app+"/connection", map[string]string{"mode": mode}, nil)
	if h := w.health(t); !h.OK || !strings.Contains(h.Text, "("+mode+")") {
		t.Fatalf("the health after connecting with %s: %+v", mode, h)
	}
}

// works looks at the list of flows and runs the flow, as soon as Langflow is ready for it.
func (w *lodging) works(t *testing.T, word string) {
	t.Helper()
	w.s.p.until(
		t,
		"list of flows",
		func() bool { return strings.Contains(w.lf.Get("/api/v1/flows/?get_all=true").Body, w.flow) },
	)
	if a := RunFlow(NewClient(t, w.lf.Base), w.key, w.flow, word); a.Status != http.StatusOK ||
		!strings.Contains(a.Body, word) {
		t.Errorf("running the flow: %d %.400s", a.Status, a.Body)
	}
}

func (w *lodging) signed(t *testing.T) {
	w.root = w.s.SignIn(t, langflowAdmin)
	w.lf = w.s.Enter(t, w.root)
	w.lf.Header = http.Header{}
	w.s.p.until(
		t,
		"connection with Langflow",
		func() bool { return w.lf.Get("/api/v1/projects/").Status == http.StatusOK },
	)
	var apps struct {
		Items []struct{ ID, Version string }
	}
	call(t, w.root, "GET", "/api/v1/apps", nil, &apps)
	w.app = apps.Items[0].ID
	w.furnish(t)
	if h := w.health(t); !h.OK || !strings.Contains(h.Text, "(signed)") {
		t.Errorf("the health: %+v", h)
	}
	w.works(t, "with tokens that Sluice signs")
	w.guest.Open(w.lf.Base)
	w.guest.signIn(langflowAdmin)
	w.guest.SeeLangflow()
}

// furnish creates a flow and, the first time, a key that runs flows.
func (w *lodging) furnish(t *testing.T) {
	w.flow = CreateFlow(t, w.lf, EchoLangflow(t, w.lf, "echo"))
	if w.key == "" {
		var made struct{ Secret string }
		call(
			t,
			w.root,
			"POST",
			"/api/v1/keys",
			map[string]any{
				"name":  "k",
				"scope": map[string]any{"actions": []string{"flow:run"}, "apps": []string{w.app}},
			},
			&made,
		)
		w.key = made.Secret
	}
}

func (w *lodging) signIn(t *testing.T) {
	w.connect(t, "sign-in")
	w.works(t, "with a session of its own")
	w.connect(t, "signed")
	w.works(t, "with tokens again")
}

// refused checks that people and programs get a message, as JSON where they ask for it.
func (w *lodging) refused(t *testing.T, says string) {
	t.Helper()
	for _, a := range []Answer{w.lf.Get("/api/v1/flows/?get_all=true"),
		RunFlow(NewClient(t, w.lf.Base), w.key, w.flow, "x")} {
		if a.Status < http.StatusInternalServerError || !a.IsJSON() || !strings.Contains(a.Body, says) {
			t.Errorf(
				"a call gets %d %s %.300s, want words with %q",
				a.Status,
				a.Header.Get("Content-Type"),
				a.Body,
				says,
			)
		}
	}
	if h := w.health(t); h.OK || len(h.Text) < 20 {
		t.Errorf("the health: %+v", h)
	}
}

func (w *lodging) stopped(t *testing.T) {
	w.l.Stop(t)
	w.refused(t, "Langflow does not answer")
	w.guest.Open(w.lf.Base + "/flows")
	w.guest.Shot("stopped")
	if text := w.guest.Text(); len(text) < 40 || strings.Contains(text, "Bad Gateway") {
		t.Errorf("the page says only: %q", text)
	}
}

// html gives Langflow's port to another web server for a while.
func (w *lodging) html(t *testing.T) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", w.l.port))
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(rw, "<!doctype html><title>a wiki</title><h1>a wiki</h1>")
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = other.Serve(listener) }()
	w.refused(t, "A page arrived instead of Langflow's answer")
	_ = other.Close()
	<-done
}

// upgraded starts the newest release on the database of the old one, with the lines by which
// Langflow trusts Sluice.
func (w *lodging) upgraded(t *testing.T) {
	var connection struct {
		External string `json:"external_settings"`
	}
	call(t, w.root, "GET", "/api/v1/apps/"+w.app+"/connection", nil, &connection)
	w.l.release, w.l.Env = newLangflow, strings.Fields(connection.External)
	w.l.Start(t)
	w.works(t, "after the upgrade")
	if h := w.health(t); !h.OK || h.Version != "1.13.0" {
		t.Errorf("the health: %+v", h)
	}
	w.guest.Open(w.lf.Base + "/flows")
	w.guest.SeeLangflow()
	w.guest.See("echo")
	w.guest.Shot("upgraded")
}

// external uses a workspace without an account: Langflow creates one automatically. The first
// workspace's account has a password, and Sluice still enters it with a signed token.
func (w *lodging) external(t *testing.T) {
	w.connect(t, "external")
	w.works(t, "in the account from before")
	var other struct{ ID string }
	call(t, w.root, "POST", "/api/v1/workspaces", map[string]string{"name": "next door"}, &other)
	call(t, w.root, "PUT", "/api/v1/apps/"+w.app+"/workspaces/"+other.ID, nil, nil)
	neighbour := Account{Username: "neighbour", Email: "n@example.com", Password: "some words over the fence"}
	call(t, w.root, "POST", "/api/v1/users", map[string]any{
		"username":  neighbour.Username,
		"email":     neighbour.Email,
		"password":  neighbour.Password,
		"role":      "admin",
		"workspace": other.ID,
	}, nil)
	main := w.s.SignIn(t, neighbour)
	lf := w.s.Enter(t, main)
	lf.Header = http.Header{}
	flow := CreateFlow(t, lf, EchoLangflow(t, lf, "next door"))
	if list := lf.Get("/api/v1/flows/?get_all=true"); !strings.Contains(list.Body, flow) ||
		strings.Contains(list.Body, w.flow) {
		t.Errorf("the list next door: %d %.300s", list.Status, list.Body)
	}
	var made struct{ Secret string }
	call(
		t,
		main,
		"POST",
		"/api/v1/keys",
		map[string]any{"name": "k", "scope": map[string]any{"actions": []string{"flow:run"}, "apps": []string{w.app}}},
		&made,
	)
	if a := RunFlow(NewClient(t, lf.Base), made.Secret, flow, "over the fence"); a.Status != http.StatusOK ||
		!strings.Contains(a.Body, "over the fence") {
		t.Errorf("running the flow next door: %d %.400s", a.Status, a.Body)
	}
	w.connect(t, "signed")
	w.works(t, "with tokens once more")
}

func (w *lodging) otherKey(t *testing.T) {
	w.l.Stop(t)
	lines := w.l.Env
	w.l.Env = append([]string{"LANGFLOW_SECRET_KEY=T1RIRVJLRVlPVEhFUktFWS0wMTIzNDU2Nzg5YWJjZGU"}, lines...)
	w.l.Start(t)
	// The first answers know only that the session is not accepted any more.
	var last Answer
	w.s.p.until(t, "answer that says what is wrong", func() bool {
		last = w.lf.Get("/api/v1/flows/?get_all=true")
		return last.Status == http.StatusServiceUnavailable && strings.Contains(last.Body, "secret keys differ")
	})
	if h := w.health(t); h.OK || !strings.Contains(h.Text, "secret keys differ") ||
		!strings.Contains(h.Next, "LANGFLOW_SECRET_KEY") {
		t.Errorf("the health: %+v", h)
	}
	tries := w.signIns()
	for range 50 {
		last = w.lf.Get("/api/v1/flows/?get_all=true")
	}
	if more := w.signIns() - tries; more > 5 {
		t.Errorf("50 answers (the last is %d %.200s) cost Langflow %d sign-ins", last.Status, last.Body, more)
	}
	w.l.Stop(t)
	w.l.Env = lines
	w.l.Start(t)
	w.s.p.until(t, "the way back with the first key", func() bool { return w.health(t).OK })
	w.works(t, "with the first key again")
}

// signIns counts the sign-ins in Langflow's log.
func (w *lodging) signIns() int { return strings.Count(w.l.p.output(), "Login successful") }

func (w *lodging) emptied(t *testing.T) {
	w.l.Stop(t)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(w.l.Database() + suffix); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	w.l.Start(t)
	lost := w.flow
	w.s.p.until(
		t,
		"account that is made anew",
		func() bool { return w.lf.Get("/api/v1/flows/?get_all=true").Status == http.StatusOK },
	)
	if a := w.lf.Get("/api/v1/flows/" + lost); a.Status != http.StatusNotFound {
		t.Errorf("a flow that is lost: %d %.200s", a.Status, a.Body)
	}
	w.furnish(t)
	w.works(t, "in an account that was made anew")
	w.guest.Open(w.lf.Base + "/flows")
	w.guest.SeeLangflow()
	w.guest.See("echo")
	w.guest.Shot("emptied")
}
