package proxy

import (
	"net/http"
	"strings"

	"sluice/internal/problem"
	"sluice/internal/profile"
)

// readTarget judges method and request target as they stood on the wire. net/http has parsed the target into a URL already; that reading
// is not used, because the builder will make one of its own.
func (x *exchange) readTarget() error {
	if !known(x.r.Method) {
		return problem.New(problem.Method, "Sluice does not pass this method on.").WithRule("method").
			WithNext("Use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.")
	}
	target := x.r.RequestURI
	if len(target) > profile.MaxTarget {
		return problem.New(problem.Invalid, "The address is longer than 8 KiB.").WithRule("path.length")
	}
	path, query, _ := strings.Cut(target, "?")
	canonical, err := profile.Canonical(path)
	if err != nil {
		return err
	}
	x.path, x.rawQuery = canonical, query
	x.event.Path = canonical
	if query != "" {
		if x.query, err = x.app.Profile.Query(query); err != nil {
			return err
		}
	}
	return oddities(x.r)
}

func known(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return true
	}
	return false
}

// oddities refuses what is legal in HTTP and read differently by different servers.
func oddities(r *http.Request) error {
	hasBody := r.ContentLength != 0
	if safe(r.Method) && hasBody {
		return problem.Newf(problem.Invalid, "A %s request has no body here.", r.Method).WithRule("body.method")
	}
	if hasBody && len(r.Header["Content-Type"]) > 1 {
		return problem.New(problem.Invalid, "The request names its content type twice.").WithRule("body.type").WithField("Content-Type")
	}
	return nil
}

// safe is RFC 9110 section 9.2.1.
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// appOrigin is the origin of the app as this browser sees it, e.g. "https://flows.example.com".
func (x *exchange) appOrigin() string {
	if x.origin == "" {
		x.origin = x.app.Origin(x.r.Host)
		if x.app.PublicURL == "" && x.p.cfg.Trust.Scheme(x.r) == "https" {
			x.origin = "https://" + x.r.Host
		}
	}
	return x.origin
}

// scheme is "https" or "http" as the browser used it.
func (x *exchange) scheme() string {
	if strings.HasPrefix(x.app.PublicURL, "https://") {
		return "https"
	}
	return x.p.cfg.Trust.Scheme(x.r)
}

// signInURL is where a browser that did not navigate here can go to sign in: the entrance of the app's own origin, which finds out
// whether there is a session and makes the round trip to Sluice's own pages otherwise.
func (x *exchange) signInURL() string {
	return x.appOrigin() + reservedPrefix + "enter?return=%2F"
}
