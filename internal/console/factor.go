package console

import (
	"net/http"

	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

// factorStepView is the step that asks for a second factor.
type factorStepView struct {
	stepView
	Ways    factor.Ways
	Passkey passkeyView
	// ByRecovery reports that the field is labeled for a recovery code. The field accepts either
	// kind; only its label and keyboard change.
	ByRecovery bool
}

func (s *signInSteps) showFactorStep(x *visit, p login.Progress) error {
	return s.renderFactorStep(x, http.StatusOK, factorStepView{stepView: s.attempts.stepOf(x, p)}, p)
}

func (s *signInSteps) renderFactorStep(x *visit, status int, v factorStepView, p login.Progress) error {
	var err error
	if v.Ways, err = s.factors.FactorWays(x.r.Context(), p.Token); err != nil {
		return err
	}
	v.Passkey = passkeysAt(x)
	v.ByRecovery = !v.Ways.TOTP || x.r.URL.Query().Get("with") == "recovery"
	page := x.frame("Second factor", "")
	page.Scripts = []string{"passkey.js"}
	return x.render(status, factorStepPage(page, v))
}

// proveFactor takes a code, or the browser's answer for a passkey.
func (s *signInSteps) proveFactor(x *visit, p login.Progress) error {
	after, err := s.judgeFactor(x, p)
	if err == nil {
		return s.attempts.advance(x, after)
	}
	v := factorStepView{stepView: s.attempts.stepOf(x, p)}
	if expired(err) {
		err = problem.New(problem.Invalid, "That took too long.").WithNext("Try again.")
	}
	status, ok := stepMistake(x, &v.stepView, err, "code")
	if !ok {
		return err
	}
	return s.renderFactorStep(x, status, v, p)
}

func (s *signInSteps) judgeFactor(x *visit, p login.Progress) (login.Progress, error) {
	token, response, ok := passkeyAnswer(x)
	if !ok {
		return s.factors.FactorCode(x.r.Context(), p.Token, x.field("code"), x.event.Peer)
	}
	rp, err := relyingParty(x)
	if err != nil {
		return login.Progress{}, err
	}
	return s.factors.FactorPasskey(x.r.Context(), p.Token, rp, token, response)
}

// expired reports whether a ceremony or an offer has expired. If the attempt itself has expired,
// the dispatcher reports that first.
func expired(err error) bool {
	return problem.Is(err, problem.NotFound) || problem.Is(err, problem.Gone)
}

// enrolStepView is the step that sets up a second factor.
type enrolStepView struct {
	stepView
	MaySkip bool
	Passkey passkeyView
	// TOTP is set while an authenticator app is being set up.
	TOTP *totpView
}

func (s *signInSteps) showEnrolStep(x *visit, p login.Progress) error {
	return s.renderEnrolStep(x, http.StatusOK, enrolStepView{stepView: s.attempts.stepOf(x, p)}, p)
}

func (s *signInSteps) renderEnrolStep(x *visit, status int, v enrolStepView, p login.Progress) error {
	v.MaySkip, v.Passkey = p.MaySkip, passkeysAt(x)
	page := x.frame("Set up a second factor", "")
	page.Scripts = []string{"passkey.js"}
	return x.render(status, enrolStepPage(page, v))
}

// enrolStep takes the form of the step: a choice, or the proof that the chosen factor works.
func (s *signInSteps) enrolStep(x *visit, p login.Progress) error {
	who := factor.Enrolee{Attempt: p.Token}
	if x.value("do") == "later" {
		after, err := s.logins.SkipEnrol(x.r.Context(), p.Token)
		if err != nil {
			return err
		}
		return s.attempts.advance(x, after)
	}
	v := enrolStepView{stepView: s.attempts.stepOf(x, p)}
	done, err := s.enrollment.enrolBy(x, who, &v.TOTP)
	switch {
	case err == nil && v.TOTP != nil:
		return s.renderEnrolStep(x, http.StatusOK, v, p)
	case err == nil:
		return s.enrolled(x, done, p.Account)
	case expired(err):
		err = problem.New(problem.Invalid, "That took too long.").WithNext("Begin again.")
	}
	status, ok := stepMistake(x, &v.stepView, err, "code")
	if !ok {
		return err
	}
	if v.TOTP != nil {
		v.TOTP.Wrong = v.Wrong
	}
	return s.renderEnrolStep(x, status, v, p)
}

// enrolled continues after a factor was set up during sign-in. If recovery codes came with it, it
// shows them first, together with the cookies of the next step.
func (s *signInSteps) enrolled(x *visit, done factor.Enrolled, account string) error {
	if len(done.Recovery) == 0 {
		return s.attempts.advance(x, *done.Progress)
	}
	return renderRecovery(x, recoveryView{
		Codes:   done.Recovery,
		Account: account,
		Added:   "Your second factor is set up",
		Onward:  s.attempts.keep(x, *done.Progress),
		Action:  "I have saved them, continue",
	})
}

func (s *signInSteps) offerFactorPasskey(x *visit) error {
	rp, err := relyingParty(x)
	if err != nil {
		return err
	}
	return x.offer(s.factors.OfferFactorPasskey(x.r.Context(), x.cookie(attemptCookie), rp))
}

func (s *signInSteps) offerEnrolPasskey(x *visit) error {
	return s.enrollment.beginPasskey(x, factor.Enrolee{Attempt: x.cookie(attemptCookie)})
}
