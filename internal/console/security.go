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

// securityPages are a person's own password, factors and linked identities.
type securityPages struct {
	enrollment *enrollment
	rounds     *rounds
	people     *identity.People
	logins     *login.Logins
	factors    *factor.Factors
	providers  *sso.Providers
	sso        *sso.SSO
}

// securityPath is the page of the visitor's own password, factors and identities.
const securityPath = "/account/security"

// securityView shows how a person's account is protected.
type securityView struct {
	User    personView
	Now     time.Time
	Factors factor.Set
	// Policy is the strictest second-factor policy among the person's workspaces.
	Policy  string
	Passkey passkeyView
	// Weak reports that this session has proven no second factor, although the account has one.
	Weak bool
	// PasswordUseless reports that only superusers may use passwords, and this person is not a
	// superuser.
	PasswordUseless bool
	Links           []sso.Link
	// Linkable are the providers that the account is not linked to yet.
	Linkable []sso.Button
	// At names the part that Problem and Wrong belong to: "password", "factors" or "links".
	At            string
	Problem, Next string
	Wait          time.Duration
	Wrong         wrong
}

func (v securityView) required() bool { return v.Policy == identity.FactorRequired }

func (p *securityPages) showSecurity(x *visit) error {
	return p.renderSecurity(x, http.StatusOK, securityView{})
}

func (p *securityPages) renderSecurity(x *visit, status int, v securityView) error {
	u, err := p.people.Get(x.r.Context(), x.who, x.who.ID)
	if err != nil {
		return err
	}
	if v.Factors, err = p.factors.List(x.r.Context(), x.who, x.who.ID); err != nil {
		return err
	}
	if v.Links, err = p.sso.Links(x.r.Context(), x.who, x.who.ID); err != nil {
		return err
	}
	v.User, v.Now, v.Policy, v.Passkey = personOf(x, u), x.now(), p.people.SecondFactorFor(x.who), passkeysAt(x)
	v.PasswordUseless = !u.Superuser && p.logins.PasswordPolicy() == login.PasswordSuperusers
	v.Weak = v.Factors.Any() && !x.who.Strong
	linked := map[string]bool{}
	for _, l := range v.Links {
		linked[l.ProviderName] = true
	}
	for _, b := range p.providers.SignInButtons() {
		if !linked[b.Name] {
			v.Linkable = append(v.Linkable, b)
		}
	}
	page := x.frame("Security", "/account")
	page.Scripts = []string{"passkey.js"}
	return x.render(status, securityPage(page, v))
}

// securityMistake shows a mistake on the page. It returns errors that require a fresh proof, or
// that people cannot fix there.
func (p *securityPages) securityMistake(x *visit, at string, err error, fields ...string) error {
	if expired(err) {
		err = problem.New(problem.Invalid, "That took too long, or it was removed.").WithNext("Try again.")
	}
	m, ok := formMistake(err, fields...)
	if !ok {
		return err
	}
	e := problem.Of(err)
	e.SetHeaders(x.w.Header())
	return p.renderSecurity(
		x,
		m.status,
		securityView{At: at, Problem: m.Text, Next: m.Next, Wait: e.RetryAfter, Wrong: m.Wrong},
	)
}

// factorChanged returns to the page after a change, or shows there why it failed.
func (p *securityPages) factorChanged(x *visit, notice string, err error) error {
	if err != nil {
		return p.securityMistake(x, "factors", err)
	}
	return x.done(securityPath, notice)
}

// changePassword changes the visitor's own password, or sets a first one.
func (p *securityPages) changePassword(x *visit) error {
	err := p.logins.ChangePassword(x.r.Context(), x.who, x.field("old_password"), x.field("password"))
	if err != nil {
		return p.securityMistake(x, "password", err, "old_password", "password")
	}
	return x.done(securityPath, "password")
}

func (p *securityPages) offerOwnPasskey(x *visit) error {
	return p.enrollment.beginPasskey(x, factor.Enrolee{Principal: x.who})
}

func (p *securityPages) addPasskey(x *visit) error {
	done, err := p.enrollment.finishPasskey(x, factor.Enrolee{Principal: x.who}, passkeyName(x))
	return p.factorAdded(x, done, err, "passkey", "A passkey is set up")
}

// factorAdded shows the recovery codes that came with a first factor.
func (p *securityPages) factorAdded(x *visit, done factor.Enrolled, err error, notice, added string) error {
	if err != nil || len(done.Recovery) == 0 {
		return p.factorChanged(x, notice, err)
	}
	return renderRecovery(x, recoveryView{
		Codes:   done.Recovery,
		Account: x.who.Name,
		Added:   added,
		Onward:  securityPath,
		Action:  "I have saved them",
	})
}

func (p *securityPages) renamePasskey(x *visit) error {
	return p.factorChanged(
		x,
		"passkey-renamed",
		p.factors.RenamePasskey(x.r.Context(), x.who, x.r.PathValue("id"), x.value("name")),
	)
}

func (p *securityPages) removePasskey(x *visit) error {
	return p.factorChanged(x, "passkey-removed", p.factors.RemovePasskey(x.r.Context(), x.who, x.r.PathValue("id")))
}

// appSetupView is the set-up of an authenticator app by a signed-in person.
type appSetupView struct {
	TOTP          totpView
	Problem, Next string
}

// setUpApp begins the set-up of an authenticator app, or completes it with a code.
func (p *securityPages) setUpApp(x *visit) error {
	var offer *totpView
	done, err := p.enrollment.enrolBy(x, factor.Enrolee{Principal: x.who}, &offer)
	if offer == nil {
		return p.factorAdded(x, done, err, "app-added", "The authenticator app is set up")
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

func (p *securityPages) removeTOTPApp(x *visit) error {
	return p.factorChanged(x, "app-removed", p.factors.RemoveTOTP(x.r.Context(), x.who))
}

func (p *securityPages) newRecoveryCodes(x *visit) error {
	codes, err := p.factors.NewRecoveryCodes(x.r.Context(), x.who)
	if err != nil {
		return p.securityMistake(x, "factors", err)
	}
	return renderRecovery(x, recoveryView{
		Codes:   codes,
		Account: x.who.Name,
		Added:   "The previous codes no longer work",
		Onward:  securityPath,
		Action:  "I have saved them",
	})
}

func (p *securityPages) unlinkIdentity(x *visit) error {
	if err := p.sso.Unlink(x.r.Context(), x.who, x.r.PathValue("provider")); err != nil {
		return p.securityMistake(x, "links", err)
	}
	return x.done(securityPath, "unlinked")
}

// ownPasswordText describes what the password is good for.
func ownPasswordText(v securityView) string {
	switch {
	case v.PasswordUseless:
		return "Only superusers have passwords here; sign in with single sign-on or a passkey."
	case !v.Factors.HasPassword:
		return "You have none. With a password you can sign in even if single sign-on is down."
	}
	return "Changing it signs out your sessions on all other devices."
}

// linkIdentity begins linking an identity to the visitor's own account.
func (p *securityPages) linkIdentity(x *visit) error {
	slug := x.r.PathValue("slug")
	to, err := p.rounds.roundTrip(x, sso.Round{Slug: slug, Purpose: sso.ForLink})
	if err != nil {
		return p.securityMistake(x, "links", err)
	}
	return sendAway(x, awayView{
		"To " + p.rounds.providerName(x, slug),
		"Sign in there with the account that you want to use here.",
		to,
		"Continue",
	})
}
