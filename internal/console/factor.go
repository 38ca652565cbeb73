package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

// factorStepView is the step that asks for a second factor.
type factorStepView struct {
	stepView
	Ways    factor.Ways
	Passkey passkeyView
	// ByRecovery tells that the field is for a recovery code; the field takes either, this is only its label and keyboard.
	ByRecovery bool
}

func showFactorStep(x *visit, p login.Progress) error {
	return x.renderFactorStep(http.StatusOK, factorStepView{stepView: x.stepOf(p)}, p)
}

func (x *visit) renderFactorStep(status int, v factorStepView, p login.Progress) error {
	var err error
	if v.Ways, err = x.c.cfg.Factors.FactorWays(x.r.Context(), p.Token); err != nil {
		return err
	}
	v.Passkey = x.passkeys()
	v.ByRecovery = !v.Ways.TOTP || x.r.URL.Query().Get("with") == "recovery"
	page := x.frame("Second factor", "")
	page.Scripts = []string{"passkey.js"}
	return x.render(status, factorStepPage(page, v))
}

// proveFactor takes a code, or what the browser answered for a passkey.
func proveFactor(x *visit, p login.Progress) error {
	after, err := x.judgeFactor(p)
	if err == nil {
		return x.advance(after)
	}
	v := factorStepView{stepView: x.stepOf(p)}
	if expired(err) {
		err = problem.New(problem.Invalid, "That took too long.").WithNext("Try again.")
	}
	status, ok := x.stepMistake(&v.stepView, err, "code")
	if !ok {
		return err
	}
	return x.renderFactorStep(status, v, p)
}

func (x *visit) judgeFactor(p login.Progress) (login.Progress, error) {
	token, response, ok := x.passkeyAnswer()
	if !ok {
		return x.c.cfg.Factors.FactorCode(x.r.Context(), p.Token, x.field("code"), x.event.Peer)
	}
	rp, err := x.relyingParty()
	if err != nil {
		return login.Progress{}, err
	}
	return x.c.cfg.Factors.FactorPasskey(x.r.Context(), p.Token, rp, token, response)
}

// expired reports whether it is a ceremony or an offer that is over. Where an attempt itself is over the dispatcher says so first.
func expired(err error) bool {
	return problem.Is(err, problem.NotFound) || problem.Is(err, problem.Gone)
}

// totpView is the set-up of an authenticator app.
type totpView struct {
	Token, URL, QR string
	// Secret is in groups of four, for typing.
	Secret string
	Wrong  wrong
}

func totpOf(o factor.TOTPOffer) *totpView {
	var groups []string
	for rest := o.Secret; rest != ""; {
		n := min(4, len(rest))
		groups, rest = append(groups, rest[:n]), rest[n:]
	}
	return &totpView{Token: o.Token, URL: o.URL, QR: o.QR, Secret: strings.Join(groups, " ")}
}

// recoveryView shows a new set of recovery codes, this once.
type recoveryView struct {
	Codes []string
	// Account and Place say what they are for, on paper too; Added is the factor that they came with, "" for a new set.
	Account, Place, Added string
	MadeAt                time.Time
	// Onward is where one goes on, and Action what that is called.
	Onward, Action string
}

// text is what the file and the clipboard hold.
func (v recoveryView) text() string {
	return "Recovery codes of " + v.Account + " for Sluice at " + v.Place + ", made " + v.MadeAt.UTC().Format("2006-01-02") + ".\nEach works once.\n\n" + v.list() + "\n"
}

func (v recoveryView) list() string { return strings.Join(v.Codes, "\n") }

// file is the address of the text itself: it is on no server.
func (v recoveryView) file() string {
	return "data:text/plain;charset=utf-8," + strings.ReplaceAll(url.QueryEscape(v.text()), "+", "%20")
}

func (x *visit) renderRecovery(v recoveryView) error {
	v.Place, v.MadeAt = x.r.Host, x.c.cfg.Now()
	return x.render(http.StatusOK, recoveryPage(x.frame("Recovery codes", ""), v))
}

// enrolStepView is the step that sets up a second factor.
type enrolStepView struct {
	stepView
	MaySkip bool
	Passkey passkeyView
	// TOTP is there while an authenticator app is being set up.
	TOTP *totpView
}

func showEnrolStep(x *visit, p login.Progress) error {
	return x.renderEnrolStep(http.StatusOK, enrolStepView{stepView: x.stepOf(p)}, p)
}

func (x *visit) renderEnrolStep(status int, v enrolStepView, p login.Progress) error {
	v.MaySkip, v.Passkey = p.MaySkip, x.passkeys()
	page := x.frame("Set up a second factor", "")
	page.Scripts = []string{"passkey.js"}
	return x.render(status, enrolStepPage(page, v))
}

// enrolStep takes the form of the step: a choice, or the proof that what was chosen works.
func enrolStep(x *visit, p login.Progress) error {
	who := factor.Enrolee{Attempt: p.Token}
	if x.value("do") == "later" {
		after, err := x.c.cfg.Logins.SkipEnrol(x.r.Context(), p.Token)
		if err != nil {
			return err
		}
		return x.advance(after)
	}
	v := enrolStepView{stepView: x.stepOf(p)}
	done, err := x.enrolBy(who, &v.TOTP)
	switch {
	case err == nil && v.TOTP != nil:
		return x.renderEnrolStep(http.StatusOK, v, p)
	case err == nil:
		return x.enrolled(done, p.Account)
	case expired(err):
		err = problem.New(problem.Invalid, "That took too long.").WithNext("Begin again.")
	}
	status, ok := x.stepMistake(&v.stepView, err, "code")
	if !ok {
		return err
	}
	if v.TOTP != nil {
		v.TOTP.Wrong = v.Wrong
	}
	return x.renderEnrolStep(status, v, p)
}

// enrolBy does what the form asks for: "app" begins with an authenticator app, "code" proves that the app works, "passkey" stores a passkey. It fills in offer while the app is being set up.
func (x *visit) enrolBy(who factor.Enrolee, offer **totpView) (factor.Enrolled, error) {
	switch x.value("do") {
	case "app":
		o, err := x.c.cfg.Factors.BeginTOTP(x.r.Context(), who)
		if err == nil {
			*offer = totpOf(o)
		}
		return factor.Enrolled{}, err
	case "code":
		done, err := x.c.cfg.Factors.FinishTOTP(x.r.Context(), who, x.field("offer"), x.field("code"))
		if problem.Is(err, problem.Invalid) {
			if o, again := x.c.cfg.Factors.OfferedTOTP(x.r.Context(), who, x.field("offer")); again == nil {
				*offer = totpOf(o)
			}
		}
		return done, err
	case "passkey":
		return x.finishPasskey(who, x.passkeyName())
	}
	return factor.Enrolled{}, problem.New(problem.Invalid, "Choose a passkey or an authenticator app.")
}

// passkeyName is the name that was typed, or what the browser says it runs on.
func (x *visit) passkeyName() string {
	if name := x.value("name"); name != "" {
		return name
	}
	return deviceName(x.r.UserAgent())
}

// enrolled goes on after a factor was set up while signing in; recovery codes that came with it are shown first, with the cookies of what comes next.
func (x *visit) enrolled(done factor.Enrolled, account string) error {
	if len(done.Recovery) == 0 {
		return x.advance(*done.Progress)
	}
	return x.renderRecovery(recoveryView{Codes: done.Recovery, Account: account, Added: "Your second factor is set up", Onward: x.keep(*done.Progress), Action: "I have kept them, go on"})
}
