package proxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
	"sluice/internal/web"
)

// reservedPrefix begins the paths on an app's origin that are Sluice's own. No builder has such paths.
const reservedPrefix = "/.sluice/"

// serveReserved serves Sluice's own paths. They match exactly as they stand on the wire.
func (x *exchange) serveReserved() {
	if web.IsAsset(x.r.URL.Path) {
		web.ServeAsset(&x.w, x.r)
		return
	}
	path, query, _ := strings.Cut(x.r.RequestURI, "?")
	x.event.Path, x.event.Endpoint = path, "sluice"
	if path == pageScriptPath && safe(x.r.Method) && len(x.app.Kind.PageScript()) > 0 {
		x.servePageScript()
		return
	}
	if err := x.reserved(path, query); err != nil {
		x.refuse(err)
	}
}

func (x *exchange) reserved(path, rawQuery string) error {
	if len(rawQuery) > profile.MaxTarget {
		return problem.New(problem.Invalid, "The query is longer than 8 KiB.").WithRule("query.length")
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return problem.New(problem.Invalid, "The query is not well formed.").WithRule("query.escape")
	}
	switch {
	case path == reservedPrefix+"enter" && x.r.Method == http.MethodGet:
		return x.enter(query.Get("code"), web.ReturnTo(query.Get("return")))
	case path == reservedPrefix+"signout" && x.r.Method == http.MethodPost:
		return x.signOut()
	case path == reservedPrefix+"people" && x.r.Method == http.MethodGet:
		x.seeOther(x.p.cfg.MainOrigin(x.r.Host) + "/admin/people")
		return nil
	case path == reservedPrefix+"verify/stream" && x.r.Method == http.MethodGet:
		return x.verify(x.verifyStream)
	case path == reservedPrefix+"verify/whoami" && x.r.Method == http.MethodGet:
		return x.verify(x.verifyWhoami)
	}
	return problem.New(problem.NotFound, "There is no such page here.").WithRule("reserved path")
}

// signOut ends the session on all origins.
func (x *exchange) signOut() error {
	if err := x.authenticate(); err != nil {
		return err
	}
	if x.who.SignedIn() {
		if err := x.p.cfg.SignOut(x.r.Context(), x.who); err != nil {
			return err
		}
	}
	x.p.cfg.Sessions.ClearCookie(&x.w, x.secureCookies())
	x.setPageCookies(x.w.Header(), true)
	x.seeOther(x.p.cfg.MainOrigin(x.r.Host) + "/login")
	return nil
}

// verify guards what the console's Verify page asks on an app's origin: for signed-in people who may see the app, readable by Sluice's own
// pages across origins.
func (x *exchange) verify(show func()) error {
	if origin := x.r.Header.Get("Origin"); origin != "" && origin == x.p.cfg.MainOrigin(x.r.Host) {
		h := x.w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Add("Vary", "Origin")
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	if !x.who.SignedIn() {
		return needSignIn()
	}
	if err := x.check(authz.AppView); err != nil {
		return err
	}
	show()
	return nil
}

// Events of the stream test, and the time between two of them.
const (
	verifyEvents = 5
	verifyPause  = 200 * time.Millisecond
)

// verifyStream sends a few events, slowly. A browser that gets them all at once sits behind something that buffers.
func (x *exchange) verifyStream() {
	h := x.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h["X-Content-Type-Options"] = nosniff
	x.stream()
	control := http.NewResponseController(&x.w)
	tick := time.NewTicker(verifyPause)
	defer tick.Stop()
	for i := range verifyEvents {
		_, err := x.w.Write([]byte("event: tick\ndata: " + string(rune('1'+i)) + "\n\n"))
		if err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-x.r.Context().Done():
			return
		}
	}
}

// whoami is what the Verify page shows.
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
	// Headers are what the builder would get with this very request; values of credentials are hidden.
	Headers map[string][]string `json:"headers"`
}

// verifyWhoami tells who Sluice takes the caller for, and what it makes of the request.
func (x *exchange) verifyWhoami() {
	w := whoami{
		ID: x.who.ID, Username: x.who.Name, Name: x.who.DisplayName, Email: x.who.Email, Role: x.who.Role(x.app.WorkspaceID),
		IP: x.event.Peer, Peer: web.Peer(x.r).String(), Chain: x.p.cfg.Trust.Chain(x.r), Scheme: x.scheme(), Host: x.r.Host,
		Origin: x.appOrigin(), Trusted: x.event.Peer != web.Peer(x.r).String(), Headers: x.builderHeaders(),
	}
	body, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		x.refuse(err)
		return
	}
	x.write(profile.Answer{
		Status: http.StatusOK, Body: body,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Cache-Control": {"no-store"}},
	})
}

// builderHeaders runs the rewriting of a request on the headers of this one.
func (x *exchange) builderHeaders() map[string][]string {
	if x.app.ForwardAuth() {
		return x.saidHeaders()
	}
	h := x.r.Header.Clone()
	x.rewriteHeader(h)
	h.Set("Host", x.app.Upstream.Host)
	if x.app.Bridge != nil {
		probe := &profile.Endpoint{Name: "verify", Upstream: profile.UpstreamSession}
		if err := x.app.Bridge.Attach(x.r.Context(), h, builder.OnBehalf{Principal: x.who, Workspace: x.who.Workspace}, probe); err != nil {
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
