package web

import (
	"net/http"
	"strings"
)

// methods are those that Router looks for when a path exists but does not take the request's
// method, in the order in which Allow names them.
var methods = []string{
	http.MethodGet,
	http.MethodHead,
	http.MethodPost,
	http.MethodPut,
	http.MethodPatch,
	http.MethodDelete,
}

// rest is the pattern behind all others: it matches what no route does.
const rest = "/{rest...}"

// Router is net/http's mux without its redirects. The mux redirects an unclean path ("//", "/./",
// "/../") and the name of a subtree without its slash to the form that it knows; a path that is not
// spelled as a route is, does not exist here. A route for GET answers HEAD too.
type Router struct {
	mux      *http.ServeMux
	notFound http.Handler
	noMethod http.Handler
}

// NewRouter returns a router without routes. notFound answers what no route matches. noMethod
// answers where only the method is wrong; Allow is set by then (RFC 9110 section 15.5.6).
func NewRouter(notFound, noMethod http.Handler) *Router {
	rt := &Router{mux: http.NewServeMux(), notFound: notFound, noMethod: noMethod}
	rt.mux.HandleFunc(rest, rt.fallback)
	return rt
}

// Handle adds a route. The pattern is a path of net/http's mux without method and host, such as
// /users/{id}; only "/" ends in a slash. Handle panics if the pattern is malformed or conflicts
// with another, as the mux does.
func (rt *Router) Handle(method, pattern string, h http.Handler) {
	if pattern == "/" {
		pattern = "/{$}"
	} else if strings.HasSuffix(pattern, "/") {
		panic("web: the mux would redirect to " + pattern)
	}
	rt.mux.Handle(method+" "+pattern, h)
}

// HandlePrefix adds a handler for everything below a path that ends in a slash, with any method.
func (rt *Router) HandlePrefix(prefix string, h http.Handler) {
	rt.mux.Handle(prefix+"{rest...}", h)
	rt.mux.Handle(strings.TrimSuffix(prefix, "/"), rt.notFound)
}

// ServeHTTP implements http.Handler.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !clean(r.URL.EscapedPath()) {
		rt.notFound.ServeHTTP(w, r)
		return
	}
	rt.mux.ServeHTTP(w, r)
}

// fallback answers what no route matches with this method.
func (rt *Router) fallback(w http.ResponseWriter, r *http.Request) {
	answer := rt.notFound
	for _, method := range methods {
		_, pattern := rt.mux.Handler(&http.Request{Method: method, Host: r.Host, URL: r.URL})
		if pattern != rest {
			w.Header().Add("Allow", method)
			answer = rt.noMethod
		}
	}
	answer.ServeHTTP(w, r)
}

// clean reports whether net/http's mux takes an escaped path as it is.
func clean(path string) bool {
	if !strings.HasPrefix(path, "/") {
		return false
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if s == "." || s == ".." || s == "" && i < len(segments)-1 {
			return false
		}
	}
	return true
}
