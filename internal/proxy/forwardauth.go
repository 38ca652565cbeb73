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

// ForwardAuthPath is where a reverse proxy of the operator's own asks about a request that it will
// forward itself. The path takes any method and reads no body.
const ForwardAuthPath = "/forward-auth"

// What the query "proxy" of ForwardAuthPath says of the asker.
const (
	// askerNginx is nginx's auth_request, which knows 2xx, 401 and 403, and keeps nothing of an
	// answer but headers.
	askerNginx = "nginx"
	// askerNginxAnswer is nginx once more, for the page that the browser gets in place of the
	// app's.
	askerNginxAnswer = "nginx-answer"
)

// asksAbout reports whether a request on the main listener is a sub-request of a reverse proxy. The
// path belongs to Sluice on every host but those of apps that Sluice itself forwards to.
func asksAbout(p *Proxy, r *http.Request) bool {
	if path, _, _ := strings.Cut(r.RequestURI, "?"); path != ForwardAuthPath {
		return false
	}
	a, ok := p.cfg.Apps.ByHost(r.Host)
	return !ok || a.ForwardAuth()
}

// serveForwardAuth answers a sub-request: 204 with identity headers if the request that it tells of
// may go on, otherwise the answer that the browser is to get.
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

// subRequest is the exchange of one sub-request. Its memory is used again: nothing of a sub-request
// outlives its answer.
type subRequest struct {
	exchange
	http  http.Request
	asker string // which answers the reverse proxy understands
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

// asker is the query "proxy" of a sub-request.
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

// askedFor finds out which app and which request a sub-request is about. Only a trusted peer's word
// is taken.
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
			WithNext("Let the reverse proxy pass its requests to Sluice, or add the app in Sluice's console once " +
				"more, as one behind a reverse proxy.")
	}
	return a, f, nil
}

// checkAsker makes sure that the peer is a proxy of the operator's, and that nobody reaches this
// endpoint by the address that browsers use for Sluice.
func checkAsker(p *Proxy, r *http.Request, believed bool) error {
	if !believed {
		return problem.Newf(
			problem.Denied,
			"%s asks Sluice to judge a request, and Sluice does not know this address as a reverse proxy of yours.",
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
		"%s is the address of Sluice for browsers; a reverse proxy asks at another one.",
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

// judge decides about the request that the sub-request tells of.
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
			WithNext("Let the reverse proxy pass them to Sluice, as the configuration does that the app's page in " +
				"Sluice shows.")
	}
	if q.audience == authn.AudienceMain {
		return problem.Newf(
			problem.Denied,
			"%s is on the same host name as Sluice's own pages: browsers would send it Sluice's own cookie.",
			q.app.Name,
		).WithRule("forward-auth same host").
			WithNext("Set APP_URL to Sluice's own address, on another host name than " + q.app.PublicURL + ".")
	}
	if err := s.readPreflight(); err != nil {
		return err
	}
	s.verdict, err = Judge(s.http.Context(), q)
	s.reply.note(&s.verdict)
	if err == nil && !s.verdict.requester.who().SignedIn() {
		// Nobody can show here what Sluice would show to strangers in the builder's stead.
		return needSignIn()
	}
	return err
}

// readPreflight lets no page of another origin find out what it might call, and treats other
// OPTIONS requests as reading.
func (s *subRequest) readPreflight() error {
	if s.http.Method != http.MethodOptions {
		return nil
	}
	origin := s.http.Header["Origin"]
	if len(origin) > 0 && (len(origin) > 1 || !strings.EqualFold(origin[0], s.req.appOrigin())) {
		return problem.New(problem.Denied, "Pages of other origins may not call this app.").
			WithRule("cors").WithField("Origin")
	}
	s.http.Method = http.MethodGet
	return nil
}

// refuse gives the answer that the browser is to get. A reverse proxy passes it on if it is no
// success.
func (s *subRequest) refuse(err error) {
	e, q := problem.Of(err), &s.req
	toSignIn := ""
	if e.Kind == problem.Unauthenticated && web.WantsPage(q.http) && !q.upgrading() && !authn.TokenTrouble(err) {
		// The entrance has what signing in needs: cookies can be set and taken away there, whatever
		// the reverse proxy does with the headers of this answer.
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

// tellNginx says in status and headers what the configuration turns into an answer.
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
		// nginx passes this one on by itself.
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

// allow says who asks, for the reverse proxy to pass on.
func (s *subRequest) allow() {
	if s.asker == askerNginxAnswer {
		s.reply.refuse(problem.New(problem.Unavailable, "Sluice has changed its mind about this request meanwhile.").
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

// passCredentials gives the client's cookies and credentials without those of Sluice's: the reverse
// proxy puts them in place of what the client sent, so that the app gets its own only.
func (s *subRequest) passCredentials(h http.Header) {
	for _, name := range [...]string{"Cookie", "Authorization", "X-Api-Key"} {
		if values := s.http.Header[name]; values != nil {
			h[name] = values
		}
	}
	dropOwnCookies(h)
	s.reply.requester.shown.Strip(h)
}

// notForwarded is what a forward-auth app answers where Sluice itself is reached under its address:
// nothing is forwarded from here.
func notForwarded(a *app.App) error {
	return problem.Newf(
		problem.NotFound,
		"A reverse proxy forwards to %s, not Sluice; this request has reached Sluice instead.",
		a.Name,
	).WithRule("forward-auth app").
		WithNext("Let " + a.PublicURL + " lead to the reverse proxy, and only the paths below " + reservedPrefix +
			" from there to Sluice.")
}

// asciiJSON is JSON that may stand in a header: everything beyond ASCII is escaped (RFC 8259
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
