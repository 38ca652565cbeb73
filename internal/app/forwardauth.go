package app

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/problem"
)

// The ways to put an app behind Sluice.
const (
	// ModeProxy means that requests pass through Sluice.
	ModeProxy = "proxy"
	// ModeForwardAuth means that the operator's own reverse proxy asks Sluice about each request
	// and forwards it itself.
	ModeForwardAuth = "forward-auth"
)

// forwardAuthPrefix followed by the public address is the upstream_url of a forward-auth app. It is
// unique, and not an address to dial.
const forwardAuthPrefix = ModeForwardAuth + ":"

// askedStep is how old the stored time of the last sub-request may be before it is written again.
const askedStep = 5 * time.Minute

// cleanForwardAuth checks the Spec of a forward-auth app. Its public address goes into another
// program's configuration, so its host must be a plain name or address.
func (s *Spec) cleanForwardAuth(kinds builder.Kinds) error {
	if s.PublicURL == "" {
		return problem.New(problem.Invalid, "An app behind a reverse proxy needs its public address.").
			WithField("public_url").
			WithNext("Enter the address that people use, such as https://flows.example.com.")
	}
	if _, host, _ := strings.Cut(s.PublicURL, "://"); !PlainHost(host) {
		return problem.New(problem.Invalid, "The public address can contain letters, digits, dots and dashes, and a "+
			"port.").
			WithField("public_url")
	}
	any := kinds.Fallback().Name
	if s.Kind != "" && s.Kind != any {
		return problem.New(problem.Invalid, "An app behind a reverse proxy has the kind generic, because Sluice "+
			"sees neither its requests' bodies nor its answers.").
			WithField("kind").
			WithNext("Leave the kind out, or connect the app as a proxy.")
	}
	s.URL, s.Kind = forwardAuthPrefix+s.PublicURL, any
	return nil
}

// PlainHost reports whether a host, with or without a port, consists of letters, digits, dots,
// dashes, and an IPv6 address's brackets and colons. Such a text means the same in every
// configuration language.
func PlainHost(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case c >= 'a' && c <= 'z',
			c >= 'A' && c <= 'Z',
			c >= '0' && c <= '9',
			c == '.',
			c == '-',
			c == ':',
			c == '[',
			c == ']':
		default:
			return false
		}
	}
	return host != "" && host[0] != '-'
}

// Asked notes that a reverse proxy asked about a forward-auth app. The first time is announced to
// all nodes at once; later ones are stored every few minutes. Asked itself does no I/O.
func (r *Registry) Asked(a *App, now time.Time) {
	v, ok := r.asked.Load(a.ID)
	if !ok {
		v, _ = r.asked.LoadOrStore(a.ID, &askedAt{})
	}
	at, ms := v.(*askedAt), now.UnixMilli()
	if ms-at.last.Load() > time.Second.Milliseconds() {
		at.last.Store(ms)
	}
	stored := at.stored.Load()
	if ms-stored < askedStep.Milliseconds() || !at.stored.CompareAndSwap(stored, ms) {
		return
	}
	r.background.start(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.storeAsked(ctx, a, ms); err != nil {
			at.stored.CompareAndSwap(ms, stored)
			r.log.Warn("that a reverse proxy asks about an app could not be stored", "app", a.Name, "error", err)
		}
	})
}

// askedAt is when a reverse proxy last request about an app, and the latest stored time, both in
// unix ms.
type askedAt struct{ last, stored atomic.Int64 }

func (r *Registry) storeAsked(ctx context.Context, a *App, ms int64) error {
	return r.db.System(ctx, "app last asked", func(tx *db.Tx) error {
		if err := q.New(tx).SetAppSeen(ctx, q.SetAppSeenParams{ID: a.ID, SeenAt: ms}); err != nil {
			return err
		}
		if a.SeenAt.IsZero() {
			return tx.Changed(ChangeKind, a.ID)
		}
		return nil
	})
}

// LastAsked is when a reverse proxy last request about an app, as far as this node knows; zero for
// never.
func (r *Registry) LastAsked(a *App) time.Time {
	last := a.SeenAt
	if v, ok := r.asked.Load(a.ID); ok {
		if at := moment(v.(*askedAt).last.Load()); at.After(last) {
			last = at
		}
	}
	return last
}
