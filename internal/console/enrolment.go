package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

// enrollment sets up passkeys and authenticator apps, both during sign-in and afterwards.
type enrollment struct{ factors *factor.Factors }

func (e *enrollment) beginPasskey(x *visit, who factor.Enrolee) error {
	rp, err := relyingParty(x)
	if err != nil {
		return err
	}
	return x.offer(e.factors.BeginPasskey(x.r.Context(), who, rp))
}

// finishPasskey stores the passkey that the browser has created.
func (e *enrollment) finishPasskey(x *visit, who factor.Enrolee, name string) (factor.Enrolled, error) {
	token, response, ok := passkeyAnswer(x)
	if !ok {
		return factor.Enrolled{}, problem.New(problem.Invalid, "Passkeys need JavaScript, "+
			"which this browser did not run.").
			WithNext("Set up an authenticator app, which works without JavaScript.")
	}
	rp, err := relyingParty(x)
	if err != nil {
		return factor.Enrolled{}, err
	}
	return e.factors.FinishPasskey(x.r.Context(), who, rp, token, response, name)
}

// enrolBy does what the form asks for: "app" begins the set-up of an authenticator app, "code"
// proves that the app works, "passkey" stores a passkey. It fills in offer while the app is being
// set up.
func (e *enrollment) enrolBy(x *visit, who factor.Enrolee, offer **totpView) (factor.Enrolled, error) {
	switch x.value("do") {
	case "app":
		o, err := e.factors.BeginTOTP(x.r.Context(), who)
		if err == nil {
			*offer = totpOf(o)
		}
		return factor.Enrolled{}, err
	case "code":
		done, err := e.factors.FinishTOTP(x.r.Context(), who, x.field("offer"), x.field("code"))
		if problem.Is(err, problem.Invalid) {
			if o, again := e.factors.OfferedTOTP(x.r.Context(), who, x.field("offer")); again == nil {
				*offer = totpOf(o)
			}
		}
		return done, err
	case "passkey":
		return e.finishPasskey(x, who, passkeyName(x))
	}
	return factor.Enrolled{}, problem.New(problem.Invalid, "Choose a passkey or an authenticator app.")
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

// recoveryView shows a new set of recovery codes, only once.
type recoveryView struct {
	Codes []string
	// Account and Place identify the account that the codes are for, also on paper. Added is the
	// factor that the codes came with; "" for a new set.
	Account, Place, Added string
	MadeAt                time.Time
	// Onward is the next page, and Action the label of its link.
	Onward, Action string
}

// text is the text for the file and the clipboard.
func (v recoveryView) text() string {
	day := v.MadeAt.UTC().Format(time.DateOnly)
	return "Recovery codes of " + v.Account + " for Sluice at " + v.Place + ", made " + day +
		".\nEach works once.\n\n" + v.list() + "\n"
}

func (v recoveryView) list() string { return strings.Join(v.Codes, "\n") }

// file is a data: address with the text in it, so the text is never on a server.
func (v recoveryView) file() string {
	return "data:text/plain;charset=utf-8," + strings.ReplaceAll(url.QueryEscape(v.text()), "+", "%20")
}

func renderRecovery(x *visit, v recoveryView) error {
	v.Place, v.MadeAt = x.r.Host, x.now()
	return x.render(http.StatusOK, recoveryPage(x.frame("Recovery codes", ""), v))
}
