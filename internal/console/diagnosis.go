package console

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"sluice/internal/authn"
	"sluice/internal/web"
)

// diagnosisView is the page that stops a redirect loop: what Sluice saw, what is wrong, and how to
// fix it.
type diagnosisView struct {
	Title, Text string
	Saw         []sawView
	Causes      []causeView
	// Again is the address for another try.
	Again string
	// Scheme and Host are those of the request as it reached Sluice, and Now is Sluice's clock. A
	// script compares them with the browser's.
	Scheme, Host string
	Now          time.Time
}

// sawView is one fact that Sluice saw about the request.
type sawView struct{ Name, Value string }

// causeView is one fault and how to fix it. Set lists variables with the values that they need.
type causeView struct {
	Title, Text string
	Set         []string
}

// request holds the facts behind a diagnosis.
type request struct {
	// tls reports that Sluice itself terminates TLS.
	tls, https, secure, trusted bool
	// proto is X-Forwarded-Proto as "https", "http", "something else" or "" for none.
	proto string
	// peer is the other end of the connection. host and own are the names in Host and in Sluice's
	// own address.
	peer netip.Addr
	host string
	own  *url.URL
	// cookies reports whether there was a Cookie header; ours are the names of Sluice's own cookies
	// in it.
	cookies bool
	ours    []string
}

// ownCookies are all cookies that Sluice's own pages set.
var ownCookies = []string{
	authn.CookieName(false),
	authn.CookieName(true),
	deviceCookie,
	attemptCookie,
	noticeCookie,
	web.ThemeCookie,
	setupCookie,
	resetCookie,
	verifyCookie,
	emailCookie,
	inviteCookie,
	ssoCookie,
}

func requestOf(x *visit) request {
	q := request{
		tls:     x.r.TLS != nil,
		https:   x.https(),
		secure:  x.secure(),
		trusted: x.shared.trust.TrustsPeer(x.r),
		peer:    web.Peer(x.r),
		host:    x.r.Host,
		cookies: len(x.r.Header["Cookie"]) > 0,
	}
	q.own, _ = url.Parse(x.origin())
	switch p := strings.ToLower(strings.TrimSpace(x.r.Header.Get("X-Forwarded-Proto"))); p {
	case "", "https", "http":
		q.proto = p
	default:
		q.proto = "something else"
	}
	for _, c := range x.r.Cookies() {
		if slices.Contains(ownCookies, c.Name) && !slices.Contains(q.ours, c.Name) {
			q.ours = append(q.ours, c.Name)
		}
	}
	return q
}

func (q request) scheme() string {
	if q.https {
		return "https"
	}
	return "http"
}

// schemeText describes the scheme that the browser used, and how Sluice knows.
func (q request) schemeText() string {
	switch {
	case q.tls:
		return "https: the connection ends at Sluice"
	case q.https:
		return "https: according to X-Forwarded-Proto from a trusted proxy"
	case q.proto != "" && !q.trusted:
		return "http: X-Forwarded-Proto was sent, but " + q.peer.String() + ", which sent it, is not trusted"
	case q.proto != "":
		return "http: X-Forwarded-Proto says " + q.proto
	}
	return "http: the connection is not encrypted, and has no X-Forwarded-Proto"
}

// saw lists what Sluice saw. It never includes the value of a cookie.
func (q request) saw(now time.Time) []sawView {
	proto, names, any, secure := "none", "none", "yes", "only over https (Secure)"
	if q.proto != "" {
		proto = q.proto + ", not trusted"
		if q.trusted {
			proto = q.proto + ", trusted"
		}
	}
	if len(q.ours) > 0 {
		names = strings.Join(q.ours, ", ")
	}
	if !q.cookies {
		any = "no"
	}
	if !q.secure {
		secure = "over http and https"
	}
	return []sawView{
		{"Scheme", q.schemeText()},
		{"X-Forwarded-Proto", proto},
		{"Connection from", q.peer.String()},
		{"Requested host", shown(q.host)},
		{"Sluice's own address", q.own.String()},
		{"Cookie header received", any},
		{"Sluice's cookies in it", names},
		{"Session cookie sent", secure},
		{"Sluice's clock", now.UTC().Format("2006-01-02 15:04:05 UTC")},
	}
}

// shown makes text from a request safe to show on a page.
func shown(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return strings.ToValidUTF8(s, "�")
}

// hostName returns a Host header without its port, which cookies ignore.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return strings.ToLower(name)
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// sameHostName reports whether a Host header names a host, ignoring the port.
func sameHostName(host, name string) bool { return strings.EqualFold(hostName(host), name) }

// lostSession explains why a browser with a new session did not send it back.
func lostSession(q request) []causeView {
	var causes []causeView
	add := func(title, text string, set ...string) { causes = append(causes, causeView{title, text, set}) }
	if !sameHostName(q.host, q.own.Hostname()) {
		add(
			"You are at a different address from Sluice's own",
			"Sluice's own address is "+q.own.String()+", and this request asked for "+shown(q.host)+
				". Cookies belong to one host name. Open "+q.own.String()+", or, if people should use the address "+
				"that you came by, set APP_URL to it; a proxy in front must pass the Host header on unchanged.",
			"APP_URL="+q.scheme()+"://"+shown(q.host),
		)
	}
	if q.secure && !q.https {
		causes = append(causes, secureOverHTTP(q))
	}
	switch {
	case slices.Contains(q.ours, authn.CookieName(q.secure)):
		add(
			"The cookie arrived, but belongs to no active session",
			"Perhaps another Sluice runs on the same host name (cookies ignore ports), several Sluices answer "+
				"without sharing one database, or the session expired or was revoked.",
		)
	case q.cookies && len(q.ours) > 0:
		add(
			"Other cookies came back, but the session cookie did not",
			"Something between the browser and Sluice changes cookies. A proxy must not change Set-Cookie: no other "+
				"Path, no Domain (such as nginx's proxy_cookie_path and proxy_cookie_domain).",
		)
	case len(causes) == 0:
		add(
			"The browser keeps no cookies for this site",
			"Allow cookies for "+q.own.Host+" in the browser's settings, also for private windows, and check "+
				"whether an extension blocks them. Sluice uses cookies only to know that you are signed in.",
		)
	}
	return causes
}

// secureOverHTTP is the case of Secure cookies on a connection that looks like http.
func secureOverHTTP(q request) causeView {
	switch {
	case q.proto == "https" && !q.trusted:
		return causeView{
			"Sluice does not trust the proxy in front of it",
			"The session cookie is for https only, and the proxy states that you came by https; but " +
				q.peer.String() +
				" is not among the trusted proxies. Trust it:",
			[]string{"TRUST_PROXY=" + trustValue(q.peer)},
		}
	case q.own.Scheme == "https":
		return causeView{
			"An https-only cookie on an http page",
			"Browsers drop it. Open " + q.own.String() + " instead. If you did come by https, the proxy that " +
				"terminates TLS must set X-Forwarded-Proto to https, and Sluice must trust it:",
			[]string{"TRUST_PROXY=" + trustValue(q.peer)},
		}
	}
	return causeView{
		"An https-only cookie on an http page",
		"SECURE_COOKIES is on, and browsers drop such a cookie over http. Serve Sluice on https and set APP_URL to " +
			"that address. If there is only http, switch the setting off:",
		[]string{"SECURE_COOKIES=false"},
	}
}

// trustValue is the value of TRUST_PROXY that covers a peer.
func trustValue(peer netip.Addr) string {
	switch {
	case peer.IsLoopback():
		return "loopback"
	case peer.IsPrivate():
		return peer.String()
	}
	return peer.String() + "   # or NUMBER_OF_PROXIES=1 with TRUST_PROXY=true"
}

// circling explains why an app sends back a browser that is signed in here.
func (q request) circling(name, origin string) []causeView {
	app, err := url.Parse(origin)
	if err != nil {
		return nil
	}
	var causes []causeView
	add := func(title, text string, set ...string) { causes = append(causes, causeView{title, text, set}) }
	if app.Scheme == "http" && q.secure {
		add(
			"The app's address is on http",
			"Cookies are for https only here, so that no browser keeps one at "+origin+
				". Give "+name+" a public address that begins with https://.",
		)
	}
	if app.Scheme == "https" && !q.secure {
		add(
			"The app is on https, and Sluice is not",
			"If a proxy terminates TLS for both, Sluice does not know that it is served on https. Set APP_URL to "+
				"Sluice's https "+
				"address, and trust the proxy:",
			"APP_URL=https://…",
			"TRUST_PROXY="+trustValue(q.peer),
		)
	}
	if len(causes) == 0 {
		add(
			"The browser keeps no cookie at "+app.Host,
			"Allow cookies for "+app.Host+" in the browser's settings. If a proxy is in front of "+
				name+", it must pass the Host header and Set-Cookie on unchanged.",
		)
	}
	return causes
}

// diagnose answers with the page that stops a loop.
func diagnose(x *visit, title, text, again string, q request, causes []causeView) error {
	x.event.Reason = "sign-in loop"
	v := diagnosisView{
		Title:  title,
		Text:   text,
		Saw:    q.saw(x.now()),
		Causes: causes,
		Again:  again,
		Scheme: q.scheme(),
		Host:   q.host,
		Now:    x.now(),
	}
	page := x.frame(title, "")
	page.Scripts = []string{"diagnosis.js"}
	return x.render(http.StatusOK, diagnosisPage(page, v))
}
