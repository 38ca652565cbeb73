package web

import (
	"net/http"
	"time"

	"github.com/a-h/templ"

	"sluice/internal/problem"
)

// WriteProblemPage answers r with the error page: what was wrong, what to do about it, and the
// request's id.
func WriteProblemPage(w http.ResponseWriter, r *http.Request, e *problem.Error, requestID string) {
	WriteProblemUnder(w, r, nil, e, requestID)
}

// WriteProblemUnder is WriteProblemPage with a banner; nil omits it.
func WriteProblemUnder(w http.ResponseWriter, r *http.Request, b *Banner, e *problem.Error, requestID string) {
	e.SetHeaders(w.Header())
	page := framed(r, e.Kind.Title())
	page.Banner = b
	writeFailure(w, r, e.Kind.Status(), problemPage(page, e, requestID), requestID)
}

// UnknownHost is a request for a host name that is neither an app's nor Sluice's own.
type UnknownHost struct {
	// Host is the requested host.
	Host string
	// Known are the origins that Sluice answers for, its own first. Leave it empty for visitors on
	// other machines, because the list would reveal apps.
	Known []string
}

// WriteUnknownHost answers with 421 (RFC 9110 section 15.5.20) and a page that lists the known
// names and the setting that adds one.
func WriteUnknownHost(w http.ResponseWriter, r *http.Request, h UnknownHost, requestID string) {
	writeFailure(
		w,
		r,
		http.StatusMisdirectedRequest,
		unknownHostPage(framed(r, "Unknown address"), h, requestID),
		requestID,
	)
}

// BuilderDown is an app that currently does not answer.
type BuilderDown struct {
	// App is the app's name for people.
	App string
	// Detail is one sentence about the failed attempt; may be empty.
	Detail string
	// RetryAfter is the time until the page reloads automatically; 0 means five seconds.
	RetryAfter time.Duration
	// Status is the HTTP status; 0 means 503.
	Status int
}

// WriteBuilderDown answers with a page that retries automatically. It does not repeat a POST; it
// offers a link instead.
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

// framed returns the frame of an error page, in the browser's theme.
func framed(r *http.Request, title string) Page {
	return Page{Title: title, Theme: ThemeOf(r)}
}

func writeFailure(w http.ResponseWriter, r *http.Request, status int, page templ.Component, requestID string) {
	Policy{}.SetHeaders(w.Header(), false)
	if err := Render(w, r, status, page); err != nil {
		http.Error(w, "Sluice could not show its error page. Request "+requestID, http.StatusInternalServerError)
	}
}
