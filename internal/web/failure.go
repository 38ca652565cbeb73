package web

import (
	"net/http"
	"time"

	"github.com/a-h/templ"

	"sluice/internal/problem"
)

// WriteProblemPage answers r with the error page: what was wrong, what to do about it, and the request's id.
func WriteProblemPage(w http.ResponseWriter, r *http.Request, e *problem.Error, requestID string) {
	WriteProblemUnder(w, r, nil, e, requestID)
}

// WriteProblemUnder is WriteProblemPage with a banner; nil is none.
func WriteProblemUnder(w http.ResponseWriter, r *http.Request, b *Banner, e *problem.Error, requestID string) {
	e.SetHeaders(w.Header())
	page := framed(r, e.Kind.Title())
	page.Banner = b
	writeFailure(w, r, e.Kind.Status(), problemPage(page, e, requestID), requestID)
}

// UnknownHost is a request for a host name that no app and no address of Sluice's own has.
type UnknownHost struct {
	// Host is what the browser asked for.
	Host string
	// Known are the origins that Sluice does answer for, its own first. Leave it empty for visitors who are not on the same machine:
	// the list would tell them about apps.
	Known []string
}

// WriteUnknownHost answers with 421 (RFC 9110 section 15.5.20) and a page that says which names are known and which setting adds one.
func WriteUnknownHost(w http.ResponseWriter, r *http.Request, h UnknownHost, requestID string) {
	writeFailure(w, r, http.StatusMisdirectedRequest, unknownHostPage(framed(r, "Unknown address"), h, requestID), requestID)
}

// BuilderDown is an app that does not answer at the moment.
type BuilderDown struct {
	// App is the name that people know it by.
	App string
	// Detail is one sentence on what was tried and what happened; may be empty.
	Detail string
	// RetryAfter is how long until the page loads itself again; 0 means five seconds.
	RetryAfter time.Duration
	// Status is the HTTP status; 0 means 503.
	Status int
}

// WriteBuilderDown answers with a page that tries again by itself. A page that was loaded with POST is not repeated; it offers a link.
func WriteBuilderDown(w http.ResponseWriter, r *http.Request, d BuilderDown, requestID string) {
	if d.RetryAfter <= 0 {
		d.RetryAfter = 5 * time.Second
	}
	if d.Status == 0 {
		d.Status = http.StatusServiceUnavailable
	}
	page := framed(r, "Waiting for "+d.App)
	if r.Method == http.MethodGet {
		page.Refresh = d.RetryAfter
	}
	problem.New(problem.Unavailable, "").WithRetryAfter(d.RetryAfter).SetHeaders(w.Header())
	writeFailure(w, r, d.Status, builderDownPage(page, d, requestID), requestID)
}

// framed is the frame of an error page, in the theme that the browser asks for.
func framed(r *http.Request, title string) Page {
	return Page{Title: title, Theme: ThemeOf(r)}
}

func writeFailure(w http.ResponseWriter, r *http.Request, status int, page templ.Component, requestID string) {
	Policy{}.SetHeaders(w.Header(), false)
	if err := Render(w, r, status, page); err != nil {
		http.Error(w, "Sluice could not show its error page. Request "+requestID, http.StatusInternalServerError)
	}
}
