package web

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"
)

// Event describes one request for its line in the log. The front that serves the request fills it
// in along the way and logs it once, at the end.
//
// It never holds a query string, a header, a cookie or a body, because those carry secrets. Path is
// bounded, and empty for routes whose path carries a secret; for these, Endpoint is enough.
type Event struct {
	// ID is the request's id. It appears on error pages, in problem documents, and as X-Request-Id
	// in requests to the builder.
	ID string
	// Front is the part of Sluice that served it: "app", "console" or "api".
	Front string
	// Method and Path are those of the request.
	Method, Path string
	// Host is the Host header.
	Host string
	// Peer is the client's address, from Trust.ClientIP.
	Peer string
	// App is the connected app's slug; empty for Sluice's own pages.
	App string
	// Endpoint is the route's stable name; empty if the request matched none.
	Endpoint string
	// Person is the user's id and Name the username; empty for strangers.
	Person, Name string
	// Session is the id of the session; it is not a credential.
	Session string
	// Key is the id of the API key. KeyPrefix is the key's first characters, for recognizing it.
	// Neither is a credential.
	Key, KeyPrefix string
	// Flow is the id of the request's flow; may be empty.
	Flow string
	// Status is the HTTP status; 499 if the client disconnected before there was one.
	Status int
	// Bytes is the size of the answer's body.
	Bytes int64
	// Start is when the request's head had been read.
	Start time.Time
	// Reason is the problem kind of a refusal, or the cause that cut a stream short; empty after
	// success.
	Reason string
	// Cause is the error behind a failure, for the log only.
	Cause error
}

// maxLogged is how much of a client-chosen text goes into a line, in bytes.
const maxLogged = 256

// NewEvent begins the event of a request.
func NewEvent(r *http.Request, front string, now time.Time) Event {
	return Event{ID: NewRequestID(), Front: front, Method: r.Method, Host: r.Host, Start: now}
}

// NewRequestID creates an id that distinguishes requests. It is not secret; nothing may rely on it
// being unguessable.
func NewRequestID() string {
	const hex = "0123456789abcdef"
	var b [16]byte
	for i, n := 0, rand.Uint64(); i < len(b); i, n = i+1, n>>4 {
		b[i] = hex[n&15]
	}
	return string(b[:])
}

// Log writes the line. Failures inside Sluice or the builder are logged as errors, refusals and
// successes as information.
func (e *Event) Log(ctx context.Context, l *slog.Logger, now time.Time) {
	level := slog.LevelInfo
	if e.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	if !l.Enabled(ctx, level) {
		return
	}
	if h, ok := l.Handler().(*LogHandler); ok && h.event(e, level, now) {
		return
	}
	var space [22]slog.Attr
	attrs := append(
		space[:0],
		slog.String(
			"id",
			e.ID,
		),
		slog.String("front", e.Front),
		slog.String("method", cut(e.Method)),
		slog.Int("status", e.Status),
		slog.Float64("ms", e.ms(now)),
		slog.Int64("bytes", e.Bytes),
	)
	for _, f := range e.texts() {
		if f.value != "" {
			attrs = append(attrs, slog.String(f.key, cut(f.value)))
		}
	}
	if e.Cause != nil {
		attrs = append(attrs, slog.String("error", cut(e.Cause.Error())))
	}
	l.LogAttrs(ctx, level, message, attrs...)
}

// StatusClientGone is logged, and never sent, if the client disconnected before there was an
// answer.
const StatusClientGone = 499

// ClientGone reports whether an error only means that the client of a request has disconnected.
func ClientGone(r *http.Request, err error) bool {
	return r.Context().Err() != nil && errors.Is(err, context.Canceled)
}

// message is the same on all request lines; the fields differ.
const message = "request"

// text is a field of the line that is omitted if it is empty.
type text struct{ key, value string }

func (e *Event) texts() [12]text {
	return [...]text{
		{
			"app",
			e.App,
		}, {"endpoint", e.Endpoint}, {"flow", e.Flow}, {"path", e.Path}, {"host", e.Host}, {"person", e.Person},
		{
			"name",
			e.Name,
		}, {"session", e.Session}, {"key", e.Key}, {"key_prefix", e.KeyPrefix}, {"ip", e.Peer}, {"reason", e.Reason},
	}
}

// ms is the duration of the request, in milliseconds with three decimals.
func (e *Event) ms(now time.Time) float64 { return float64(now.Sub(e.Start).Microseconds()) / 1000 }

func cut(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged] + "…"
	}
	return s
}
