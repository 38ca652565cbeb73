package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

// factors are a person's second factors.
type factors struct {
	TOTP         *totpApp  `json:"totp,omitempty" doc:"The authenticator app; left out for none."`
	Passkeys     []passkey `json:"passkeys" nullable:"false" doc:"Oldest first."`
	RecoveryLeft int       `json:"recovery_codes_left" doc:"The number of unused recovery codes." example:"10"`
	HasPassword  bool      `json:"has_password" doc:"False for people who use only single sign-on or passkeys."`
}

// totpApp is an authenticator app.
type totpApp struct {
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    *time.Time `json:"used_at,omitempty" doc:"When its code was last accepted; left out for never."`
}

// passkey is one passkey.
type passkey struct {
	ID        string     `json:"id" doc:"The credential's id in base64url."`
	Name      string     `json:"name" doc:"The name that the person chose." example:"Laptop"`
	Host      string     `json:"host" doc:"The host name for which it was created. Browsers offer it nowhere else." example:"sluice.example.com"`
	Synced    bool       `json:"synced" doc:"Whether its provider keeps a copy, so that it survives the loss of a device."`
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    *time.Time `json:"used_at,omitempty" doc:"Left out for never."`
}

func passkeyOf(k factor.Passkey) passkey {
	return passkey{k.ID, k.Name, k.RP, k.Synced, k.CreatedAt.UTC(), moment(k.UsedAt)}
}

func factorsOf(x *visit, userID string) (factors, error) {
	f, err := x.cfg.Factors.List(x, x.who, userID)
	out := factors{Passkeys: []passkey{}, RecoveryLeft: f.RecoveryLeft, HasPassword: f.HasPassword}
	if !f.TOTPSince.IsZero() {
		out.TOTP = &totpApp{f.TOTPSince.UTC(), moment(f.TOTPUsed)}
	}
	for _, k := range f.Passkeys {
		out.Passkeys = append(out.Passkeys, passkeyOf(k))
	}
	return out, err
}

func listMyFactors(x *visit, _ *struct{}) (factors, error) { return factorsOf(x, x.who.ID) }

func listFactors(x *visit, in *UserPath) (factors, error) { return factorsOf(x, in.User) }

func removeFactors(x *visit, in *UserPath) error {
	return x.cfg.Factors.RemoveFactors(x, x.who, in.User)
}

// enrollee is the principal of the request.
func enrollee(x *visit) factor.Enrolee { return factor.Enrolee{Principal: x.who} }

// enrolled is the answer to a new factor.
type enrolled struct {
	RecoveryCodes []string `json:"recovery_codes,omitempty" doc:"Only with the first factor: each code replaces it once. Shown once."`
}

// totpOffer is a secret that is not yet in force.
type totpOffer struct {
	Token  string `json:"token" doc:"Identifies the offer. Valid for 15 minutes."`
	Secret string `json:"secret" doc:"The secret to enter into the app, in base32. Shown once."`
	URL    string `json:"url" doc:"The same as a URL that the app can open (otpauth)." example:"otpauth://totp/Sluice:ann?secret=..."`
}

func beginTOTP(x *visit, _ *struct{}) (totpOffer, error) {
	o, err := x.cfg.Factors.BeginTOTP(x, enrollee(x))
	return totpOffer{o.Token, o.Secret, o.URL}, err
}

type totpInput struct {
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"100" doc:"The token of the offer." example:"the offer's token"`
		Code  string `json:"code" minLength:"6" maxLength:"20" doc:"The six digits that the app shows now." example:"123456"`
	}
}

func confirmTOTP(x *visit, in *totpInput) (enrolled, error) {
	e, err := x.cfg.Factors.FinishTOTP(x, enrollee(x), in.Body.Token, in.Body.Code)
	return enrolled{e.Recovery}, err
}

func removeTOTP(x *visit, _ *struct{}) error { return x.cfg.Factors.RemoveTOTP(x, x.who) }

func newRecoveryCodes(x *visit, _ *struct{}) (enrolled, error) {
	codes, err := x.cfg.Factors.NewRecoveryCodes(x, x.who)
	return enrolled{codes}, err
}

// ceremony holds the data that a browser needs for a passkey.
type ceremony struct {
	Token   string         `json:"token" doc:"Identifies the ceremony. Valid for five minutes and one answer."`
	Options map[string]any `json:"options" doc:"The argument of navigator.credentials.create or get, in the JSON of WebAuthn level 3: its publicKey goes to parseCreationOptionsFromJSON or parseRequestOptionsFromJSON."`
}

func ceremonyOf(token string, options []byte) (ceremony, error) {
	out := ceremony{Token: token}
	if err := json.Unmarshal(options, &out.Options); err != nil {
		return out, fmt.Errorf("reading the options of a passkey: %w", err)
	}
	return out, nil
}

// relyingParty is the place that the browser's passkeys belong to.
func relyingParty(x *visit) (factor.RelyingParty, error) {
	return factor.RelyingPartyOf(x.cfg.MainOrigin(x.r.Host))
}

func offerPasskey(x *visit, _ *struct{}) (ceremony, error) {
	rp, err := relyingParty(x)
	if err != nil {
		return ceremony{}, err
	}
	token, options, err := x.cfg.Factors.BeginPasskey(x, enrollee(x), rp)
	if err != nil {
		return ceremony{}, err
	}
	return ceremonyOf(token, options)
}

type newPasskeyInput struct {
	Body struct {
		Token    string         `json:"token" minLength:"1" maxLength:"100" doc:"The token of the ceremony." example:"the ceremony's token"`
		Name     string         `json:"name,omitempty" maxLength:"60" doc:"Its name. If left out, Passkey." example:"Laptop"`
		Response map[string]any `json:"response" doc:"The browser's new credential, as its toJSON writes it (RegistrationResponseJSON of WebAuthn level 3)." example:"{\"id\":\"...\",\"rawId\":\"...\",\"type\":\"public-key\",\"response\":{\"clientDataJSON\":\"...\",\"attestationObject\":\"...\"}}"`
	}
}

func addPasskey(x *visit, in *newPasskeyInput) (enrolled, error) {
	rp, err := relyingParty(x)
	if err != nil {
		return enrolled{}, err
	}
	response, err := json.Marshal(in.Body.Response)
	if err != nil {
		return enrolled{}, fmt.Errorf("reading the browser's answer: %w", err)
	}
	e, err := x.cfg.Factors.FinishPasskey(x, enrollee(x), rp, in.Body.Token, response, in.Body.Name)
	return enrolled{e.Recovery}, err
}

// PasskeyPath names a passkey in a path.
type PasskeyPath struct {
	Passkey string `path:"passkey" maxLength:"1400" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"a credential's id in base64url" doc:"A passkey's id." example:"KMnV2Tq3Yx0oVw"`
}

func getMyPasskey(x *visit, in *PasskeyPath) (passkey, error) {
	f, err := factorsOf(x, x.who.ID)
	if err != nil {
		return passkey{}, err
	}
	i := slices.IndexFunc(f.Passkeys, func(k passkey) bool { return k.ID == in.Passkey })
	if i < 0 {
		return passkey{}, problem.New(problem.NotFound, "There is no such passkey; it may have been removed already.")
	}
	return f.Passkeys[i], nil
}

type renamePasskeyInput struct {
	PasskeyPath
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"60" doc:"Its new name." example:"Laptop"`
	}
}

func renamePasskey(x *visit, in *renamePasskeyInput) error {
	return x.cfg.Factors.RenamePasskey(x, x.who, in.Passkey, in.Body.Name)
}

func removePasskey(x *visit, in *PasskeyPath) error {
	return x.cfg.Factors.RemovePasskey(x, x.who, in.Passkey)
}
