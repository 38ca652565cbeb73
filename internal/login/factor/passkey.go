package factor

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/login"
	"sluice/internal/problem"
)

// passkeys runs the ceremonies of passkeys.
type passkeys struct {
	db     *db.DB
	gate   *authz.Gate
	logins *login.Logins
	now    func() time.Time
}

// Purposes of passkey ceremonies (WebAuthn level 3 sections 7.1 and 7.2). An answer to one purpose
// is not valid for another.
const (
	purposePasskeyEnrol   = "passkey-enrol"
	purposePasskeySignIn  = "passkey-sign-in"
	purposePasskeyFactor  = "passkey-factor"
	purposePasskeyConfirm = "passkey-confirm"
)

const (
	// CeremonyLife is how long a browser may take to answer.
	CeremonyLife = 5 * time.Minute
	// MaxPasskeys is the maximum number of passkeys of one person.
	MaxPasskeys = 20
	// maxPasskeyName is the longest name of a passkey, in characters.
	maxPasskeyName = 60
	// maxPasskeyAnswer bounds a browser's answer. Real answers are below 4 KiB.
	maxPasskeyAnswer = 32 << 10
	// offersPerAddress is how many sign-ins without a name can be pending for one address. Each is
	// a row until it expires.
	offersPerAddress = 150
)

// Passkey is one passkey of a person.
type Passkey struct {
	// ID is the credential's id in base64url. Name is the person's name for it.
	ID, Name string
	// RP is the host name that it was created on and works on.
	RP string
	// Synced reports whether the passkey's provider keeps a copy, so that it survives the loss of a
	// device.
	Synced bool
	// CreatedAt and UsedAt are UTC; a zero UsedAt means never.
	CreatedAt, UsedAt time.Time
}

// passkeyOwner is a person as the WebAuthn library sees them.
type passkeyOwner struct {
	who  authz.Principal
	keys []webauthn.Credential
}

// WebAuthnID is the user handle: the account's id, which reveals nothing about the person (WebAuthn
// section 14.6.1).
func (o passkeyOwner) WebAuthnID() []byte { return []byte(o.who.ID) }

// WebAuthnName is the username.
func (o passkeyOwner) WebAuthnName() string { return o.who.Name }

// WebAuthnDisplayName is the full name, or the username of people without one.
func (o passkeyOwner) WebAuthnDisplayName() string {
	if o.who.DisplayName == "" {
		return o.who.Name
	}
	return o.who.DisplayName
}

// WebAuthnCredentials are the passkeys that can be used here.
func (o passkeyOwner) WebAuthnCredentials() []webauthn.Credential { return o.keys }

// ceremony is the state that waits for a browser's answer.
type ceremony struct {
	Session webauthn.SessionData
	RP      RelyingParty
	// Bound is what the ceremony belongs to: a session, an attempt, or nothing.
	Bound string
}

// offerOwn begins a ceremony with the passkeys that a known person has for this relying party.
func (k *passkeys) offerOwn(
	ctx context.Context, purpose string, who authz.Principal, bound string, rp RelyingParty,
) (token string, options []byte, err error) {
	rows, err := q.New(k.db.Read()).PasskeysOf(ctx, who.ID)
	if err != nil {
		return "", nil, fmt.Errorf("reading passkeys: %w", err)
	}
	owner, err := ownerOf(who, rows, rp)
	if err != nil {
		return "", nil, err
	}
	if len(owner.keys) == 0 {
		return "", nil, noPasskeyHere(rows, rp)
	}
	w, err := rp.verifier()
	if err != nil {
		return "", nil, err
	}
	assertion, session, err := w.BeginLogin(owner)
	if err != nil {
		return "", nil, fmt.Errorf("asking for a passkey: %w", err)
	}
	return k.holdCeremony(ctx, purpose, who.ID, ceremony{*session, rp, bound}, assertion)
}

// answerOwn verifies the answer to offerOwn.
func (k *passkeys) answerOwn(
	ctx context.Context,
	purpose string,
	who authz.Principal,
	bound string,
	rp RelyingParty,
	token string,
	response []byte,
) (passkeyUse, error) {
	c, err := k.takeCeremony(ctx, purpose, token, who.ID, bound, rp)
	if err != nil {
		return nil, err
	}
	answer, err := parseAssertion(response)
	if err != nil {
		return nil, err
	}
	rows, err := q.New(k.db.Read()).PasskeysOf(ctx, who.ID)
	if err != nil {
		return nil, fmt.Errorf("reading passkeys: %w", err)
	}
	return k.judgePasskey(c, who, rows, answer)
}

// noPasskeyHere explains why none of a person's passkeys can be used.
func noPasskeyHere(rows []q.Passkey, rp RelyingParty) error {
	if len(rows) == 0 {
		return problem.New(problem.Conflict, "You have no passkey.").
			WithNext("Use a code of your authenticator app, or a recovery code.")
	}
	return problem.Newf(problem.Conflict, "Your passkeys belong to %s; browsers do not offer them "+
		"on %s.", rows[0].Rp, rp.ID).
		WithRule("passkey host").
		WithNext("Open Sluice at the address where you created the passkey, or use a code.")
}

// holdCeremony stores the state that the answer will be verified against, and encodes the options
// for the browser.
func (k *passkeys) holdCeremony(
	ctx context.Context, purpose, subject string, c ceremony, forBrowser any,
) (token string, options []byte, err error) {
	if options, err = json.Marshal(forBrowser); err != nil {
		return "", nil, fmt.Errorf("writing the options of a passkey: %w", err)
	}
	token, err = k.logins.Pending.Keep(ctx, purpose, subject, c, CeremonyLife)
	return token, options, err
}

// takeCeremony uses a ceremony up, even if its answer turns out to be wrong: a challenge is
// answered once (WebAuthn section 13.4.3). It must belong to the same person ("" for anyone), the
// same session or attempt, and the same relying party.
func (k *passkeys) takeCeremony(
	ctx context.Context, purpose, token, subject, bound string, rp RelyingParty,
) (ceremony, error) {
	var c ceremony
	of, err := k.logins.Pending.Held(ctx, purpose, token, &c)
	if err != nil {
		return c, err
	}
	if subject != "" && of != subject || c.Bound != bound || c.RP != rp {
		return c, login.NothingHeld()
	}
	return c, k.logins.Pending.Spend(ctx, purpose, token)
}

// created verifies the answer to BeginPasskey.
func (c ceremony) created(who authz.Principal, response []byte) (*webauthn.Credential, error) {
	answer, err := parseCreation(response)
	if err != nil {
		return nil, err
	}
	w, err := c.RP.verifier()
	if err != nil {
		return nil, err
	}
	made, err := w.CreateCredential(passkeyOwner{who: who}, c.Session, answer)
	if err != nil {
		return nil, problem.New(problem.Invalid, "The browser's passkey could not be verified.").
			WithNext("Try again; if it fails again, use another device or browser.").
			WithRule("passkey").
			WithCause(explained(err))
	}
	// The options request no attestation, and the model of a person's device does not concern
	// Sluice.
	made.Attestation = webauthn.CredentialAttestation{}
	return made, nil
}

// passkeyUse records that a passkey was used, within the transaction that the passkey opens.
type passkeyUse func(context.Context, *db.Tx) error

// judgePasskey verifies an assertion (WebAuthn section 7.2): challenge, origin, relying party, user
// verification, signature, backup flags and counter.
func (k *passkeys) judgePasskey(
	c ceremony, who authz.Principal, rows []q.Passkey, answer *protocol.ParsedCredentialAssertionData,
) (passkeyUse, error) {
	owner, err := ownerOf(who, rows, c.RP)
	if err != nil {
		return nil, err
	}
	w, err := c.RP.verifier()
	if err != nil {
		return nil, err
	}
	var used *webauthn.Credential
	if len(c.Session.UserID) == 0 {
		_, used, err = w.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return owner, nil }, c.Session,
			answer)
	} else {
		used, err = w.ValidateLogin(owner, c.Session, answer)
	}
	if err != nil {
		recordWrong(k.gate, who, login.FactorPasskey)
		return nil, passkeyUnknown().WithCause(explained(err))
	}
	if used.Authenticator.CloneWarning {
		recordWrong(k.gate, who, "passkey refused: its counter went backwards, it may have been copied")
		return nil, problem.New(problem.Denied, "This passkey was refused: its counter went backwards, which "+
			"suggests that it was copied.").
			WithRule("passkey counter").
			WithNext("Sign in another way, remove this passkey on your account page, and tell your admin if you " +
				"did not copy it yourself.")
	}
	text, err := json.Marshal(used)
	if err != nil {
		return nil, fmt.Errorf("noting the use of a passkey: %w", err)
	}
	id, previous := keyID(used.ID), ""
	for _, r := range rows {
		if r.ID == id {
			previous = r.Credential
		}
	}
	return func(ctx context.Context, tx *db.Tx) error {
		n, err := q.New(tx).UsePasskey(
			ctx,
			q.UsePasskeyParams{
				ID:         id,
				AccountID:  who.ID,
				Credential: string(text),
				Former:     previous,
				Now:        k.now().UnixMilli(),
			},
		)
		if err != nil {
			return fmt.Errorf("noting the use of a passkey: %w", err)
		}
		if n == 0 {
			return problem.New(problem.Conflict, "This passkey was used or removed at the same moment.").
				WithNext("Try again.")
		}
		return nil
	}, nil
}

// passkeyUnknown is the one answer to every invalid assertion.
func passkeyUnknown() *problem.Error {
	return problem.New(problem.Unauthenticated, "This passkey was not accepted.").
		WithRule(ruleFactor).
		WithNext("Try another passkey, or sign in another way.")
}

// ownerOf returns a person with those of their passkeys that work for a relying party.
func ownerOf(who authz.Principal, rows []q.Passkey, rp RelyingParty) (passkeyOwner, error) {
	o := passkeyOwner{who: who}
	for _, r := range rows {
		if r.Rp != rp.ID {
			continue
		}
		var k webauthn.Credential
		if err := json.Unmarshal([]byte(r.Credential), &k); err != nil {
			return o, fmt.Errorf("reading a passkey: %w", err)
		}
		o.keys = append(o.keys, k)
	}
	return o, nil
}

func passkeyOf(r q.Passkey) Passkey {
	var k webauthn.Credential
	// An unreadable passkey is still shown, so that it can be removed.
	_ = json.Unmarshal([]byte(r.Credential), &k)
	p := Passkey{
		ID:        r.ID,
		Name:      r.Name,
		RP:        r.Rp,
		Synced:    k.Flags.BackupState,
		CreatedAt: time.UnixMilli(r.CreatedAt).UTC(),
	}
	if r.UsedAt > 0 {
		p.UsedAt = time.UnixMilli(r.UsedAt).UTC()
	}
	return p
}

func keyID(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// parseAssertion reads the answer of navigator.credentials.get, as written by
// PublicKeyCredential.toJSON.
func parseAssertion(response []byte) (*protocol.ParsedCredentialAssertionData, error) {
	if len(response) > maxPasskeyAnswer {
		return nil, passkeyUnreadable(nil)
	}
	answer, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return nil, passkeyUnreadable(err)
	}
	return answer, nil
}

// parseCreation reads the answer of navigator.credentials.create.
func parseCreation(response []byte) (*protocol.ParsedCredentialCreationData, error) {
	if len(response) > maxPasskeyAnswer {
		return nil, passkeyUnreadable(nil)
	}
	answer, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return nil, passkeyUnreadable(err)
	}
	return answer, nil
}

func passkeyUnreadable(cause error) error {
	return problem.New(problem.Invalid, "Sluice could not read the browser's answer about the passkey.").
		WithNext("Try again; if it fails again, use another browser.").
		WithRule("passkey").
		WithCause(explained(cause))
}

// explained adds the details that the WebAuthn library keeps apart from its error's text.
func explained(err error) error {
	if e, ok := errors.AsType[*protocol.Error](err); ok && e.DevInfo != "" {
		return fmt.Errorf("%w (%s)", err, e.DevInfo)
	}
	return err
}

func cleanPasskeyName(name string) (string, error) {
	name = strings.Join(strings.Fields(name), " ")
	if name == "" {
		return "Passkey", nil
	}
	if len([]rune(name)) > maxPasskeyName ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", problem.Newf(problem.Invalid, "Use a name of at most %d visible characters.", maxPasskeyName).
			WithField("name")
	}
	return name, nil
}
