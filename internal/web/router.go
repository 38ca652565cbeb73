package web

import (
	"net/http"
	"strings"
)

// methods are the methods that Router tries when a path exists but not for the request's method, in
// the order in which Allow lists them.
var methods = []string{
	http.MethodGet,
	http.MethodHead,
	http.MethodPost,
	http.MethodPut,
	http.MethodPatch,
	http.MethodDelete,
}

// rest is the fallback pattern: it matches every path that no route matches.
const rest = "/{rest...}"

// Router is net/http's mux without its redirects. The mux redirects an unclean path ("//", "/./",
// "/../"), or a subtree's name without its slash, to the form that it knows. Router treats every
// path that is not spelled like a route as missing. A route for GET also answers HEAD.
type Router struct {
	mux      *http.ServeMux
	notFound http.Handler
	noMethod http.Handler
}

// NewRouter returns a router without routes. notFound answers requests that no route matches.
// noMethod answers if only the method is wrong; Allow is already set then (RFC 9110 section
// 15.5.6).
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

// fallback answers requests whose path and method match no route.
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

// clean reports whether net/http's mux accepts an escaped path unchanged.
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
