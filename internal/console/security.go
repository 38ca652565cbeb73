package console

import (
	"net/http"
	"time"

	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
)

// securityPath is the page of one's own password, factors and identities.
const securityPath = "/account/security"

// securityView is what guards somebody's account.
type securityView struct {
	User    personView
	Now     time.Time
	Factors factor.Set
	// Policy is the strictest that a workspace of theirs says about second factors.
	Policy  string
	Passkey passkeyView
	// Weak tells that this session has proven no second factor, though there is one.
	Weak bool
	// PasswordUseless tells that passwords are for superusers only, and this is none.
	PasswordUseless bool
	Links           []sso.Link
	// Linkable are providers that they are not linked to.
	Linkable []sso.Button
	// At names the part that Problem and Wrong belong to: "password", "factors" or "links".
	At            string
	Problem, Next string
	Wait          time.Duration
	Wrong         wrong
}

func (v securityView) required() bool { return v.Policy == identity.FactorRequired }

func showSecurity(x *visit) error { return x.renderSecurity(http.StatusOK, securityView{}) }

func (x *visit) renderSecurity(status int, v securityView) error {
	u, err := x.c.cfg.People.Get(x.r.Context(), x.who, x.who.ID)
	if err != nil {
		return err
	}
	if v.Factors, err = x.c.cfg.Factors.List(x.r.Context(), x.who, x.who.ID); err != nil {
		return err
	}
	if v.Links, err = x.c.cfg.SSO.Links(x.r.Context(), x.who, x.who.ID); err != nil {
		return err
	}
	v.User, v.Now, v.Policy, v.Passkey = x.personOf(u), x.c.cfg.Now(), x.c.cfg.People.SecondFactorFor(x.who), x.passkeys()
	v.PasswordUseless = !u.Superuser && x.c.cfg.Logins.PasswordPolicy() == login.PasswordSuperusers
	v.Weak = v.Factors.Any() && !x.who.Strong
	linked := map[string]bool{}
	for _, l := range v.Links {
		linked[l.ProviderName] = true
	}
	for _, b := range x.c.cfg.Providers.SignInButtons() {
		if !linked[b.Name] {
			v.Linkable = append(v.Linkable, b)
		}
	}
	page := x.frame("Security", "/account")
	page.Scripts = []string{"passkey.js"}
	return x.render(status, securityPage(page, v))
}

// securityMistake shows on the page what was wrong; what asks for a fresh proof, and what nobody can mend there, is returned.
func (x *visit) securityMistake(at string, err error, fields ...string) error {
	if expired(err) {
		err = problem.New(problem.Invalid, "That took too long, or it is gone already.").WithNext("Try again.")
	}
	m, ok := formMistake(err, fields...)
	if !ok {
		return err
	}
	e := problem.Of(err)
	e.SetHeaders(x.w.Header())
	return x.renderSecurity(m.status, securityView{At: at, Problem: m.Text, Next: m.Next, Wait: e.RetryAfter, Wrong: m.Wrong})
}

// changed leads back to the page after a change, or shows on it why there was none.
func (x *visit) secured(notice string, err error) error {
	if err != nil {
		return x.securityMistake("factors", err)
	}
	return x.done(securityPath, notice)
}

// changePassword changes one's own password, or sets a first one.
func changePassword(x *visit) error {
	err := x.c.cfg.Logins.ChangePassword(x.r.Context(), x.who, x.field("old_password"), x.field("password"))
	if err != nil {
		return x.securityMistake("password", err, "old_password", "password")
	}
	return x.done(securityPath, "password")
}

func offerOwnPasskey(x *visit) error { return x.beginPasskey(factor.Enrolee{Principal: x.who}) }

func addPasskey(x *visit) error {
	done, err := x.finishPasskey(factor.Enrolee{Principal: x.who}, x.passkeyName())
	return x.factorAdded(done, err, "passkey", "A passkey is set up")
}

// factorAdded shows the recovery codes that came with a first factor.
func (x *visit) factorAdded(done factor.Enrolled, err error, notice, added string) error {
	if err != nil || len(done.Recovery) == 0 {
		return x.secured(notice, err)
	}
	return x.renderRecovery(recoveryView{Codes: done.Recovery, Account: x.who.Name, Added: added, Onward: securityPath, Action: "I have kept them"})
}

func renamePasskey(x *visit) error {
	return x.secured("passkey-renamed", x.c.cfg.Factors.RenamePasskey(x.r.Context(), x.who, x.r.PathValue("id"), x.value("name")))
}

func removePasskey(x *visit) error {
	return x.secured("passkey-removed", x.c.cfg.Factors.RemovePasskey(x.r.Context(), x.who, x.r.PathValue("id")))
}

// appSetupView is the set-up of an authenticator app by somebody who is signed in.
type appSetupView struct {
	TOTP          totpView
	Problem, Next string
}

// setUpApp begins with an authenticator app, or puts it in force with a code.
func setUpApp(x *visit) error {
	var offer *totpView
	done, err := x.enrolBy(factor.Enrolee{Principal: x.who}, &offer)
	if offer == nil {
		return x.factorAdded(done, err, "app-added", "The authenticator app is set up")
	}
	v, status := appSetupView{}, http.StatusOK
	if err != nil {
		m, ok := formMistake(err, "code")
		if !ok {
			return err
		}
		status, v.Problem, v.Next, offer.Wrong = m.status, m.Text, m.Next, m.Wrong
	}
	v.TOTP = *offer
	return x.render(status, appSetupPage(x.frame("Authenticator app", "/account"), v))
}

func removeTOTPApp(x *visit) error {
	return x.secured("app-removed", x.c.cfg.Factors.RemoveTOTP(x.r.Context(), x.who))
}

func newRecoveryCodes(x *visit) error {
	codes, err := x.c.cfg.Factors.NewRecoveryCodes(x.r.Context(), x.who)
	if err != nil {
		return x.securityMistake("factors", err)
	}
	return x.renderRecovery(recoveryView{Codes: codes, Account: x.who.Name, Added: "The former codes do not work any more", Onward: securityPath, Action: "I have kept them"})
}

func unlinkIdentity(x *visit) error {
	if err := x.c.cfg.SSO.Unlink(x.r.Context(), x.who, x.r.PathValue("provider")); err != nil {
		return x.securityMistake("links", err)
	}
	return x.done(securityPath, "unlinked")
}

// ownPasswordText says what the password is good for.
func ownPasswordText(v securityView) string {
	switch {
	case v.PasswordUseless:
		return "Passwords are only for superusers here; you sign in with single sign-on or a passkey."
	case !v.Factors.HasPassword:
		return "You have none. With one you can also sign in when single sign-on does not answer."
	}
	return "Changing it ends your sessions on all other devices."
}
