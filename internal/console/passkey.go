package console

import (
	"encoding/json"
	"net/http"
	"net/url"

	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

// relyingParty is the place that a passkey is made for or used at: the origin that the browser shows, which is Sluice's own address if the names agree. It fails with a sentence where
// browsers know no passkeys.
func (x *visit) relyingParty() (factor.RelyingParty, error) {
	origin := x.c.cfg.MainOrigin(x.r.Host)
	if u, err := url.Parse(origin); err != nil || u.Host != x.r.Host {
		origin = x.request().scheme() + "://" + x.r.Host
	}
	return factor.RelyingPartyOf(origin)
}

// passkeyView is what a page needs to offer passkeys.
type passkeyView struct {
	// Here tells that browsers know passkeys at this address; Why says why not.
	Here     bool
	Why, How string
}

func (x *visit) passkeys() passkeyView {
	if _, err := x.relyingParty(); err != nil {
		e := problem.Of(err)
		return passkeyView{Why: e.Detail, How: e.Next}
	}
	return passkeyView{Here: true}
}

// passkeyAnswer is what the script put into the form: the ceremony and the browser's answer. There is none without a script.
func (x *visit) passkeyAnswer() (token string, response []byte, ok bool) {
	token, answer := x.field("passkey_token"), x.field("passkey")
	return token, []byte(answer), token != "" && answer != ""
}

// offer answers a script's question for the options of a ceremony.
func (x *visit) offer(token string, options []byte, err error) error {
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		Token   string          `json:"token"`
		Options json.RawMessage `json:"options"`
	}{token, options})
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_, _ = x.w.Write(body)
	return nil
}

func offerPasskey(x *visit) error {
	rp, err := x.relyingParty()
	if err != nil {
		return err
	}
	return x.offer(x.c.cfg.Factors.OfferPasskey(x.r.Context(), rp, x.event.Peer))
}

// signInByPasskey signs in without a name: the passkey says who it is.
func signInByPasskey(x *visit) error {
	d := destinationOf(x.r.PostForm)
	token, response, ok := x.passkeyAnswer()
	if !ok {
		return x.loginForm(http.StatusBadRequest, d, loginView{Problem: "Passkeys need JavaScript, which this browser did not run.", Next: "Sign in another way."})
	}
	rp, err := x.relyingParty()
	if err != nil {
		return err
	}
	attempt := login.Attempt{IP: x.event.Peer, UserAgent: x.r.UserAgent(), Device: x.cookie(deviceCookie), Destination: d.attempt()}
	progress, err := x.c.cfg.Factors.Passkey(x.r.Context(), rp, token, response, attempt)
	if err != nil {
		return x.signInMistake(err, d, "")
	}
	return x.advance(progress)
}

func offerFactorPasskey(x *visit) error {
	rp, err := x.relyingParty()
	if err != nil {
		return err
	}
	return x.offer(x.c.cfg.Factors.OfferFactorPasskey(x.r.Context(), x.cookie(attemptCookie), rp))
}

func offerEnrolPasskey(x *visit) error {
	return x.beginPasskey(factor.Enrolee{Attempt: x.cookie(attemptCookie)})
}

func (x *visit) beginPasskey(e factor.Enrolee) error {
	rp, err := x.relyingParty()
	if err != nil {
		return err
	}
	return x.offer(x.c.cfg.Factors.BeginPasskey(x.r.Context(), e, rp))
}

// finishPasskey stores the passkey that the browser has made.
func (x *visit) finishPasskey(e factor.Enrolee, name string) (factor.Enrolled, error) {
	token, response, ok := x.passkeyAnswer()
	if !ok {
		return factor.Enrolled{}, problem.New(problem.Invalid, "Passkeys need JavaScript, which this browser did not run.").WithNext("Set up an authenticator app, which works without.")
	}
	rp, err := x.relyingParty()
	if err != nil {
		return factor.Enrolled{}, err
	}
	return x.c.cfg.Factors.FinishPasskey(x.r.Context(), e, rp, token, response, name)
}
