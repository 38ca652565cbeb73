package factor

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/mail"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// Config configures Factors.
type Config struct {
	DB       *db.DB
	Gate     *authz.Gate
	People   *identity.People
	Sessions *authn.Sessions
	Logins   *login.Logins
	// Keyring seals the secrets of authenticator apps and the keys of recovery codes.
	Keyring *secret.Keyring
	// Now is the clock.
	Now func() time.Time
}

// Factors manages people's second factors: setting them up (this file) and proving them (proof.go).
type Factors struct {
	cfg      Config
	apps     *apps
	passkeys *passkeys
	codes    *codes
}

// New creates Factors.
func New(c Config) *Factors {
	return &Factors{
		cfg:      c,
		apps:     &apps{db: c.DB, logins: c.Logins, keyring: c.Keyring, now: c.Now},
		passkeys: &passkeys{db: c.DB, gate: c.Gate, logins: c.Logins, now: c.Now},
		codes:    &codes{db: c.DB, gate: c.Gate, logins: c.Logins, keyring: c.Keyring, now: c.Now},
	}
}

// Enrolee is the person who sets up a factor: a signed-in person, or an attempt at StepEnrol, given
// by the value of its cookie.
type Enrolee struct {
	Principal authz.Principal
	Attempt   string
}

// Enrolled is the outcome of setting up a factor.
type Enrolled struct {
	// Recovery are the recovery codes that came with a first factor. They are shown only this once.
	Recovery []string
	// Progress is the progress of the attempt; nil for a person who was already signed in.
	Progress *login.Progress
}

// Set holds the second factors of a person.
type Set struct {
	// TOTPSince is when the authenticator app was set up; zero without one. TOTPUsed is when its
	// code was last accepted.
	TOTPSince, TOTPUsed time.Time
	// Passkeys are sorted, oldest first.
	Passkeys []Passkey
	// RecoveryLeft counts the unused recovery codes.
	RecoveryLeft int
	// HasPassword is false for people who sign in only by single sign-on or passkey.
	HasPassword bool
}

// Any reports whether the person has a second factor.
func (s Set) Any() bool { return !s.TOTPSince.IsZero() || len(s.Passkeys) > 0 }

// List lists a person's second factors. It requires UserView, unless the account is the actor's
// own.
func (f *Factors) List(ctx context.Context, actor authz.Principal, userID string) (Set, error) {
	if !actor.SignedIn() || actor.ID != userID {
		if err := f.cfg.Gate.Check(ctx, actor, authz.UserView, authz.Resource{Type: "User", ID: userID}); err != nil {
			return Set{}, err
		}
	}
	c, err := f.cfg.People.CredentialOf(ctx, userID)
	if err != nil {
		return Set{}, err
	}
	return f.setOf(ctx, c)
}

func (f *Factors) setOf(ctx context.Context, c identity.Credential) (Set, error) {
	set := Set{HasPassword: c.PasswordHash != ""}
	app, found, err := f.apps.of(ctx, c.UserID)
	if err != nil {
		return set, err
	}
	if found {
		set.TOTPSince, set.TOTPUsed = time.UnixMilli(app.CreatedAt).UTC(), time.UnixMilli(app.UsedAt).UTC()
	}
	keys, err := q.New(f.cfg.DB.Read()).PasskeysOf(ctx, c.UserID)
	if err != nil {
		return set, fmt.Errorf("reading passkeys: %w", err)
	}
	for _, k := range keys {
		set.Passkeys = append(set.Passkeys, passkeyOf(k))
	}
	left, err := q.New(f.cfg.DB.Read()).CountRecoveryCodes(ctx, c.UserID)
	if err != nil {
		return set, fmt.Errorf("counting recovery codes: %w", err)
	}
	set.RecoveryLeft = int(left)
	return set, nil
}

// RemoveFactors removes all second factors and recovery codes of a person who has lost them. It
// requires UserReset on the person, who is notified by email.
func (f *Factors) RemoveFactors(ctx context.Context, actor authz.Principal, userID string) error {
	if err := f.cfg.Gate.Check(ctx, actor, authz.UserReset, authz.Resource{Type: "User", ID: userID}); err != nil {
		return err
	}
	if actor.SignedIn() && actor.ID == userID {
		// Admins cannot use this to bypass their own second factor.
		if err := f.mayChangeFactors(ctx, actor); err != nil {
			return err
		}
	}
	u, err := f.cfg.People.Get(ctx, actor, userID)
	if err != nil {
		return err
	}
	return f.cfg.Gate.DoDetail(ctx, actor, authz.UserReset, u.Resource(), "second factors removed",
		func(tx *db.Tx) error {
			totp, err := q.New(tx).DeleteTOTP(ctx, userID)
			if err != nil {
				return fmt.Errorf("removing the authenticator app: %w", err)
			}
			passkeys, err := q.New(tx).DeletePasskeysOf(ctx, userID)
			if err != nil {
				return fmt.Errorf("removing passkeys: %w", err)
			}
			if totp+passkeys == 0 {
				return problem.Newf(problem.Conflict, "%s has no second factor.", u.Username)
			}
			if err := f.withoutFactors(ctx, tx, userID); err != nil {
				return err
			}
			m := mail.FactorRemoved{
				Name:        u.Name,
				All:         true,
				By:          actor.Name,
				At:          f.cfg.Now(),
				IP:          actor.IP,
				AccountPage: f.cfg.Logins.Link("/account", ""),
			}
			return f.cfg.Logins.Send(ctx, tx, m, u.Email)
		})
}

// factorTitles are the display names of factors that can be added and removed, as at the beginning
// of a sentence.
var factorTitles = map[string]string{login.FactorTOTP: "An authenticator app", login.FactorPasskey: "A passkey"}

// enrolment is a factor that is about to be stored.
type enrolment struct {
	// factor is the factor's name in attempts.
	factor string
	// store writes the factor.
	store func(tx *db.Tx, userID string) error
}

// enrolling returns the person who sets up a factor, and the session or attempt that the ceremony
// is bound to. A thief must not be able to add a factor with a stolen cookie: the session must be
// fresh, and strong if the person already has a factor.
func (f *Factors) enrolling(ctx context.Context, e Enrolee) (who authz.Principal, bound string, err error) {
	if e.Attempt != "" {
		a, err := f.cfg.Logins.Load(ctx, e.Attempt, login.StepEnrol)
		return a.Principal(f.cfg.People), f.cfg.Logins.Hash("attempt", e.Attempt), err
	}
	return e.Principal, e.Principal.SessionID, f.mayChangeFactors(ctx, e.Principal)
}

// mayChangeFactors makes the gate's checks early, before a person scans or types anything. A
// session that has proven only the password must not remove the factors that protect the account
// against a stolen password.
func (f *Factors) mayChangeFactors(ctx context.Context, p authz.Principal) error {
	if !p.SignedIn() || p.SessionID == "" {
		return problem.New(problem.Unauthenticated, "Sign in first.").
			WithNext("Change second factors in a browser where you are signed in.")
	}
	if err := f.cfg.Gate.Check(ctx, p, authz.AccountFactors, login.OwnAccount(p)); err != nil {
		return err
	}
	if err := f.cfg.Gate.Fresh(p); err != nil {
		return err
	}
	has, err := f.cfg.Logins.HasFactors(ctx, p.ID)
	if err == nil && has && !p.Strong {
		err = authz.StepUp()
	}
	return err
}

// enrol stores a factor for a person whom enrolling has admitted: for a session, which is strong
// from then on, or as a step of an attempt.
func (f *Factors) enrol(ctx context.Context, e Enrolee, n enrolment) (Enrolled, error) {
	var out Enrolled
	if e.Attempt == "" {
		p := e.Principal
		err := f.cfg.Gate.DoDetail(ctx, p, authz.AccountFactors, login.OwnAccount(p),
			factorTitles[n.factor]+" was added",
			func(tx *db.Tx) (err error) {
				if out.Recovery, err = f.enrolIn(ctx, tx, p, n); err != nil {
					return err
				}
				return f.cfg.Sessions.Prove(ctx, tx, p.SessionID, true)
			})
		return out, err
	}
	a, err := f.cfg.Logins.Load(ctx, e.Attempt, login.StepEnrol)
	if err != nil {
		return out, err
	}
	who := a.Principal(f.cfg.People)
	a.Factors = append(a.Factors, n.factor)
	progress, err := f.cfg.Logins.Advance(ctx, a, func(tx *db.Tx) (err error) {
		if out.Recovery, err = f.enrolIn(ctx, tx, who, n); err != nil {
			return err
		}
		return f.cfg.Gate.Record(ctx, tx, who, authz.AccountFactors, login.OwnAccount(who), audit.Done,
			factorTitles[n.factor]+" was added while signing in")
	})
	out.Progress = &progress
	return out, err
}

// enrolIn stores a factor, with recovery codes if it is the first, and notifies the person.
func (f *Factors) enrolIn(
	ctx context.Context, tx *db.Tx, p authz.Principal, n enrolment,
) (recovery []string, err error) {
	// Two first factors at the same moment must not create two sets of codes, of which one would
	// not work.
	if err := tx.Ordered(); err != nil {
		return nil, err
	}
	before, err := login.CountFactors(ctx, q.New(tx), p.ID)
	if err != nil {
		return nil, err
	}
	if err := n.store(tx, p.ID); err != nil {
		return nil, err
	}
	if before == 0 {
		if recovery, err = f.codes.renew(ctx, tx, p.ID); err != nil {
			return nil, err
		}
	}
	return recovery, f.tellAdded(ctx, tx, p, factorTitles[n.factor])
}

// unenrol removes a factor of the person themselves. With the last one, it removes the recovery
// codes and the person's sessions are no longer strong.
func (f *Factors) unenrol(
	ctx context.Context, p authz.Principal, factor string, remove func(*db.Tx) (int64, error),
) error {
	if err := f.mayChangeFactors(ctx, p); err != nil {
		return err
	}
	return f.cfg.Gate.DoDetail(ctx, p, authz.AccountFactors, login.OwnAccount(p), factorTitles[factor]+" was removed",
		func(tx *db.Tx) error {
			if err := tx.Ordered(); err != nil {
				return err
			}
			n, err := remove(tx)
			if err != nil {
				return fmt.Errorf("removing a second factor: %w", err)
			}
			if n == 0 {
				return problem.New(problem.NotFound, "It does not exist; it may already have been removed.")
			}
			left, err := login.CountFactors(ctx, q.New(tx), p.ID)
			if err != nil {
				return err
			}
			if left == 0 {
				if err := f.withoutFactors(ctx, tx, p.ID); err != nil {
					return err
				}
			}
			m := mail.FactorRemoved{
				Name:        p.DisplayName,
				Factor:      factorTitles[factor],
				At:          f.cfg.Now(),
				IP:          p.IP,
				AccountPage: f.cfg.Logins.Link("/account", ""),
			}
			return f.cfg.Logins.Send(ctx, tx, m, p.Email)
		})
}

// withoutFactors removes what depends on factors when a person has lost their last one.
func (f *Factors) withoutFactors(ctx context.Context, tx *db.Tx, userID string) error {
	if err := dropRecovery(ctx, tx, userID); err != nil {
		return err
	}
	return f.cfg.Sessions.Weaken(ctx, tx, userID)
}

func (f *Factors) tellAdded(ctx context.Context, tx *db.Tx, p authz.Principal, title string) error {
	return f.cfg.Logins.Send(
		ctx,
		tx,
		mail.FactorAdded{
			Name:        p.DisplayName,
			Factor:      title,
			At:          f.cfg.Now(),
			IP:          p.IP,
			AccountPage: f.cfg.Logins.Link("/account", ""),
		},
		p.Email,
	)
}

// WithoutFactor counts the active members of a workspace without a second factor here. It includes
// people whose identity provider requires one, because Sluice cannot know that before they sign in.
// It requires WorkspaceManage in the workspace.
func (f *Factors) WithoutFactor(ctx context.Context, actor authz.Principal, workspaceID string) (int, error) {
	name, ok := f.cfg.People.WorkspaceName(workspaceID)
	if !ok {
		return 0, problem.New(problem.NotFound, "There is no such workspace.")
	}
	if err := f.cfg.Gate.Check(ctx, actor, authz.WorkspaceManage,
		login.WorkspaceResource(workspaceID, name)); err != nil {
		return 0, err
	}
	n, err := q.New(f.cfg.DB.Read()).CountMembersWithoutFactor(ctx, workspaceID)
	if err != nil {
		return 0, fmt.Errorf("counting members without a second factor: %w", err)
	}
	return int(n), nil
}

// BeginTOTP creates a secret for an authenticator app. If the person already has one, the new
// secret will replace it.
func (f *Factors) BeginTOTP(ctx context.Context, e Enrolee) (TOTPOffer, error) {
	who, bound, err := f.enrolling(ctx, e)
	if err != nil {
		return TOTPOffer{}, err
	}
	offer, err := f.apps.offer(who.Name, nil)
	if err != nil {
		return TOTPOffer{}, err
	}
	held := totpHeld{Secret: offer.Secret, Bound: bound}
	offer.Token, err = f.cfg.Logins.Pending.Keep(ctx, purposeTOTPEnrol, who.ID, held, totpEnrolLife)
	return offer, err
}

// FinishTOTP activates the offer once a code proves that the app has the secret. A wrong code
// leaves the offer open.
func (f *Factors) FinishTOTP(ctx context.Context, e Enrolee, token, code string) (Enrolled, error) {
	who, bound, err := f.enrolling(ctx, e)
	if err != nil {
		return Enrolled{}, err
	}
	offer, err := f.heldTOTP(ctx, who, bound, token)
	if err != nil {
		return Enrolled{}, err
	}
	digits, kind, err := parseCode(code)
	if err != nil || kind != login.FactorTOTP {
		return Enrolled{}, wrongCode("The code has six digits.").
			WithNext("Enter the code that the app currently shows for Sluice.")
	}
	steps, offset, err := matchTOTP(offer.Secret, digits, f.cfg.Now())
	if err != nil {
		return Enrolled{}, err
	}
	if len(steps) == 0 {
		return Enrolled{}, totpWrong(offset)
	}
	sealed, err := f.cfg.Keyring.Seal([]byte(offer.Secret), "totp", who.ID)
	if err != nil {
		return Enrolled{}, fmt.Errorf("sealing the app's secret: %w", err)
	}
	return f.enrol(ctx, e, enrolment{factor: login.FactorTOTP, store: func(tx *db.Tx, userID string) error {
		if err := f.cfg.Logins.Pending.Take(ctx, tx, purposeTOTPEnrol, token); err != nil {
			return err
		}
		p := q.PutTOTPParams{
			AccountID:    userID,
			SecretSealed: base64.StdEncoding.EncodeToString(sealed),
			LastStep:     steps[0],
			Now:          f.cfg.Now().UnixMilli(),
		}
		if err := q.New(tx).PutTOTP(ctx, p); err != nil {
			return fmt.Errorf("storing the authenticator app: %w", err)
		}
		return nil
	}})
}

// RemoveTOTP removes the person's own authenticator app.
func (f *Factors) RemoveTOTP(ctx context.Context, p authz.Principal) error {
	return f.unenrol(ctx, p, login.FactorTOTP, func(tx *db.Tx) (int64, error) {
		return q.New(tx).DeleteTOTP(ctx, p.ID)
	})
}

// OfferedTOTP returns an offer of BeginTOTP again, for a page that shows it after a wrong code.
func (f *Factors) OfferedTOTP(ctx context.Context, e Enrolee, token string) (TOTPOffer, error) {
	who, bound, err := f.enrolling(ctx, e)
	if err != nil {
		return TOTPOffer{}, err
	}
	held, err := f.heldTOTP(ctx, who, bound, token)
	if err != nil {
		return TOTPOffer{}, err
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(held.Secret)
	if err != nil {
		return TOTPOffer{}, fmt.Errorf("reading the secret of an offer: %w", err)
	}
	offer, err := f.apps.offer(who.Name, secret)
	offer.Token = token
	return offer, err
}

// heldTOTP reads an offer that was created for this person, in this session or attempt.
func (f *Factors) heldTOTP(ctx context.Context, who authz.Principal, bound, token string) (totpHeld, error) {
	var held totpHeld
	subject, err := f.cfg.Logins.Pending.Held(ctx, purposeTOTPEnrol, token, &held)
	if err == nil && (subject != who.ID || held.Bound != bound) {
		err = login.NothingHeld()
	}
	return held, err
}

// BeginPasskey begins the creation of a passkey. The options are the JSON of a
// CredentialCreationOptions for the browser's navigator.credentials.create.
func (f *Factors) BeginPasskey(
	ctx context.Context, e Enrolee, rp RelyingParty,
) (token string, options []byte, err error) {
	who, bound, err := f.enrolling(ctx, e)
	if err != nil {
		return "", nil, err
	}
	rows, err := q.New(f.cfg.DB.Read()).PasskeysOf(ctx, who.ID)
	if err != nil {
		return "", nil, fmt.Errorf("reading passkeys: %w", err)
	}
	if len(rows) >= MaxPasskeys {
		return "", nil, problem.Newf(problem.Conflict, "You have %d passkeys, which is the maximum.", len(rows)).
			WithNext("Remove one that you do not use.")
	}
	owner, err := ownerOf(who, rows, rp)
	if err != nil {
		return "", nil, err
	}
	w, err := rp.verifier()
	if err != nil {
		return "", nil, err
	}
	creation, session, err := w.BeginRegistration(owner,
		webauthn.WithExclusions(webauthn.Credentials(owner.keys).CredentialDescriptors()))
	if err != nil {
		return "", nil, fmt.Errorf("preparing to create a passkey: %w", err)
	}
	return f.passkeys.holdCeremony(ctx, purposePasskeyEnrol, who.ID, ceremony{*session, rp, bound}, creation)
}

// FinishPasskey stores the passkey that the browser has created. An empty name becomes "Passkey".
func (f *Factors) FinishPasskey(
	ctx context.Context, e Enrolee, rp RelyingParty, token string, response []byte, name string,
) (Enrolled, error) {
	name, err := cleanPasskeyName(name)
	if err != nil {
		return Enrolled{}, err
	}
	who, bound, err := f.enrolling(ctx, e)
	if err != nil {
		return Enrolled{}, err
	}
	c, err := f.passkeys.takeCeremony(ctx, purposePasskeyEnrol, token, who.ID, bound, rp)
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
	return f.enrol(ctx, e, enrolment{factor: login.FactorPasskey, store: func(tx *db.Tx, userID string) error {
		err := q.New(tx).InsertPasskey(
			ctx,
			q.InsertPasskeyParams{
				ID:         keyID(made.ID),
				AccountID:  userID,
				Rp:         rp.ID,
				Name:       name,
				Credential: string(text),
				CreatedAt:  f.cfg.Now().UnixMilli(),
			},
		)
		if db.IsUnique(err) {
			return problem.New(problem.Conflict, "This passkey is already set up.")
		}
		if err != nil {
			return fmt.Errorf("storing the passkey: %w", err)
		}
		return nil
	}})
}

// RenamePasskey renames one of the person's own passkeys.
func (f *Factors) RenamePasskey(ctx context.Context, p authz.Principal, id, name string) error {
	name, err := cleanPasskeyName(name)
	if err != nil {
		return err
	}
	return f.cfg.Gate.DoDetail(ctx, p, authz.AccountUpdate, login.OwnAccount(p), "passkey renamed",
		func(tx *db.Tx) error {
			n, err := q.New(tx).RenamePasskey(ctx, q.RenamePasskeyParams{ID: id, AccountID: p.ID, Name: name})
			if err != nil {
				return fmt.Errorf("renaming the passkey: %w", err)
			}
			if n == 0 {
				return problem.New(problem.NotFound, "There is no such passkey; it may already have been removed.")
			}
			return nil
		})
}

// RemovePasskey removes one of the person's own passkeys.
func (f *Factors) RemovePasskey(ctx context.Context, p authz.Principal, id string) error {
	return f.unenrol(ctx, p, login.FactorPasskey, func(tx *db.Tx) (int64, error) {
		return q.New(tx).DeletePasskey(ctx, q.DeletePasskeyParams{ID: id, AccountID: p.ID})
	})
}

// NewRecoveryCodes creates a new set of recovery codes for the person. The previous ones stop
// working. The codes are shown only this once.
func (f *Factors) NewRecoveryCodes(ctx context.Context, p authz.Principal) ([]string, error) {
	if err := f.mayChangeFactors(ctx, p); err != nil {
		return nil, err
	}
	var codes []string
	err := f.cfg.Gate.DoDetail(ctx, p, authz.AccountFactors, login.OwnAccount(p), "new recovery codes",
		func(tx *db.Tx) error {
			if err := tx.Ordered(); err != nil {
				return err
			}
			n, err := login.CountFactors(ctx, q.New(tx), p.ID)
			if err != nil {
				return err
			}
			if n == 0 {
				return problem.New(problem.Conflict, "Recovery codes replace a second factor, and you have no "+
					"second factor.").
					WithNext("Set up an authenticator app or a passkey first.")
			}
			if codes, err = f.codes.renew(ctx, tx, p.ID); err != nil {
				return err
			}
			return f.tellAdded(ctx, tx, p, "A new set of recovery codes")
		})
	if err != nil {
		return nil, err
	}
	return codes, nil
}
