package login

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
	"sluice/internal/problem"
)

// The ceremonies of passkeys (WebAuthn level 3 sections 7.1 and 7.2), by what they are for. An answer to one is not good for another.
const (
	purposePasskeyEnrol   = "passkey-enrol"
	purposePasskeySignIn  = "passkey-sign-in"
	purposePasskeyFactor  = "passkey-factor"
	purposePasskeyConfirm = "passkey-confirm"
)

const (
	// CeremonyLife is how long a browser may take to answer.
	CeremonyLife = 5 * time.Minute
	// MaxPasskeys is how many one person may have.
	MaxPasskeys = 20
	// maxPasskeyName is the longest name of a passkey, in characters.
	maxPasskeyName = 60
	// maxPasskeyAnswer bounds what a browser answers; real answers are below 4 KiB.
	maxPasskeyAnswer = 32 << 10
	// offersPerAddress is how many sign-ins without a name may wait for one address at a time; each is a row until it has expired.
	offersPerAddress = 150
)

// Passkey is one passkey of a person.
type Passkey struct {
	// ID is the credential's id in base64url, Name what the person calls it.
	ID, Name string
	// RP is the host name that it was made on and works on.
	RP string
	// Synced tells that a copy is kept by the provider of the passkey, so that a lost device does not lose it.
	Synced bool
	// CreatedAt and UsedAt are UTC; a zero UsedAt means never.
	CreatedAt, UsedAt time.Time
}

// passkeyOwner is a person as the WebAuthn library sees them.
type passkeyOwner struct {
	who  authz.Principal
	keys []webauthn.Credential
}

// WebAuthnID is the user handle: the account's id, which tells nothing about the person (WebAuthn section 14.6.1).
func (o passkeyOwner) WebAuthnID() []byte { return []byte(o.who.ID) }

// WebAuthnName is the username.
func (o passkeyOwner) WebAuthnName() string { return o.who.Name }

// WebAuthnDisplayName is the full name, or the username of people who gave none.
func (o passkeyOwner) WebAuthnDisplayName() string {
	if o.who.DisplayName == "" {
		return o.who.Name
	}
	return o.who.DisplayName
}

// WebAuthnCredentials are the passkeys that can be used here.
func (o passkeyOwner) WebAuthnCredentials() []webauthn.Credential { return o.keys }

// ceremony is what waits for a browser's answer.
type ceremony struct {
	Session webauthn.SessionData
	RP      RelyingParty
	// Bound is what the ceremony belongs to: a session, an attempt, or nothing.
	Bound string
}

// BeginPasskey begins to make a passkey. The options are the JSON of a CredentialCreationOptions for the browser's navigator.credentials.create.
func (l *Logins) BeginPasskey(ctx context.Context, e Enrolee, rp RelyingParty) (token string, options []byte, err error) {
	who, bound, err := l.enrolling(ctx, e)
	if err != nil {
		return "", nil, err
	}
	rows, err := q.New(l.cfg.DB.Read()).PasskeysOf(ctx, who.ID)
	if err != nil {
		return "", nil, fmt.Errorf("reading passkeys: %w", err)
	}
	if len(rows) >= MaxPasskeys {
		return "", nil, problem.Newf(problem.Conflict, "You have %d passkeys, which is as many as anybody may have.", len(rows)).WithNext("Remove one that you do not use.")
	}
	owner, err := ownerOf(who, rows, rp)
	if err != nil {
		return "", nil, err
	}
	w, err := rp.verifier()
	if err != nil {
		return "", nil, err
	}
	creation, session, err := w.BeginRegistration(owner, webauthn.WithExclusions(webauthn.Credentials(owner.keys).CredentialDescriptors()))
	if err != nil {
		return "", nil, fmt.Errorf("beginning to make a passkey: %w", err)
	}
	return l.holdCeremony(ctx, purposePasskeyEnrol, who.ID, ceremony{*session, rp, bound}, creation)
}

// FinishPasskey stores the passkey that the browser has made. An empty name becomes "Passkey".
func (l *Logins) FinishPasskey(ctx context.Context, e Enrolee, rp RelyingParty, token string, response []byte, name string) (Enrolled, error) {
	name, err := cleanPasskeyName(name)
	if err != nil {
		return Enrolled{}, err
	}
	who, bound, err := l.enrolling(ctx, e)
	if err != nil {
		return Enrolled{}, err
	}
	c, err := l.takeCeremony(ctx, purposePasskeyEnrol, token, who.ID, bound, rp)
	if err != nil {
		return Enrolled{}, err
	}
	made, err := c.created(who, response)
	if err != nil {
		return Enrolled{}, err
	}
	text, err := json.Marshal(made)
	if err != nil {
		return Enrolled{}, fmt.Errorf("storing the passkey: %w", err)
	}
	return l.enrol(ctx, e, enrolment{factor: factorPasskey, store: func(tx *db.Tx, userID string) error {
		err := q.New(tx).InsertPasskey(ctx, q.InsertPasskeyParams{ID: keyID(made.ID), AccountID: userID, Rp: rp.ID, Name: name, Credential: string(text), CreatedAt: l.cfg.Now().UnixMilli()})
		if db.IsUnique(err) {
			return problem.New(problem.Conflict, "This passkey is set up already.")
		}
		if err != nil {
			return fmt.Errorf("storing the passkey: %w", err)
		}
		return nil
	}})
}

// RenamePasskey renames one of one's own passkeys.
func (l *Logins) RenamePasskey(ctx context.Context, p authz.Principal, id, name string) error {
	name, err := cleanPasskeyName(name)
	if err != nil {
		return err
	}
	return l.cfg.Gate.DoDetail(ctx, p, authz.AccountUpdate, ownAccount(p), "passkey renamed", func(tx *db.Tx) error {
		n, err := q.New(tx).RenamePasskey(ctx, q.RenamePasskeyParams{ID: id, AccountID: p.ID, Name: name})
		if err != nil {
			return fmt.Errorf("renaming the passkey: %w", err)
		}
		if n == 0 {
			return problem.New(problem.NotFound, "There is no such passkey; it may have been removed already.")
		}
		return nil
	})
}

// RemovePasskey removes one of one's own passkeys.
func (l *Logins) RemovePasskey(ctx context.Context, p authz.Principal, id string) error {
	return l.unenrol(ctx, p, factorPasskey, func(tx *db.Tx) (int64, error) {
		return q.New(tx).DeletePasskey(ctx, q.DeletePasskeyParams{ID: id, AccountID: p.ID})
	})
}

// OfferPasskey begins a sign-in without a name: the browser offers the passkeys that it has for this place. The options are the JSON of a CredentialRequestOptions for navigator.credentials.get.
// Anybody may ask, so what waits for one address is bounded: Limited above that.
func (l *Logins) OfferPasskey(ctx context.Context, rp RelyingParty, ip string) (token string, options []byte, err error) {
	address := addressPrefix(ip)
	waiting, err := q.New(l.cfg.DB.Read()).CountPending(ctx, q.CountPendingParams{Purpose: purposePasskeySignIn, Subject: address, Now: l.cfg.Now().UnixMilli()})
	if err != nil {
		return "", nil, fmt.Errorf("counting ceremonies: %w", err)
	}
	if waiting >= offersPerAddress {
		return "", nil, problem.New(problem.Limited, "Too many sign-ins with a passkey were begun from your address.").WithRetryAfter(time.Minute).WithRule("passkey offers").
			WithNext("Wait a minute, or sign in with your password.")
	}
	w, err := rp.verifier()
	if err != nil {
		return "", nil, err
	}
	assertion, session, err := w.BeginDiscoverableLogin()
	if err != nil {
		return "", nil, fmt.Errorf("beginning a sign-in with a passkey: %w", err)
	}
	return l.holdCeremony(ctx, purposePasskeySignIn, address, ceremony{*session, rp, ""}, assertion)
}

// Passkey signs in whoever the passkey belongs to. Everything that is not right gets the same Unauthenticated, but for a passkey that seems to have been copied.
func (l *Logins) Passkey(ctx context.Context, rp RelyingParty, token string, response []byte, a Attempt) (Progress, error) {
	c, err := l.takeCeremony(ctx, purposePasskeySignIn, token, "", "", rp)
	if err != nil {
		return Progress{}, err
	}
	answer, err := parseAssertion(response)
	if err != nil {
		return Progress{}, err
	}
	userID := string(answer.Response.UserHandle)
	row, err := q.New(l.cfg.DB.Read()).GetPasskey(ctx, q.GetPasskeyParams{ID: keyID(answer.RawID), AccountID: userID})
	if err := db.Found(err, ""); problem.Is(err, problem.NotFound) {
		return Progress{}, passkeyUnknown()
	}
	if err != nil {
		return Progress{}, fmt.Errorf("reading the passkey: %w", err)
	}
	begun := a.begun(userID, factorPasskey, factorPasskey)
	use, err := l.judgePasskey(c, begun.principal(l.cfg.People), []q.Passkey{row}, answer)
	if err != nil {
		return Progress{}, err
	}
	return l.identified(ctx, begun, func(tx *db.Tx) error { return use(ctx, tx) })
}

// OfferFactorPasskey lets an attempt at StepFactor go on with one of the person's passkeys.
func (l *Logins) OfferFactorPasskey(ctx context.Context, attemptToken string, rp RelyingParty) (token string, options []byte, err error) {
	a, err := l.loadAttempt(ctx, attemptToken, StepFactor)
	if err != nil {
		return "", nil, err
	}
	return l.offerOwn(ctx, purposePasskeyFactor, a.principal(l.cfg.People), l.mac("attempt", attemptToken), rp)
}

// FactorPasskey proves a second factor with a passkey.
func (l *Logins) FactorPasskey(ctx context.Context, attemptToken string, rp RelyingParty, token string, response []byte) (Progress, error) {
	a, err := l.loadAttempt(ctx, attemptToken, StepFactor)
	if err != nil {
		return Progress{}, err
	}
	use, err := l.answerOwn(ctx, purposePasskeyFactor, a.principal(l.cfg.People), l.mac("attempt", attemptToken), rp, token, response)
	if err != nil {
		return Progress{}, err
	}
	a.Factors = append(a.Factors, factorPasskey)
	return l.advance(ctx, a, func(tx *db.Tx) error { return use(ctx, tx) })
}

// offerOwn begins a ceremony with the passkeys that a known person has for this place.
func (l *Logins) offerOwn(ctx context.Context, purpose string, who authz.Principal, bound string, rp RelyingParty) (token string, options []byte, err error) {
	rows, err := q.New(l.cfg.DB.Read()).PasskeysOf(ctx, who.ID)
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
	return l.holdCeremony(ctx, purpose, who.ID, ceremony{*session, rp, bound}, assertion)
}

// answerOwn judges the answer to offerOwn.
func (l *Logins) answerOwn(ctx context.Context, purpose string, who authz.Principal, bound string, rp RelyingParty, token string, response []byte) (passkeyUse, error) {
	c, err := l.takeCeremony(ctx, purpose, token, who.ID, bound, rp)
	if err != nil {
		return nil, err
	}
	answer, err := parseAssertion(response)
	if err != nil {
		return nil, err
	}
	rows, err := q.New(l.cfg.DB.Read()).PasskeysOf(ctx, who.ID)
	if err != nil {
		return nil, fmt.Errorf("reading passkeys: %w", err)
	}
	return l.judgePasskey(c, who, rows, answer)
}

// noPasskeyHere explains why none of somebody's passkeys can be used.
func noPasskeyHere(rows []q.Passkey, rp RelyingParty) error {
	if len(rows) == 0 {
		return problem.New(problem.Conflict, "You have no passkey.").WithNext("Use a code of your authenticator app, or a recovery code.")
	}
	return problem.Newf(problem.Conflict, "Your passkeys were made on %s; browsers do not offer them on %s.", rows[0].Rp, rp.ID).WithRule("passkey host").
		WithNext("Open Sluice at the address where you made the passkey, or use a code.")
}

// holdCeremony keeps what the answer will be judged by, and writes the options for the browser.
func (l *Logins) holdCeremony(ctx context.Context, purpose, subject string, c ceremony, forBrowser any) (token string, options []byte, err error) {
	if options, err = json.Marshal(forBrowser); err != nil {
		return "", nil, fmt.Errorf("writing the options of a passkey: %w", err)
	}
	err = l.cfg.DB.System(ctx, "attempts", func(tx *db.Tx) error {
		token, err = l.hold(ctx, tx, purpose, subject, c, CeremonyLife)
		return err
	})
	return token, options, err
}

// takeCeremony uses a ceremony up, whatever its answer will be worth: a challenge is answered once (WebAuthn section 13.4.3). It must belong to the same person ("" for anybody), the same session or
// attempt, and the same place.
func (l *Logins) takeCeremony(ctx context.Context, purpose, token, subject, bound string, rp RelyingParty) (ceremony, error) {
	var c ceremony
	of, err := l.held(ctx, purpose, token, &c)
	if err != nil {
		return c, err
	}
	if subject != "" && of != subject || c.Bound != bound || c.RP != rp {
		return c, nothingHeld()
	}
	return c, l.cfg.DB.System(ctx, "attempts", func(tx *db.Tx) error { return l.take(ctx, tx, purpose, token) })
}

// created judges the answer to BeginPasskey.
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
		return nil, problem.New(problem.Invalid, "The browser's passkey could not be verified.").WithNext("Try again; if it fails again, use another device or browser.").WithRule("passkey").WithCause(explained(err))
	}
	// The attestation was asked not to be conveyed, and the model of somebody's device is nobody's business here.
	made.Attestation = webauthn.CredentialAttestation{}
	return made, nil
}

// passkeyUse writes that a passkey was used, within the transaction of what it opens.
type passkeyUse func(context.Context, *db.Tx) error

// judgePasskey judges an assertion (WebAuthn section 7.2): challenge, origin, relying party, user verification, signature, backup flags and counter.
func (l *Logins) judgePasskey(c ceremony, who authz.Principal, rows []q.Passkey, answer *protocol.ParsedCredentialAssertionData) (passkeyUse, error) {
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
		_, used, err = w.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return owner, nil }, c.Session, answer)
	} else {
		used, err = w.ValidateLogin(owner, c.Session, answer)
	}
	if err != nil {
		l.recordWrongFactor(who, factorPasskey)
		return nil, passkeyUnknown().WithCause(explained(err))
	}
	if used.Authenticator.CloneWarning {
		l.recordWrongFactor(who, "passkey refused: its counter went backwards, it may have been copied")
		return nil, problem.New(problem.Denied, "This passkey was refused: its counter went backwards, which happens when a passkey was copied.").WithRule("passkey counter").
			WithNext("Sign in another way, remove this passkey on your account page, and tell your admin if you did not copy it yourself.")
	}
	text, err := json.Marshal(used)
	if err != nil {
		return nil, fmt.Errorf("noting the use of a passkey: %w", err)
	}
	id, former := keyID(used.ID), ""
	for _, r := range rows {
		if r.ID == id {
			former = r.Credential
		}
	}
	return func(ctx context.Context, tx *db.Tx) error {
		n, err := q.New(tx).UsePasskey(ctx, q.UsePasskeyParams{ID: id, AccountID: who.ID, Credential: string(text), Former: former, Now: l.cfg.Now().UnixMilli()})
		if err != nil {
			return fmt.Errorf("noting the use of a passkey: %w", err)
		}
		if n == 0 {
			return problem.New(problem.Conflict, "This passkey was used or removed at the same moment.").WithNext("Try again.")
		}
		return nil
	}, nil
}

// passkeyUnknown is the one answer to every assertion that is not good.
func passkeyUnknown() *problem.Error {
	return problem.New(problem.Unauthenticated, "That passkey is not right here.").WithRule(ruleFactor).WithNext("Try another passkey, or sign in another way.")
}

// ownerOf is a person with those of their passkeys that work at a place.
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
	// What cannot be read is shown all the same, so that it can be removed.
	_ = json.Unmarshal([]byte(r.Credential), &k)
	p := Passkey{ID: r.ID, Name: r.Name, RP: r.Rp, Synced: k.Flags.BackupState, CreatedAt: time.UnixMilli(r.CreatedAt).UTC()}
	if r.UsedAt > 0 {
		p.UsedAt = time.UnixMilli(r.UsedAt).UTC()
	}
	return p
}

func keyID(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// parseAssertion reads what navigator.credentials.get answered, as PublicKeyCredential.toJSON writes it.
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

// parseCreation reads what navigator.credentials.create answered.
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
	return problem.New(problem.Invalid, "The browser's answer about the passkey was not understood.").WithNext("Try again; if it fails again, use another browser.").WithRule("passkey").WithCause(explained(cause))
}

// explained adds what the WebAuthn library keeps apart from its error's text.
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
	if len([]rune(name)) > maxPasskeyName || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", problem.Newf(problem.Invalid, "A name has at most %d characters, and none that cannot be seen.", maxPasskeyName).WithField("name")
	}
	return name, nil
}
