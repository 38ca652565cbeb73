package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf16"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// ForwardAuthPath is where an operator's reverse proxy asks about a request that the proxy itself
// will forward. The path takes any method and reads no body.
const ForwardAuthPath = "/forward-auth"

// Values of the query "proxy" of ForwardAuthPath, which describe the asker.
const (
	// askerNginx is nginx's auth_request, which understands 2xx, 401 and 403, and keeps only the
	// headers of an answer.
	askerNginx = "nginx"
	// askerNginxAnswer is nginx as well, asking for the page that the browser gets instead of the
	// app's.
	askerNginxAnswer = "nginx-answer"
)

// asksAbout reports whether a request on the main listener is a sub-request of a reverse proxy. The
// path belongs to Sluice on every host except those of apps that Sluice itself forwards to.
func asksAbout(p *Proxy, r *http.Request) bool {
	if path, _, _ := strings.Cut(r.RequestURI, "?"); path != ForwardAuthPath {
		return false
	}
	a, ok := p.cfg.Apps.ByHost(r.Host)
	return !ok || a.ForwardAuth()
}

// serveForwardAuth answers a sub-request: 204 with identity headers if the request that it
// describes is allowed, otherwise the answer for the browser.
func serveForwardAuth(p *Proxy, w http.ResponseWriter, r *http.Request) {
	client, believed := p.cfg.Trust.Client(r)
	a, f, err := askedFor(p, r, believed)
	if err != nil {
		refuseAsker(p, w, r, client, err)
		return
	}
	p.cfg.Apps.Asked(a, p.cfg.Now())
	s := takeSubRequest(p)
	defer giveSubRequest(p, s)
	f.request(&s.http, r)
	s.begin(p, a, w, &s.http, "forward-auth", client.String())
	s.req.told, s.asker = true, asker(r)
	defer s.reply.finish()
	if err := s.judge(); err != nil {
		s.refuse(err)
		return
	}
	s.allow()
}

// subRequest is the exchange of one sub-request. Its memory is reused: nothing of a sub-request
// outlives its answer.
type subRequest struct {
	exchange
	http  http.Request
	asker string // the kind of reverse proxy, which limits the possible answers
}

func takeSubRequest(p *Proxy) *subRequest {
	if s, ok := p.asked.Get().(*subRequest); ok {
		return s
	}
	return &subRequest{}
}

func giveSubRequest(p *Proxy, s *subRequest) {
	*s = subRequest{}
	p.asked.Put(s)
}

// asker returns the kind of reverse proxy, from the query "proxy" of a sub-request.
func asker(r *http.Request) string {
	_, query, _ := strings.Cut(r.RequestURI, "?")
	switch query {
	case "proxy=" + askerNginx:
		return askerNginx
	case "proxy=" + askerNginxAnswer:
		return askerNginxAnswer
	}
	return ""
}

// askedFor determines which app and which request a sub-request is about. It believes trusted peers
// only.
func askedFor(p *Proxy, r *http.Request, believed bool) (*app.App, forwarded, error) {
	if err := checkAsker(p, r, believed); err != nil {
		return nil, forwarded{}, err
	}
	f, err := forwardedOf(r.Header)
	if err != nil {
		return nil, f, err
	}
	a, ok := p.cfg.Apps.ByHost(f.host)
	switch {
	case !ok:
		return nil, f, problem.Newf(problem.Denied, "No app in Sluice has the address %q.", f.host).
			WithRule("forward-auth host").
			WithNext("Add it in Sluice's console as an app behind a reverse proxy, or correct X-Forwarded-Host " +
				"in the reverse proxy's configuration.")
	case !a.ForwardAuth():
		return nil, f, problem.Newf(problem.Denied, "Sluice itself forwards to %s.", a.Name).
			WithRule("forward-auth mode").
			WithNext("Let the reverse proxy forward its requests to Sluice, or add the app again in Sluice's " +
				"console, behind a reverse proxy.")
	}
	return a, f, nil
}

// checkAsker makes sure that the peer is one of the operator's proxies, and that no one reaches
// this endpoint by the address that browsers use for Sluice.
func checkAsker(p *Proxy, r *http.Request, believed bool) error {
	if !believed {
		return problem.Newf(
			problem.Denied,
			"%s asks Sluice to judge a request, but is not a trusted reverse proxy.",
			web.Peer(r),
		).WithRule("forward-auth peer").
			WithNext("If it is yours, set TRUST_PROXY to its address (or to loopback), or TRUST_PROXY=true with " +
				"NUMBER_OF_PROXIES, and restart Sluice.")
	}
	if named := r.Header["X-Forwarded-Host"]; len(named) == 1 && named[0] == r.Host {
		// nginx and Caddy ask under the app's own name.
		return nil
	}
	main := originHostname(p.cfg.MainOrigin(""))
	if _, err := netip.ParseAddr(main); err == nil || main == "localhost" || hostname(r.Host) != main {
		return nil
	}
	return problem.Newf(
		problem.Denied,
		"%s is Sluice's address for browsers. A reverse proxy must use another one.",
		r.Host,
	).WithRule("forward-auth address").
		WithNext("Use the address at which the reverse proxy reaches Sluice directly, such as " +
			"http://127.0.0.1:3000" + ForwardAuthPath + ".")
}

// refuseAsker answers a sub-request that is about no app.
func refuseAsker(p *Proxy, w http.ResponseWriter, r *http.Request, client netip.Addr, err error) {
	e := problem.Of(err)
	event := web.NewEvent(r, "forward-auth", p.cfg.Now())
	event.Peer, event.Status, event.Reason = client.String(), e.Kind.Status(), reason(e)
	if web.WantsPage(r) {
		web.WriteProblemPage(w, r, e, event.ID)
	} else {
		problem.WriteJSON(w, e, event.ID)
	}
	event.Log(r.Context(), p.cfg.Log, p.cfg.Now())
}

// judge decides about the request that the sub-request describes.
func (s *subRequest) judge() error {
	q := &s.req
	err := q.readTarget()
	s.reply.notePath(q.path, nil)
	if err != nil {
		return err
	}
	if strings.HasPrefix(s.http.RequestURI, reservedPrefix) {
		return problem.New(problem.Denied, "Paths below "+reservedPrefix+" are Sluice's own.").
			WithRule("reserved path").
			WithNext("Let the reverse proxy forward them to Sluice, as in the configuration on the app's page in " +
				"Sluice.")
	}
	if q.audience == authn.AudienceMain {
		return problem.Newf(
			problem.Denied,
			"%s is on the same host name as Sluice's own pages: browsers would send it Sluice's own cookie.",
			q.app.Name,
		).WithRule("forward-auth same host").
			WithNext("Set APP_URL to Sluice's own address, on a different host name from " + q.app.PublicURL + ".")
	}
	if err := s.readPreflight(); err != nil {
		return err
	}
	s.verdict, err = Judge(s.http.Context(), q)
	s.reply.note(&s.verdict)
	if err == nil && !s.verdict.requester.who().SignedIn() {
		// The reverse proxy cannot show the answers that Sluice gives strangers in the builder's
		// place.
		return needSignIn()
	}
	return err
}

// readPreflight keeps a page of another origin from discovering what it could call, and treats
// other OPTIONS requests as reads.
func (s *subRequest) readPreflight() error {
	if s.http.Method != http.MethodOptions {
		return nil
	}
	origin := s.http.Header["Origin"]
	if len(origin) > 0 && (len(origin) > 1 || !strings.EqualFold(origin[0], s.req.appOrigin())) {
		return problem.New(problem.Denied, "Pages of other origins cannot call this app.").
			WithRule("cors").WithField("Origin")
	}
	s.http.Method = http.MethodGet
	return nil
}

// refuse gives the answer for the browser. A reverse proxy passes it on if its status is not a
// success.
func (s *subRequest) refuse(err error) {
	e, q := problem.Of(err), &s.req
	toSignIn := ""
	if e.Kind == problem.Unauthenticated && web.WantsPage(q.http) && !q.upgrading() && !authn.TokenTrouble(err) {
		// The entrance handles everything that signing in needs: it can set and remove cookies even
		// if the reverse proxy drops the headers of this answer.
		toSignIn = q.appOrigin() + reservedPrefix + "enter?return=" + url.QueryEscape(q.wayBack())
	}
	switch {
	case s.asker == askerNginx:
		s.tellNginx(err, toSignIn)
	case toSignIn != "":
		s.reply.event.Reason = reason(e)
		s.reply.seeOther(toSignIn)
	default:
		s.reply.refuse(err)
	}
}

// tellNginx encodes the refusal in a status and headers, which the nginx configuration turns into
// an answer.
func (s *subRequest) tellNginx(err error, toSignIn string) {
	e, event := problem.Of(err), &s.reply.event
	event.Reason, event.Cause = reason(e), e.Unwrap()
	status := http.StatusForbidden
	if e.Kind.Status() == http.StatusUnauthorized {
		status = http.StatusUnauthorized
	}
	h := s.reply.w.Header()
	h["Cache-Control"] = noStore
	if e.Kind == problem.Unauthenticated {
		// nginx passes this one on automatically.
		h.Set("WWW-Authenticate", authn.Challenge(err))
	}
	if toSignIn != "" {
		h.Set("X-Sluice-Location", toSignIn)
	}
	if text, err := json.Marshal(e.Document(event.ID)); err == nil {
		h.Set("X-Sluice-Problem", asciiJSON(text))
	}
	s.reply.w.WriteHeader(status)
}

// allow identifies the requester in headers that the reverse proxy passes on.
func (s *subRequest) allow() {
	if s.asker == askerNginxAnswer {
		s.reply.refuse(problem.New(problem.Unavailable, "The decision about this request changed in the meantime.").
			WithRule("forward-auth changed").WithNext("Try again."))
		return
	}
	asserted, err := assert(&s.req, s.reply.requester.who())
	if err != nil {
		s.refuse(err)
		return
	}
	h := s.reply.w.Header()
	asserted.set(h)
	s.passCredentials(h)
	h["Cache-Control"] = noStore
	s.reply.w.WriteHeader(http.StatusNoContent)
}

var noStore = []string{"no-store"}

// passCredentials returns the client's cookies and credentials without Sluice's. The reverse proxy
// sends them in place of the client's, so that the app gets only its own.
func (s *subRequest) passCredentials(h http.Header) {
	for _, name := range [...]string{"Cookie", "Authorization", "X-Api-Key"} {
		if values := s.http.Header[name]; values != nil {
			h[name] = values
		}
	}
	dropOwnCookies(h)
	s.reply.requester.shown.Strip(h)
}

// notForwarded is the answer of a forward-auth app when a request to its address reaches Sluice
// itself: Sluice does not forward for it.
func notForwarded(a *app.App) error {
	return problem.Newf(
		problem.NotFound,
		"A reverse proxy forwards to %s, not Sluice, but this request reached Sluice.",
		a.Name,
	).WithRule("forward-auth app").
		WithNext("Let " + a.PublicURL + " lead to the reverse proxy, and only the paths below " + reservedPrefix +
			" from there to Sluice.")
}

// asciiJSON returns JSON that is safe in a header: everything beyond ASCII is escaped (RFC 8259
// section 7).
func asciiJSON(text []byte) string {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
