package proxy

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// answerItself gives the answer that Sluice owes in the builder's stead: where to sign in, who is signed in, the end of the session.
func (x *exchange) answerItself(what string) {
	main := x.p.cfg.MainOrigin(x.r.Host)
	c := builder.AnswerContext{
		Principal: x.who, SignInURL: x.signInURL(), SignedOutURL: main + "/login",
		SignOut: func(ctx context.Context) error { return x.p.cfg.SignOut(ctx, x.who) },
		Query:   x.query, App: x.app.ID, Param: x.match.Param, Body: x.wholeBody, Keys: x.p.cfg.Keys, Fresh: &x.p.fresh, KeysURL: main + "/account/keys",
		People: x.p.cfg.People, Logins: x.p.cfg.Logins, NewUserActive: x.p.cfg.NewUserActive, May: x.may, AccountURL: main + "/account", ConfirmURL: main + "/confirm",
		Version: x.app.Version, Now: x.p.cfg.Now(),
	}
	if x.app.Bridge != nil {
		c.Upstream = x.app.Bridge.Upstream()
	}
	a, err := x.app.Kind.Answer(x.r.Context(), what, c)
	if err != nil {
		x.refuse(err)
		return
	}
	if a.Read {
		x.readInstead()
		return
	}
	x.write(a.Answer)
}

// readInstead makes a request to change something one to read it, and forwards that.
func (x *exchange) readInstead() {
	m, ok := x.app.Profile.Match(http.MethodGet, x.path)
	if !ok {
		x.refuse(problem.New(problem.Denied, "You may see this but not change it.").WithRule("view only"))
		return
	}
	r := x.r.WithContext(x.r.Context())
	r.Method, r.Body, r.ContentLength, r.Header = http.MethodGet, http.NoBody, 0, x.r.Header.Clone()
	for _, name := range [...]string{"Content-Type", "Content-Length", "Content-Encoding", "If-Match", "If-Unmodified-Since"} {
		delete(r.Header, name)
	}
	x.r, x.match, x.body, x.instead = r, m, nil, ""
	if err := x.permit(false); err != nil {
		x.refuse(err)
		return
	}
	x.forward()
}

// may reports whether the person may use a row of the table on an object that is in the map. It records nothing: a page asks so that nobody has to try.
func (x *exchange) may(endpoint, objectID string) bool {
	e := x.app.Profile.Endpoint(endpoint)
	workspace, kind, ok := x.up.objects.Owner(objectID)
	if e == nil || e.Blocked != "" || !ok || !x.app.UsedIn(workspace) {
		return false
	}
	res := authz.Resource{Type: "App", ID: x.app.ID, App: x.app.ID, Workspace: workspace, Name: x.app.Name}
	asked := e.Asks(kind)
	if len(asked) == 0 {
		asked = []authz.Action{e.Action}
	}
	if kind == flow.Chatflow || kind == flow.Agentflow || kind == flow.Assistantflow {
		res.Type, res.ID = "Flow", objectID
	}
	return slices.ContainsFunc(asked, func(a authz.Action) bool { return x.p.cfg.Gate.Decide(x.who, a, res).Allowed })
}

// wholeBody is the JSON object that the client sent.
func (x *exchange) wholeBody() ([]byte, error) {
	if err := x.inspect(); err != nil {
		return nil, err
	}
	return x.body.data, nil
}

// write sends an answer of Sluice's own.
func (x *exchange) write(a profile.Answer) {
	h := x.w.Header()
	for name, values := range a.Header {
		h[name] = values
	}
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = sameOrigin
	x.shareWithPages(h)
	h["Content-Length"] = []string{strconv.Itoa(len(a.Body))}
	x.w.WriteHeader(a.Status)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(a.Body)
	}
}

// preflight answers OPTIONS. A page of the app itself never needs to ask; a page of another origin gets no CORS header, which browsers
// take for a no (Fetch standard, section 3.2), unless it wants to send a key or token: then it does not depend on what the browser adds.
func (x *exchange) preflight() {
	origin := x.r.Header["Origin"]
	switch {
	case len(origin) == 1 && origin[0] == x.appOrigin():
		x.w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		x.w.Header().Set("Cache-Control", "no-store")
		x.w.WriteHeader(http.StatusNoContent)
	case x.announcesKey():
		h := x.w.Header()
		h["Access-Control-Allow-Origin"] = anyOrigin
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, X-Api-Key, Content-Type, Accept, Cache-Control")
		h.Set("Access-Control-Max-Age", "600")
		x.w.WriteHeader(http.StatusNoContent)
	default:
		x.refuse(problem.New(problem.Denied, "Pages of other origins may not call this app without an API key.").WithRule("cors").WithField("Origin"))
	}
}

// anyOrigin permits pages of every origin to read an answer that was made without anything that the browser adds by itself (Fetch standard, section 3.2.5).
var anyOrigin = []string{"*"}

// announcesKey reports whether a preflight is for a request with a key or token.
func (x *exchange) announcesKey() bool {
	for _, line := range x.r.Header["Access-Control-Request-Headers"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "X-Api-Key") {
				return true
			}
		}
	}
	return false
}

// shareWithPages lets pages of other origins read the answer to a request that was made with a key or token, the refusal of one included. Whoever sends one
// has it already, and the browser adds no cookies to such a request.
func (x *exchange) shareWithPages(h http.Header) {
	if x.r.Header["Origin"] != nil && (x.shown.Kind == authn.CredentialKey || x.shown.Kind == authn.CredentialAccess || x.refusedKey) {
		h["Access-Control-Allow-Origin"] = anyOrigin
		h["Access-Control-Expose-Headers"] = []string{"RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id"}
		h["Cross-Origin-Resource-Policy"] = []string{"cross-origin"}
		h.Add("Vary", "Origin")
	}
}
