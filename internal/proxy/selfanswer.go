package proxy

import (
	"context"
	"net/http"
	"strconv"

	"sluice/internal/problem"
	"sluice/internal/profile"
)

// answerItself gives the answer that Sluice owes in the builder's stead: where to sign in, who is signed in, the end of the session.
func (x *exchange) answerItself() {
	c := profile.AnswerContext{
		Principal: x.who, SignInURL: x.signInURL(), SignedOutURL: x.p.cfg.MainOrigin(x.r.Host) + "/login",
		SignOut: func(ctx context.Context) error { return x.p.cfg.SignOut(ctx, x.who) },
		Query:   x.query, Now: x.p.cfg.Now(),
	}
	if x.app.Bridge != nil {
		c.Upstream = x.app.Bridge.Upstream()
	}
	a, err := x.app.Profile.Answer(x.r.Context(), x.match.Endpoint.Answer, c)
	if err != nil {
		x.refuse(err)
		return
	}
	x.write(a)
}

// write sends an answer of Sluice's own.
func (x *exchange) write(a profile.Answer) {
	h := x.w.Header()
	for name, values := range a.Header {
		h[name] = values
	}
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = sameOrigin
	h["Content-Length"] = []string{strconv.Itoa(len(a.Body))}
	x.w.WriteHeader(a.Status)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(a.Body)
	}
}

// preflight answers OPTIONS. A page of the app itself never needs to ask; a page of another origin gets no CORS header, which browsers
// take for a no (Fetch standard, section 3.2).
func (x *exchange) preflight() {
	origin := x.r.Header["Origin"]
	if len(origin) == 1 && origin[0] == x.appOrigin() {
		x.w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		x.w.Header().Set("Cache-Control", "no-store")
		x.w.WriteHeader(http.StatusNoContent)
		return
	}
	x.refuse(problem.New(problem.Denied, "Pages of other origins may not call this app.").WithRule("cors").WithField("Origin"))
}
