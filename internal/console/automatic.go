package console

import (
	"cmp"

	"sluice/internal/login"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// signInAutomatically signs in a browser on this machine without asking, if the configuration says
// so. done reports that the answer is written. Everyone else gets the form: people on another
// machine, or under a name that may mean another machine, other websites, programs, and people who
// want the form ("with=password").
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

// passesOn reports whether a reverse proxy is in front of Sluice, judging by an app with a public
// address. This machine's requests can then come from anyone.
func (s *signInPages) passesOn(x *visit) bool {
	for _, a := range s.apps.All() {
		if a.PublicURL != "" && !web.LoopbackOrigin(a.PublicURL) {
			return true
		}
	}
	return false
}
