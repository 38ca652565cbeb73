package proxy

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
	"sluice/internal/web"
)

// reservedPrefix begins the paths that Sluice reserves on every app's origin. No builder has such
// paths.
const reservedPrefix = "/.sluice/"

// reserved answers requests for Sluice's own paths.
type reserved struct{ *reply }

// serveReserved serves Sluice's own paths. They are matched exactly, as on the wire.
func serveReserved(a *reply) {
	r := a.req.http
	if web.IsAsset(r.URL.Path) {
		web.ServeAsset(&a.w, r)
		return
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	a.notePath(path, nil)
	a.event.Endpoint = "sluice"
	if path == pageScriptPath && safe(r.Method) && len(a.req.app.Kind.PageScript()) > 0 {
		reserved{a}.pageScript()
		return
	}
	if err := (reserved{a}).serve(path, query); err != nil {
		a.refuse(err)
	}
}

func (o reserved) serve(path, rawQuery string) error {
	if len(rawQuery) > profile.MaxTarget {
		return problem.New(problem.Invalid, "The query is longer than 8 KiB.").WithRule("query.length")
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return problem.New(problem.Invalid, "The query is not well formed.").WithRule("query.escape")
	}
	switch method := o.req.http.Method; {
	case path == reservedPrefix+"enter" && method == http.MethodGet:
		return o.enter(query.Get("code"), web.ReturnTo(query.Get("return")))
	case path == reservedPrefix+"signout" && method == http.MethodPost:
		return o.signOut()
	case path == reservedPrefix+"people" && method == http.MethodGet:
		o.seeOther(o.req.mainOrigin() + "/admin/people")
		return nil
	case path == reservedPrefix+"verify/stream" && method == http.MethodGet:
		return o.verify(o.verifyStream)
	case path == reservedPrefix+"verify/whoami" && method == http.MethodGet:
		return o.verify(o.verifyWhoami)
	}
	return problem.New(problem.NotFound, "There is no such page here.").WithRule("reserved path")
}

// enter admits a browser. With a code, which Sluice's own origin has created for this browser, it
// sets the cookie of this origin. Without a code, it redirects to the destination if the browser
// has a session here, and otherwise starts the round trip.
func (o reserved) enter(code, back string) error {
	if code == "" {
		if err := o.authenticate(); err != nil {
			return err
		}
		if !o.requester.who().SignedIn() {
			o.sendToSignIn(back)
			return nil
		}
		o.seeOther(o.req.app.Kind.EntryPath(back))
		return nil
	}
	sessions := o.req.p.cfg.Sessions
	token, err := sessions.RedeemEnterCode(o.req.http.Context(), code, o.req.app.ID, o.enterState())
	if err != nil {
		return err
	}
	o.setEnterState("", -1)
	sessions.SetCookie(&o.w, token, o.req.secureCookies())
	o.seeOther(o.req.app.Kind.EntryPath(back))
	return nil
}

// signOut revokes the session on all origins.
func (o reserved) signOut() error {
	if err := o.authenticate(); err != nil {
		return err
	}
	if who := o.requester.who(); who.SignedIn() {
		if err := o.req.p.cfg.SignOut(o.req.http.Context(), *who); err != nil {
			return err
		}
	}
	o.req.p.cfg.Sessions.ClearCookie(&o.w, o.req.secureCookies())
	o.req.setPageCookies(o.w.Header(), true)
	o.seeOther(o.req.mainOrigin() + "/login")
	return nil
}

// pageScript serves the script of the app's kind. The script is the same for everyone, and changes
// only with Sluice's version.
func (o reserved) pageScript() {
	script := o.req.app.Kind.PageScript()
	sum := sha256.Sum256(script)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	if o.req.http.Header.Get("If-None-Match") == tag {
		o.w.Header()["Etag"] = []string{tag}
		o.w.WriteHeader(http.StatusNotModified)
		return
	}
	o.write(profile.Answer{Status: http.StatusOK, Body: script, Header: http.Header{
		"Content-Type":                 {"text/javascript; charset=utf-8"},
		"Cache-Control":                {"public, no-cache"},
		"Etag":                         {tag},
		"Cross-Origin-Resource-Policy": sameOrigin,
	}})
}

// verify protects the answers for the console's Verify page on an app's origin. They are for
// signed-in people who may see the app, and Sluice's own pages can read them across origins.
func (o reserved) verify(show func()) error {
	r, app := o.req.http, o.req.app
	if origin := r.Header.Get("Origin"); origin != "" && origin == o.req.mainOrigin() {
		h := o.w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Add("Vary", "Origin")
	}
	if err := o.authenticate(); err != nil {
		return err
	}
	who := o.requester.who()
	if !who.SignedIn() {
		return needSignIn()
	}
	place := objects.Place{Workspace: app.WorkspaceID} // Sluice's own paths are about the app itself
	rights := rights{gate: o.req.p.cfg.Gate, app: app, who: who, place: place}
	if err := rights.check(r.Context(), authz.AppView); err != nil {
		return err
	}
	show()
	return nil
}

// The number of events in the stream test, and the time between two of them.
const (
	verifyEvents = 5
	verifyPause  = 200 * time.Millisecond
)

// verifyStream sends a few events, slowly. If a browser gets them all at once, something on the way
// buffers.
func (o reserved) verifyStream() {
	h := o.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h["X-Content-Type-Options"] = nosniff
	o.stream()
	control := http.NewResponseController(&o.w)
	tick := time.NewTicker(verifyPause)
	defer tick.Stop()
	for i := range verifyEvents {
		_, err := o.w.Write([]byte("event: tick\ndata: " + string(rune('1'+i)) + "\n\n"))
		if err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-o.req.http.Context().Done():
			return
		}
	}
}

// whoami is the content of the Verify page.
type whoami struct {
	ID       string   `json:"id"`
	Username string   `json:"username"`
	Name     string   `json:"name"`
	Email    string   `json:"email"`
	Role     string   `json:"role"`
	IP       string   `json:"ip"`
	Peer     string   `json:"peer"`
	Chain    []string `json:"chain"`
	Scheme   string   `json:"scheme"`
	Host     string   `json:"host"`
	Origin   string   `json:"origin"`
	Trusted  bool     `json:"proxy_trusted"`
	// Headers are the headers that the builder would get with this very request; values of
	// credentials are hidden.
	Headers map[string][]string `json:"headers"`
}

// verifyWhoami reports the principal that Sluice recognizes, and how it reads the request.
func (o reserved) verifyWhoami() {
	q, who := o.req, o.requester.who()
	peer := web.Peer(q.http).String()
	w := whoami{
		ID:       who.ID,
		Username: who.Name,
		Name:     who.DisplayName,
		Email:    who.Email,
		Role:     who.Role(q.app.WorkspaceID),
		IP:       q.peer,
		Peer:     peer,
		Chain:    q.p.cfg.Trust.Chain(q.http),
		Scheme:   q.scheme(),
		Host:     q.http.Host,
		Origin:   q.appOrigin(),
		Trusted:  q.peer != peer,
		Headers:  o.builderHeaders(),
	}
	body, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		o.refuse(err)
		return
	}
	o.write(profile.Answer{Status: http.StatusOK, Body: body, Header: http.Header{
		"Content-Type":  {"application/json; charset=utf-8"},
		"Cache-Control": {"no-store"},
	}})
}

// builderHeaders runs the rewriting of a request on the headers of this one.
func (o reserved) builderHeaders() map[string][]string {
	q, who := o.req, o.requester.who()
	if q.app.ForwardAuth() {
		return hiddenAssertion(q, who)
	}
	h := q.http.Header.Clone()
	t := trip{req: q, shown: &o.requester.shown}
	t.rewriteHeader(h)
	h.Set("Host", q.app.Upstream.Host)
	if q.app.Bridge != nil {
		probe := &profile.Endpoint{Name: "verify", Upstream: profile.UpstreamSession}
		behalf := builder.OnBehalf{Principal: *who, Workspace: who.Workspace}
		if err := q.app.Bridge.Attach(q.http.Context(), h, behalf, probe); err != nil {
			h.Set("Cookie", "")
		}
	}
	for _, name := range [...]string{"Cookie", "Authorization"} {
		if h[name] != nil {
			h[name] = []string{"(hidden)"}
		}
	}
	return h
}
