package api

import (
	"encoding/json"
	"fmt"

	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

// proofs are the ways in which a person can confirm their identity.
type proofs struct {
	Password bool   `json:"password" doc:"By password. People with a second factor must use that instead."`
	TOTP     bool   `json:"totp" doc:"By a code of the authenticator app."`
	Recovery bool   `json:"recovery_code" doc:"By a recovery code."`
	Passkey  bool   `json:"passkey" doc:"By a passkey."`
	Provider string `json:"provider,omitempty" doc:"Only in a browser: at the identity provider with this short name, under /sso/." example:"company"`
}

func listProofs(x *visit, _ *struct{}) (proofs, error) {
	w, err := x.cfg.Factors.ConfirmWays(x, x.who)
	return proofs{w.Password, w.TOTP, w.Recovery, w.Passkey, w.Provider}, err
}

func offerProof(x *visit, _ *struct{}) (ceremony, error) {
	rp, err := relyingParty(x)
	if err != nil {
		return ceremony{}, err
	}
	token, options, err := x.cfg.Factors.OfferConfirmPasskey(x, x.who, rp)
	if err != nil {
		return ceremony{}, err
	}
	return ceremonyOf(token, options)
}

type proofInput struct {
	Body struct {
		Password string        `json:"password,omitempty" maxLength:"1024" doc:"The current password." example:"the current password"`
		Code     string        `json:"code,omitempty" maxLength:"100" doc:"A code of the authenticator app, or a recovery code."`
		Passkey  *passkeyProof `json:"passkey,omitempty" doc:"The answer of a passkey."`
	}
}

// passkeyProof answers a ceremony.
type passkeyProof struct {
	Token    string         `json:"token" minLength:"1" maxLength:"100" doc:"The token of the ceremony."`
	Response map[string]any `json:"response" doc:"The browser's answer, as its toJSON writes it (AuthenticationResponseJSON of WebAuthn level 3)."`
}

// confirm takes a single proof; with two it would be unclear which one counted.
func confirm(x *visit, in *proofInput) (err error) {
	b, given := in.Body, 0
	proof, rp := factor.Proof{Password: b.Password, Code: b.Code}, factor.RelyingParty{}
	for _, there := range []bool{b.Password != "", b.Code != "", b.Passkey != nil} {
		if there {
			given++
		}
	}
	if given != 1 {
		return problem.New(problem.Invalid, "Prove your identity in one way: by password, code or passkey.").
			WithField("body")
	}
	if b.Passkey != nil {
		if rp, err = relyingParty(x); err != nil {
			return err
		}
		if proof.Passkey, err = json.Marshal(b.Passkey.Response); err != nil {
			return fmt.Errorf("reading the browser's answer: %w", err)
		}
		proof.PasskeyToken = b.Passkey.Token
	}
	return x.cfg.Factors.Confirm(x, x.who, rp, proof)
}
