package console

import (
	"cmp"

	"sluice/internal/login"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// signInAutomatically lets a browser on this machine in without asking, where the configuration
// says so. Done tells that the answer is written. Everybody else finds the form: people on another
// machine, or under a name that may mean another machine, other websites, programs, and a person
// who asks for it ("with=password").
func (s *signInPages) signInAutomatically(x *visit, d destination) (done bool, err error) {
	asked := x.r.URL.Query().Get("with") != ""
	if s.logins.AutoLogin() == "" || asked || !web.OnThisMachine(x.r) || !web.Arrives(x.r) || s.passesOn(x) {
		return false, nil
	}
	progress, err := s.logins.Automatic(x.r.Context(), login.Attempt{
		IP:          x.event.Peer,
		UserAgent:   x.r.UserAgent(),
		Device:      x.cookie(deviceCookie),
		Destination: d.attempt(),
	})
	switch e := problem.Of(err); {
	case err == nil:
		return true, s.attempts.advance(x, progress)
	case e.Kind == problem.Internal:
		return false, err
	default:
		x.event.Reason = cmp.Or(e.Rule, e.Kind.String())
		return false, nil
	}
}

// passesOn reports whether a reverse proxy stands in front of Sluice, as an app with a public
// address tells: then this machine is everybody's.
func (s *signInPages) passesOn(x *visit) bool {
	for _, a := range s.apps.All() {
		if a.PublicURL != "" && !web.LoopbackOrigin(a.PublicURL) {
			return true
		}
	}
	return false
}
