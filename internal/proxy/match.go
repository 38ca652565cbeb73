package proxy

import (
	"net/http"
	"net/netip"
	"strings"

	"sluice/internal/app"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// ServeApp serves an app on its own listener: the port identifies the app, whichever name the
// browser used for this machine. Names that are not configured are still refused, because a page on
// the internet can make its own name point to this address (DNS rebinding).
func (p *Proxy) ServeApp(a *app.App) http.Handler {
	id := a.ID
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		current, ok := p.cfg.Apps.ByID(id)
		if !ok {
			web.WriteProblemPage(w, r, problem.New(problem.Gone, "The app that was here has been removed from Sluice.").
				WithNext("Open Sluice to see your apps."), web.NewRequestID())
			return
		}
		if !originForm(r) {
			p.refuseForm(w, r)
			return
		}
		if !p.ownName(r) && !sameHost(current.PublicURL, r.Host) {
			p.unknownHost(w, r)
			return
		}
		p.serve(current, w, r)
	})
}

// ServeHost serves the apps that have their own host name, and passes requests for Sluice itself to
// next.
func (p *Proxy) ServeHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !originForm(r) {
			p.refuseForm(w, r)
			return
		}
		if !sniAgrees(r) {
			p.unknownHost(w, r)
			return
		}
		if asksAbout(p, r) {
			serveForwardAuth(p, w, r)
			return
		}
		if a, ok := p.cfg.Apps.ByHost(r.Host); ok {
			p.serve(a, w, r)
			return
		}
		if !p.ownName(r) {
			p.unknownHost(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ownName reports whether the Host header is a name that can only mean this machine: an IP address,
// localhost, or a configured name.
func (p *Proxy) ownName(r *http.Request) bool {
	if !sniAgrees(r) {
		return false
	}
	name := hostname(r.Host)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	for _, h := range p.cfg.Hosts {
		if strings.EqualFold(h, name) {
			return true
		}
	}
	return false
}

// sniAgrees reports whether a TLS client gave the same name in both layers. A difference is an
// attempt to reach another app's host.
func sniAgrees(r *http.Request) bool {
	return r.TLS == nil || r.TLS.ServerName == "" || strings.EqualFold(r.TLS.ServerName, hostname(r.Host))
}

// originForm reports whether the request target is a path (RFC 9112 section 3.2.1). The absolute
// form is for forward proxies, and takes the host from a source other than the Host header.
func originForm(r *http.Request) bool {
	return strings.HasPrefix(r.RequestURI, "/") && r.Method != http.MethodConnect
}

func (p *Proxy) refuseForm(w http.ResponseWriter, r *http.Request) {
	e := web.NewEvent(r, "app", p.cfg.Now())
	e.Peer, e.Status, e.Reason = p.cfg.Trust.ClientIP(r).String(), http.StatusBadRequest, "path.form"
	refusal := problem.New(problem.Invalid, "The request target must be a path. Sluice is not a forward proxy.")
	problem.WriteJSON(w, refusal.WithRule("path.form"), e.ID)
	e.Log(r.Context(), p.cfg.Log, p.cfg.Now())
}

func (p *Proxy) unknownHost(w http.ResponseWriter, r *http.Request) {
	u := web.UnknownHost{Host: r.Host}
	if web.Peer(r).IsLoopback() && r.Header["X-Forwarded-For"] == nil {
		u.Known = append(u.Known, p.cfg.MainOrigin(""))
		for _, a := range p.cfg.Apps.All() {
			u.Known = append(u.Known, a.Origin(""))
		}
	}
	e := web.NewEvent(r, "app", p.cfg.Now())
	e.Peer, e.Status, e.Reason = p.cfg.Trust.ClientIP(r).String(), http.StatusMisdirectedRequest, "unknown host"
	web.WriteUnknownHost(w, r, u, e.ID)
	e.Log(r.Context(), p.cfg.Log, p.cfg.Now())
}

// hostname is a Host header without port and brackets, in lower case.
func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && (strings.IndexByte(host, ':') == i || host[i-1] == ']') {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
}

// sameHost reports whether a URL's host and port are those of a Host header.
func sameHost(origin, host string) bool {
	_, rest, ok := strings.Cut(origin, "://")
	rest, _, _ = strings.Cut(rest, "/")
	return ok && strings.EqualFold(rest, host)
}
