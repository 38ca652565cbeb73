package factor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// recordWrong records a wrong second factor.
func recordWrong(gate *authz.Gate, p authz.Principal, what string) {
	gate.RecordLater(p, authz.AccountSignIn, login.OwnAccount(p), audit.Denied, what)
}

// Ways are the second factors that a person can prove with.
type Ways struct{ TOTP, Passkey, Recovery bool }

func (f *Factors) waysOf(ctx context.Context, userID string) (Ways, error) {
	set, err := f.setOf(ctx, identity.Credential{UserID: userID})
	return Ways{
		TOTP:     !set.TOTPSince.IsZero(),
		Passkey:  len(set.Passkeys) > 0,
		Recovery: set.RecoveryLeft > 0,
	}, err
}

// FactorWays returns the factors with which an attempt at StepFactor can continue.
func (f *Factors) FactorWays(ctx context.Context, attemptToken string) (Ways, error) {
	a, err := f.cfg.Logins.Load(ctx, attemptToken, login.StepFactor)
	if err != nil {
		return Ways{}, err
	}
	return f.waysOf(ctx, a.Account)
}

// FactorCode proves a second factor with an authenticator app's code or a recovery code. Their form
// distinguishes them.
func (f *Factors) FactorCode(ctx context.Context, attemptToken, code, ip string) (login.Progress, error) {
	a, err := f.cfg.Logins.Load(ctx, attemptToken, login.StepFactor)
	if err != nil {
		return login.Progress{}, err
	}
	if ip != "" {
		a.IP = ip
	}
	var p login.Progress
	err = f.proveCode(ctx, a.Principal(f.cfg.People), code, f.codeCounter("factor", a.Account, a.Device),
		func(factor string, spend func(*db.Tx) error) error {
			a.Factors = append(a.Factors, factor)
			p, err = f.cfg.Logins.Advance(ctx, a, spend)
			return err
		})
	if err != nil {
		return login.Progress{}, err
	}
	return p, nil
}

// codeLimit slows down guesses at codes. They have their own counters, so that signing in with the
// password again does not reset them.
var codeLimit = login.Limit{Free: 5, Most: 15 * time.Minute}

// codeCounter is the counter of guesses at codes. A browser that has signed in to the account
// before has a separate counter, as with passwords, so that a password thief cannot lock the owner
// out.
func (f *Factors) codeCounter(purpose, userID, device string) login.Counter {
	who := userID
	if known := f.cfg.Logins.Limits.KnownDevice(device, userID); known != "" {
		purpose, who = purpose+"-device", known
	}
	return login.Counter{Subject: purpose + ":" + f.cfg.Logins.Hash("guess", who), Limit: codeLimit}
}

// proveCode verifies a code, counting the guess first, and then calls then with the factor's name
// and the function that spends the code. then must run that function in the transaction that the
// code opens.
func (f *Factors) proveCode(
	ctx context.Context, p authz.Principal, text string, guesses login.Counter,
	then func(factor string, spend func(*db.Tx) error) error,
) error {
	code, factor, err := parseCode(text)
	if err != nil {
		return err
	}
	limits := f.cfg.Logins.Limits
	if err := limits.Reserve(ctx, guesses); err != nil {
		return err
	}
	judge := f.apps.judge
	if factor == login.FactorRecovery {
		judge = f.codes.judge
	}
	use, err := judge(ctx, p, code)
	if err == nil {
		err = then(factor, func(tx *db.Tx) error { return errors.Join(use(tx), limits.Clear(ctx, tx, guesses)) })
	}
	switch {
	case err == nil:
	case problem.Of(err).Rule == ruleFactor:
		recordWrong(f.cfg.Gate, p, factor)
		if warned := f.warnOfGuesses(ctx, p, guesses); warned != nil {
			return warned
		}
	default:
		limits.Unreserve(guesses)
	}
	return err
}

// warnOfGuesses sends an email to a person whose codes are being guessed, which means that their
// password is known: once, with the last free guess. The counter continues, so there is no second
// email until the guesses have stopped for an hour.
func (f *Factors) warnOfGuesses(ctx context.Context, p authz.Principal, guesses login.Counter) error {
	return f.cfg.DB.System(ctx, "guess warning", func(tx *db.Tx) error {
		n, err := f.cfg.Logins.Limits.Exhausted(ctx, tx, guesses)
		if err != nil || n == 0 {
			return err
		}
		m := mail.CodesGuessed{
			Name:        p.DisplayName,
			Guesses:     int(n),
			At:          f.cfg.Now(),
			IP:          p.IP,
			AccountPage: f.cfg.Logins.Link("/account", ""),
		}
		return f.cfg.Logins.Send(ctx, tx, m, p.Email)
	})
}

// ruleFactor marks a factor that was verified and wrong.
const ruleFactor = "second factor"

// wrongCode is only for people who have proven a first factor.
func wrongCode(detail string) *problem.Error {
	return problem.New(problem.Invalid, detail).WithField("code").WithRule(ruleFactor)
}

// parseCode distinguishes an authenticator app's code (six digits) from a recovery code (sixteen
// characters, in any grouping), and normalizes it.
func parseCode(text string) (code, factor string, err error) {
	const expected = "Enter the six digits from your authenticator app, or one of your recovery codes."
	if len(text) > 100 {
		return "", "", wrongCode("This is not a valid code.").WithNext(expected)
	}
	bare := strings.Join(
		strings.FieldsFunc(text,
			func(r rune) bool { return strings.ContainsRune(" \t\r\n-‐‑–—._\u00a0\u2009\u202f", r) }),
		"",
	)
	if len(bare) == totpDigits && !slices.ContainsFunc([]byte(bare), func(b byte) bool { return b < '0' || b > '9' }) {
		return bare, login.FactorTOTP, nil
	}
	if code, ok := cleanRecovery(bare); ok {
		return code, login.FactorRecovery, nil
	}
	return "", "", wrongCode("This is not a valid code.").WithNext(expected)
}

// OfferPasskey begins a sign-in without a name: the browser offers the passkeys that it has for
// this relying party. The options are the JSON of a CredentialRequestOptions for
// navigator.credentials.get. Anyone can call it, so the number of pending offers for one address is
// bounded: Limited above that.
func (f *Factors) OfferPasskey(
	ctx context.Context, rp RelyingParty, ip string,
) (token string, options []byte, err error) {
	address := login.AddressPrefix(ip)
	waiting, err := f.cfg.Logins.Pending.Waiting(ctx, purposePasskeySignIn, address)
	if err != nil {
		return "", nil, fmt.Errorf("counting ceremonies: %w", err)
	}
	if waiting >= offersPerAddress {
		return "", nil, problem.New(problem.Limited, "Too many passkey sign-ins were started from your address.").
			WithRetryAfter(time.Minute).
			WithRule("passkey offers").
			WithNext("Wait a minute, or sign in with your password.")
	}
	w, err := rp.verifier()
	if err != nil {
		return "", nil, err
	}
	assertion, session, err := w.BeginDiscoverableLogin()
	if err != nil {
		return "", nil, fmt.Errorf("starting a sign-in with a passkey: %w", err)
	}
	return f.passkeys.holdCeremony(ctx, purposePasskeySignIn, address, ceremony{*session, rp, ""}, assertion)
}

// Passkey signs in the owner of the passkey. Every failure gets the same Unauthenticated, except
// for a passkey that seems to have been copied.
func (f *Factors) Passkey(
	ctx context.Context, rp RelyingParty, token string, response []byte, a login.Attempt,
) (login.Progress, error) {
	c, err := f.passkeys.takeCeremony(ctx, purposePasskeySignIn, token, "", "", rp)
	if err != nil {
		return login.Progress{}, err
	}
	answer, err := parseAssertion(response)
	if err != nil {
		return login.Progress{}, err
	}
	userID := string(answer.Response.UserHandle)
	row, err := q.New(f.cfg.DB.Read()).GetPasskey(ctx, q.GetPasskeyParams{ID: keyID(answer.RawID), AccountID: userID})
	if err := db.Found(err, ""); problem.Is(err, problem.NotFound) {
		return login.Progress{}, passkeyUnknown()
	}
	if err != nil {
		return login.Progress{}, fmt.Errorf("reading the passkey: %w", err)
	}
	begun := a.Identified(userID, login.FactorPasskey, login.FactorPasskey)
	use, err := f.passkeys.judgePasskey(c, begun.Principal(f.cfg.People), []q.Passkey{row}, answer)
	if err != nil {
		return login.Progress{}, err
	}
	return f.cfg.Logins.Begin(ctx, begun, func(tx *db.Tx) error { return use(ctx, tx) })
}

// OfferFactorPasskey lets an attempt at StepFactor continue with one of the person's passkeys.
func (f *Factors) OfferFactorPasskey(
	ctx context.Context, attemptToken string, rp RelyingParty,
) (token string, options []byte, err error) {
	a, err := f.cfg.Logins.Load(ctx, attemptToken, login.StepFactor)
	if err != nil {
		return "", nil, err
	}
	return f.passkeys.offerOwn(ctx, purposePasskeyFactor, a.Principal(f.cfg.People),
		f.cfg.Logins.Hash("attempt", attemptToken), rp)
}

// FactorPasskey proves a second factor with a passkey.
func (f *Factors) FactorPasskey(
	ctx context.Context, attemptToken string, rp RelyingParty, token string, response []byte,
) (login.Progress, error) {
	a, err := f.cfg.Logins.Load(ctx, attemptToken, login.StepFactor)
	if err != nil {
		return login.Progress{}, err
	}
	use, err := f.passkeys.answerOwn(ctx, purposePasskeyFactor, a.Principal(f.cfg.People),
		f.cfg.Logins.Hash("attempt", attemptToken), rp, token, response)
	if err != nil {
		return login.Progress{}, err
	}
	a.Factors = append(a.Factors, login.FactorPasskey)
	return f.cfg.Logins.Advance(ctx, a, func(tx *db.Tx) error { return use(ctx, tx) })
}

// Proof is what a signed-in person submits to prove their identity again: one of the three.
type Proof struct {
	// Password is in clear.
	Password string
	// Code is from the authenticator app, or a recovery code.
	Code string
	// PasskeyToken is the token of OfferConfirmPasskey. Passkey is the browser's answer.
	PasskeyToken string
	Passkey      []byte
}

// ConfirmWays are the ways in which a signed-in person can prove their identity again.
type ConfirmWays struct {
	// Password, or TOTP, Passkey and Recovery: people with a second factor must use that.
	Password, TOTP, Passkey, Recovery bool
	// Provider is the slug of the identity provider to go to, for people who have neither; "" for
	// none.
	Provider string
}

// ConfirmWays returns the ways in which a signed-in person can prove their identity again.
func (f *Factors) ConfirmWays(ctx context.Context, p authz.Principal) (ConfirmWays, error) {
	if err := mayConfirm(p); err != nil {
		return ConfirmWays{}, err
	}
	ways, err := f.waysOf(ctx, p.ID)
	if err != nil {
		return ConfirmWays{}, err
	}
	if ways.TOTP || ways.Passkey {
		return ConfirmWays{TOTP: ways.TOTP, Passkey: ways.Passkey, Recovery: ways.Recovery}, nil
	}
	c, err := f.cfg.People.CredentialOf(ctx, p.ID)
	if err != nil {
		return ConfirmWays{}, err
	}
	if c.PasswordHash != "" && f.cfg.Logins.MayUsePassword(c) == nil {
		return ConfirmWays{Password: true}, nil
	}
	slug, err := q.New(f.cfg.DB.Read()).LatestLinkedProvider(ctx, p.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		// Everyone has some way. People who signed in with a link prove with the password that it
		// set.
		return ConfirmWays{Password: c.PasswordHash != ""}, nil
	case err != nil:
		return ConfirmWays{}, fmt.Errorf("reading linked identities: %w", err)
	}
	return ConfirmWays{Provider: slug}, nil
}

// OfferConfirmPasskey lets a signed-in person prove their identity with a passkey.
func (f *Factors) OfferConfirmPasskey(
	ctx context.Context, p authz.Principal, rp RelyingParty,
) (token string, options []byte, err error) {
	if err := mayConfirm(p); err != nil {
		return "", nil, err
	}
	return f.passkeys.offerOwn(ctx, purposePasskeyConfirm, p, p.SessionID, rp)
}

// Confirm verifies a proof. Afterwards the session is fresh, and strong if the proof was a second
// factor. The relying party is needed only for passkeys.
func (f *Factors) Confirm(ctx context.Context, p authz.Principal, rp RelyingParty, proof Proof) error {
	ways, err := f.ConfirmWays(ctx, p)
	if err != nil {
		return err
	}
	switch {
	case proof.PasskeyToken != "" && ways.Passkey:
		use, err := f.passkeys.answerOwn(ctx, purposePasskeyConfirm, p, p.SessionID, rp, proof.PasskeyToken,
			proof.Passkey)
		if err != nil {
			return err
		}
		return f.cfg.Logins.Confirmed(ctx, p, login.FactorPasskey, true, func(tx *db.Tx) error { return use(ctx, tx) })
	case proof.Code != "" && (ways.TOTP || ways.Recovery):
		return f.proveCode(ctx, p, proof.Code, f.codeCounter("step-up", p.ID, ""),
			func(factor string, spend func(*db.Tx) error) error {
				return f.cfg.Logins.Confirmed(ctx, p, factor, true, spend)
			})
	case ways.Password:
		if _, err := f.cfg.Logins.ConfirmPassword(ctx, p, proof.Password, "password"); err != nil {
			return err
		}
		return f.cfg.Logins.Confirmed(ctx, p, login.FactorPassword, false, nil)
	case ways.Provider != "":
		return problem.New(problem.Invalid, "You confirm your identity with your identity provider.").
			WithNext("Open it to confirm your identity.")
	case ways.TOTP || ways.Passkey || ways.Recovery:
		return wrongCode("Confirm your identity with your second factor.").WithNext("Enter a code, or use a passkey.")
	}
	return problem.New(problem.Conflict, "Your account has no way to confirm your identity.").
		WithNext("Sign out and sign in again; the sign-in confirms your identity.")
}

// mayConfirm requires a session, because only a session can be confirmed again.
func mayConfirm(p authz.Principal) error {
	if !p.SignedIn() || p.SessionID == "" {
		return problem.New(problem.Unauthenticated, "Sign in first.")
	}
	return nil
}
