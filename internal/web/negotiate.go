package web

import (
	"net/http"
	"strings"
)

// WantsPage reports whether the answer to r is for a person: a navigation of a browser, not a call
// by a script or a program. If the client sends Fetch Metadata headers, which a page cannot forge,
// they decide; otherwise the Accept header of a GET, HEAD or form POST decides.
func WantsPage(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	if r.Header.Get("X-Requested-With") != "" || r.Header.Get("HX-Request") != "" {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		return acceptsHTML(r.Header.Get("Accept"))
	}
	return false
}

// acceptsHTML looks for text/html by name, because programs send only "*/*".
func acceptsHTML(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		kind, _, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(kind), "text/html") {
			return true
		}
	}
	return false
}
