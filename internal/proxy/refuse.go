package proxy

import (
	"errors"
	"net/http"

	"sluice/internal/authn"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// refuse answers with an error in the form that the other side understands.
func (x *exchange) refuse(err error) {
	if errors.Is(err, errClientGone) {
		x.event.Reason = "client gone"
		x.w.status = web.StatusClientGone
		return
	}
	e := problem.Of(err)
	x.event.Reason, x.event.Cause = reason(e), e.Unwrap()
	if e.Kind == problem.Internal {
		x.event.Cause = err
	}
	if x.r.ContentLength != 0 && (x.body == nil || x.body.data == nil) {
		// The rest of a body that nobody wants is not waited for.
		x.w.Header().Set("Connection", "close")
	}
	if e.Kind == problem.Unauthenticated {
		x.w.Header().Set("WWW-Authenticate", authn.Challenge(err))
	}
	if web.WantsPage(x.r) && !x.upgrading() {
		x.refusePage(e)
		return
	}
	if e.Kind == problem.Unauthenticated && e.Next == "" {
		e = e.WithNext("Sign in at " + x.signInURL())
	}
	x.write(x.app.Profile.ErrorFor(x.r.Header, e, x.event.ID))
}

// badCookieRule is what package authn calls a session cookie that stands twice or is not well formed.
const badCookieRule = "session cookie"

func reason(e *problem.Error) string {
	if e.Rule != "" {
		return e.Rule
	}
	return e.Kind.String()
}

// refusePage answers a person's navigation.
func (x *exchange) refusePage(e *problem.Error) {
	switch e.Kind {
	case problem.Unauthenticated:
		if e.Rule == badCookieRule {
			// Signing in again would not help as long as the browser sends this cookie: no circle, but a page that says so.
			x.p.cfg.Sessions.ClearCookie(&x.w, x.secureCookies())
			web.WriteProblemPage(&x.w, x.r, e, x.event.ID)
			return
		}
		if authn.TokenTrouble(e) {
			web.WriteProblemPage(&x.w, x.r, e, x.event.ID)
			return
		}
		x.sendToSignIn(x.wayBack())
	case problem.Unavailable, problem.Timeout, problem.Upstream:
		web.WriteBuilderDown(&x.w, x.r, web.BuilderDown{
			App: x.app.Name, Detail: e.Detail, RetryAfter: e.RetryAfter, Status: e.Kind.Status(),
		}, x.event.ID)
	default:
		web.WriteProblemPage(&x.w, x.r, e, x.event.ID)
	}
}

// wayBack is the path to which a browser returns after signing in.
func (x *exchange) wayBack() string {
	if x.r.Method != http.MethodGet || x.path == "" {
		return "/"
	}
	if x.rawQuery != "" {
		return web.ReturnTo(x.path + "?" + x.rawQuery)
	}
	return web.ReturnTo(x.path)
}

// seeOther sends a browser elsewhere with a GET (RFC 9110 section 15.4.4).
func (x *exchange) seeOther(location string) {
	h := x.w.Header()
	h.Set("Location", location)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	x.w.WriteHeader(http.StatusSeeOther)
}
