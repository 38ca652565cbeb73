package login

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/problem"
)

// Proof is what somebody signed in brings to prove again that it is them: one of the three.
type Proof struct {
	// Password in clear.
	Password string
	// Code of the authenticator app, or a recovery code.
	Code string
	// PasskeyToken stands for the ceremony of OfferConfirmPasskey, Passkey is the browser's answer.
	PasskeyToken string
	Passkey      []byte
}

// ConfirmWays are the ways in which somebody signed in can prove to be themselves.
type ConfirmWays struct {
	// Password, or TOTP, Passkey and Recovery: whoever has a second factor is asked for that.
	Password, TOTP, Passkey, Recovery bool
	// Provider is the slug of the identity provider to go to, for people who have neither; "" for none.
	Provider string
}

// ConfirmWays tells how somebody signed in can prove again that it is them.
func (l *Logins) ConfirmWays(ctx context.Context, p authz.Principal) (ConfirmWays, error) {
	if err := mayConfirm(p); err != nil {
		return ConfirmWays{}, err
	}
	ways, err := l.waysOf(ctx, p.ID)
	if err != nil {
		return ConfirmWays{}, err
	}
	if ways.TOTP || ways.Passkey {
		return ConfirmWays{TOTP: ways.TOTP, Passkey: ways.Passkey, Recovery: ways.Recovery}, nil
	}
	c, err := l.cfg.People.CredentialOf(ctx, p.ID)
	if err != nil {
		return ConfirmWays{}, err
	}
	if c.PasswordHash != "" && l.mayUsePassword(c) == nil {
		return ConfirmWays{Password: true}, nil
	}
	slug, err := q.New(l.cfg.DB.Read()).LatestLinkedProvider(ctx, p.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		// Nobody is left without a way: whoever came by a link proves with the password that it set.
		return ConfirmWays{Password: c.PasswordHash != ""}, nil
	case err != nil:
		return ConfirmWays{}, fmt.Errorf("reading linked identities: %w", err)
	}
	return ConfirmWays{Provider: slug}, nil
}

// OfferConfirmPasskey lets somebody signed in prove with a passkey.
func (l *Logins) OfferConfirmPasskey(ctx context.Context, p authz.Principal, rp RelyingParty) (token string, options []byte, err error) {
	if err := mayConfirm(p); err != nil {
		return "", nil, err
	}
	return l.offerOwn(ctx, purposePasskeyConfirm, p, p.SessionID, rp)
}

// Confirm judges a proof. The session is fresh afterwards, and strong if it was a second factor; the relying party is needed for passkeys only.
func (l *Logins) Confirm(ctx context.Context, p authz.Principal, rp RelyingParty, proof Proof) error {
	ways, err := l.ConfirmWays(ctx, p)
	if err != nil {
		return err
	}
	switch {
	case proof.PasskeyToken != "" && ways.Passkey:
		use, err := l.answerOwn(ctx, purposePasskeyConfirm, p, p.SessionID, rp, proof.PasskeyToken, proof.Passkey)
		if err != nil {
			return err
		}
		return l.confirmed(ctx, p, factorPasskey, func(tx *db.Tx) error { return use(ctx, tx) })
	case proof.Code != "" && (ways.TOTP || ways.Recovery):
		return l.proveCode(ctx, p, proof.Code, l.factorCounter("step-up", p.ID, ""), func(factor string, spend func(*db.Tx) error) error {
			return l.confirmed(ctx, p, factor, spend)
		})
	case ways.Password:
		if _, err := l.confirmPassword(ctx, p, proof.Password, "password"); err != nil {
			return err
		}
		return l.confirmed(ctx, p, factorPassword, nothingMore)
	case ways.Provider != "":
		return problem.New(problem.Invalid, "You prove your identity with your identity provider.").WithNext("Go there to confirm that it is you.")
	case ways.TOTP || ways.Passkey || ways.Recovery:
		return wrongCode("Prove with your second factor that it is you.").WithNext("Type a code, or use a passkey.")
	}
	return problem.New(problem.Conflict, "Your account has nothing to prove your identity with.").WithNext("Sign out and in again; the sign-in itself is a proof.")
}

// confirmed notes a proof with the session, in one transaction with what the proof uses up.
func (l *Logins) confirmed(ctx context.Context, p authz.Principal, factor string, also func(*db.Tx) error) error {
	return l.cfg.DB.System(ctx, "step-up", func(tx *db.Tx) error {
		if err := also(tx); err != nil {
			return err
		}
		if err := l.cfg.Sessions.Prove(ctx, tx, p.SessionID, factor != factorPassword); err != nil {
			return err
		}
		return l.cfg.Gate.Record(ctx, tx, p, authz.AccountSignIn, ownAccount(p), audit.Done, "identity confirmed: "+factor)
	})
}

// mayConfirm asks for a session: only that can be proven anew.
func mayConfirm(p authz.Principal) error {
	if !p.SignedIn() || p.SessionID == "" {
		return problem.New(problem.Unauthenticated, "Sign in first.")
	}
	return nil
}
