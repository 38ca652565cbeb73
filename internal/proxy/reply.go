package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice/internal/authn"
	"sluice/internal/problem"
	"sluice/internal/profile"
	"sluice/internal/web"
)

// reply is the client's side of an exchange: the answer, and the log line.
type reply struct {
	req       *Request
	requester requester // as far as it is known
	read      bool      // the body of the request has arrived in full
	w         writer
	cut       *cutter // nil unless the exchange is cut when the session behind it is revoked
	event     web.Event
	// renewed reports that the builder's session was renewed for this exchange.
	renewed bool
}

// note copies a Verdict's facts about the request, for the answer and the log.
func (a *reply) note(v *Verdict) {
	a.requester, a.read = v.requester, v.body.held
	a.noteRequester()
	a.event.Flow, a.event.Reason = v.flow, v.reason
	a.notePath(v.Request.path, v.endpoint())
}

// notePath logs the path and the endpoint. An address that carries a key is not logged.
func (a *reply) notePath(path string, e *profile.Endpoint) {
	hidden := authn.ContainsKey(a.req.http.RequestURI)
	if hidden {
		path = "(an API key)"
	}
	if e != nil {
		a.event.Endpoint = e.Name
		if hidden || e.Blocked != "" {
			path = e.Pattern // a closed route may carry a key in its path (such as verify/apikey/…) too
		}
	}
	a.event.Path = path
}

// noteRequester logs the requester, and adds headers about the use of their key's limits to the
// answer.
func (a *reply) noteRequester() {
	who := a.requester.who()
	a.event.Person, a.event.Name, a.event.Session = who.ID, who.Name, who.SessionID
	a.event.Key, a.event.KeyPrefix = who.KeyID, a.requester.shown.KeyPrefix
	a.requester.shown.Limits.SetHeaders(a.w.Header())
}

// authenticate determines the requester, for Sluice's own paths.
func (a *reply) authenticate() (err error) {
	a.requester, err = a.req.authenticate()
	a.noteRequester()
	return err
}

// stream marks the exchange as long-lived.
func (a *reply) stream() {
	if !a.w.stream {
		a.w.stream = true
		a.req.up.counters.streams.Inc()
	}
}

// errClientGone means that the client no longer waits for the answer.
var errClientGone = errors.New("the client closed the connection")

// refuse answers with an error in the form that the client understands.
func (a *reply) refuse(err error) {
	if errors.Is(err, errClientGone) {
		a.event.Reason = "client gone"
		a.w.status = web.StatusClientGone
		return
	}
	e, r := problem.Of(err), a.req.http
	a.event.Reason, a.event.Cause = reason(e), e.Unwrap()
	if e.Kind == problem.Internal {
		a.event.Cause = err
	}
	if r.ContentLength != 0 && !a.read {
		// Do not wait for the rest of an unwanted body.
		a.w.Header().Set("Connection", "close")
	}
	if e.Kind == problem.Unauthenticated {
		a.w.Header().Set("WWW-Authenticate", authn.Challenge(err))
	}
	if web.WantsPage(r) && !a.req.upgrading() {
		a.refusePage(e)
		return
	}
	if e.Kind == problem.Unauthenticated && e.Next == "" {
		e = e.WithNext("Sign in at " + a.req.signInURL())
	}
	a.write(a.req.app.Profile.ErrorFor(r.Header, e, a.event.ID))
}

// badCookieRule is the rule that package authn gives a session cookie that is repeated or
// malformed.
const badCookieRule = "session cookie"

func reason(e *problem.Error) string {
	if e.Rule != "" {
		return e.Rule
	}
	return e.Kind.String()
}

// refusePage answers a person's navigation.
func (a *reply) refusePage(e *problem.Error) {
	switch e.Kind {
	case problem.Unauthenticated:
		if e.Rule == badCookieRule {
			// Signing in again would not help while the browser sends this cookie. A page that says
			// so prevents a redirect loop.
			a.req.p.cfg.Sessions.ClearCookie(&a.w, a.req.secureCookies())
			web.WriteProblemPage(&a.w, a.req.http, e, a.event.ID)
			return
		}
		if authn.TokenTrouble(e) {
			web.WriteProblemPage(&a.w, a.req.http, e, a.event.ID)
			return
		}
		a.sendToSignIn(a.req.wayBack())
	case problem.Unavailable, problem.Timeout, problem.Upstream:
		web.WriteBuilderDown(&a.w, a.req.http, web.BuilderDown{
			App:        a.req.app.Name,
			Detail:     e.Detail,
			RetryAfter: e.RetryAfter,
			Status:     e.Kind.Status(),
		}, a.event.ID)
	default:
		web.WriteProblemPage(&a.w, a.req.http, e, a.event.ID)
	}
}

// seeOther sends a browser elsewhere with a GET (RFC 9110 section 15.4.4).
func (a *reply) seeOther(location string) {
	h := a.w.Header()
	h.Set("Location", location)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	a.w.WriteHeader(http.StatusSeeOther)
}

// write sends one of Sluice's own answers.
func (a *reply) write(answer profile.Answer) {
	h := a.w.Header()
	for name, values := range answer.Header {
		h[name] = values
	}
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = sameOrigin
	shareWithPages(a.req, &a.requester, h)
	h["Content-Length"] = []string{strconv.Itoa(len(answer.Body))}
	a.w.WriteHeader(answer.Status)
	if a.req.http.Method != http.MethodHead {
		_, _ = a.w.Write(answer.Body)
	}
}

// preflight answers OPTIONS. A page of the app itself never needs a preflight. A page of another
// origin gets no CORS header, which browsers treat as a refusal (Fetch standard, section 3.2),
// unless it wants to send a key or token. In that case access does not depend on anything that the
// browser adds.
func (a *reply) preflight() {
	r, h := a.req.http, a.w.Header()
	origin := r.Header["Origin"]
	switch {
	case len(origin) == 1 && origin[0] == a.req.appOrigin():
		h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		h.Set("Cache-Control", "no-store")
		a.w.WriteHeader(http.StatusNoContent)
	case announcesKey(r.Header):
		h["Access-Control-Allow-Origin"] = anyOrigin
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, X-Api-Key, Content-Type, Accept, Cache-Control")
		h.Set("Access-Control-Max-Age", "600")
		a.w.WriteHeader(http.StatusNoContent)
	default:
		a.refuse(problem.New(problem.Denied, "Pages of other origins cannot call this app without an API key.").
			WithRule("cors").WithField("Origin"))
	}
}

// anyOrigin permits pages of every origin to read an answer that did not depend on anything that
// the browser adds automatically (Fetch standard, section 3.2.5).
var anyOrigin = []string{"*"}

// announcesKey reports whether a preflight announces a request with a key or token.
func announcesKey(h http.Header) bool {
	for _, line := range h["Access-Control-Request-Headers"] {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.TrimSpace(name)
			if strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "X-Api-Key") {
				return true
			}
		}
	}
	return false
}

// shareWithPages lets pages of other origins read the answer to a request with a key or token, even
// when the key or token is refused. A page that sends one already has it, and the browser adds no
// cookies to such a request.
func shareWithPages(req *Request, c *requester, h http.Header) {
	if req.http.Header["Origin"] != nil && c.sharesKey() {
		h["Access-Control-Allow-Origin"] = anyOrigin
		h["Access-Control-Expose-Headers"] = exposedHeaders
		h["Cross-Origin-Resource-Policy"] = []string{"cross-origin"}
		h.Add("Vary", "Origin")
	}
}

var exposedHeaders = []string{"RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id"}

// enterStateName is the cookie that binds a round trip to Sluice's own origin to one browser (RFC
// 6749 section 10.12).
const enterStateName = ownCookiePrefix + "enter"

// enterStateAge is how long a round trip may take, in seconds, because people have to find their
// passwords.
const enterStateAge = 600

// sendToSignIn sends a browser to Sluice's sign-in page for this app. On the host name of Sluice's
// own pages it returns with a session cookie, because ports do not separate cookies. Elsewhere it
// returns with a code, which needs the state that is set here.
func (a *reply) sendToSignIn(back string) {
	to := a.req.mainOrigin() + "/login?app=" + url.QueryEscape(a.req.app.ID) + "&return=" + url.QueryEscape(back)
	if a.req.audience == authn.AudienceMain {
		a.seeOther(to)
		return
	}
	state := a.enterState()
	if state == "" {
		var err error
		if state, err = a.req.p.cfg.Sessions.NewEnterState(); err != nil {
			a.refuse(err)
			return
		}
	}
	a.setEnterState(state, enterStateAge)
	a.seeOther(to + "&state=" + url.QueryEscape(state))
}

// enterState returns the state that this browser already has, so that two tabs can make the round
// trip at once; "" if the state is missing or invalid.
func (a *reply) enterState() string {
	found := a.req.http.CookiesNamed(a.enterStateCookie())
	if len(found) != 1 || len(found[0].Value) > 100 {
		return ""
	}
	return found[0].Value
}

func (a *reply) enterStateCookie() string {
	if a.req.secureCookies() {
		return "__Host-" + enterStateName
	}
	return enterStateName
}

func (a *reply) setEnterState(value string, age int) {
	http.SetCookie(&a.w, &http.Cookie{
		Name:     a.enterStateCookie(),
		Value:    value,
		Path:     "/",
		MaxAge:   age,
		HttpOnly: true,
		Secure:   a.req.secureCookies(),
		SameSite: http.SameSiteLaxMode,
	})
}

// finish is deferred by serve, so every exchange is logged and counted. A panic continues
// afterwards: ReverseProxy's http.ErrAbortHandler, for example, breaks off the answer to the
// client.
func (a *reply) finish() {
	broken := recover()
	a.req.memory.keep(0)
	if broken != nil {
		a.noteBroken(broken)
	}
	a.event.Status, a.event.Bytes = a.w.status, a.w.bytes
	cfg := &a.req.p.cfg
	now := cfg.Now()
	a.count(now)
	a.event.Log(a.req.http.Context(), cfg.Log, now)
	if broken != nil {
		panic(broken)
	}
}

// noteBroken logs why an answer broke off.
func (a *reply) noteBroken(broken any) {
	switch {
	case broken != http.ErrAbortHandler:
		a.event.Reason, a.event.Cause = "panic", fmt.Errorf("panic: %v", broken)
		if a.w.status == 0 {
			a.w.status = http.StatusInternalServerError
		}
	case a.cut.hasFired():
		a.event.Reason = "session ended"
	case a.req.http.Context().Err() != nil:
		a.event.Reason = "client gone"
	default:
		a.event.Reason = "builder broke off"
	}
}

func (a *reply) count(now time.Time) {
	c := &a.req.up.counters
	if a.renewed {
		c.renewals.Inc()
	}
	if class := a.w.status/100 - 1; class >= 0 && class < len(c.class) {
		c.class[class].Inc()
	}
	if a.w.stream {
		c.streams.Dec()
		return
	}
	c.seconds.Observe(now.Sub(a.event.Start).Seconds())
}
