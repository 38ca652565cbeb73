package login

import (
	"context"
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
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// Enrolee is who sets up a factor: somebody signed in, or an attempt at StepEnrol by the value of its cookie.
type Enrolee struct {
	Principal authz.Principal
	Attempt   string
}

// Enrolled is the outcome of setting up a factor.
type Enrolled struct {
	// Recovery are the recovery codes that came with a first factor. They are shown this once.
	Recovery []string
	// Progress is where the attempt stands; nil for somebody who was signed in.
	Progress *Progress
}

// Factors are a person's second factors.
type Factors struct {
	// TOTPSince is when the authenticator app was set up, zero if there is none; TOTPUsed when its code was last accepted.
	TOTPSince, TOTPUsed time.Time
	// Passkeys, oldest first.
	Passkeys []Passkey
	// RecoveryLeft counts the recovery codes that were not used yet.
	RecoveryLeft int
	// HasPassword is false for people who come only by single sign-on or passkey.
	HasPassword bool
}

// Any reports whether there is a second factor.
func (f Factors) Any() bool { return !f.TOTPSince.IsZero() || len(f.Passkeys) > 0 }

// Ways are the second factors that somebody can prove with.
type Ways struct{ TOTP, Passkey, Recovery bool }

// Factors lists a person's second factors. It needs UserView, or the account to be the actor's own.
func (l *Logins) Factors(ctx context.Context, actor authz.Principal, userID string) (Factors, error) {
	if !actor.SignedIn() || actor.ID != userID {
		if err := l.cfg.Gate.Check(ctx, actor, authz.UserView, authz.Resource{Type: "User", ID: userID}); err != nil {
			return Factors{}, err
		}
	}
	c, err := l.cfg.People.CredentialOf(ctx, userID)
	if err != nil {
		return Factors{}, err
	}
	return l.factorsOf(ctx, c)
}

func (l *Logins) factorsOf(ctx context.Context, c identity.Credential) (Factors, error) {
	f := Factors{HasPassword: c.PasswordHash != ""}
	app, found, err := l.totpOf(ctx, c.UserID)
	if err != nil {
		return f, err
	}
	if found {
		f.TOTPSince, f.TOTPUsed = time.UnixMilli(app.CreatedAt).UTC(), time.UnixMilli(app.UsedAt).UTC()
	}
	keys, err := q.New(l.cfg.DB.Read()).PasskeysOf(ctx, c.UserID)
	if err != nil {
		return f, fmt.Errorf("reading passkeys: %w", err)
	}
	for _, k := range keys {
		f.Passkeys = append(f.Passkeys, passkeyOf(k))
	}
	left, err := q.New(l.cfg.DB.Read()).CountRecoveryCodes(ctx, c.UserID)
	if err != nil {
		return f, fmt.Errorf("counting recovery codes: %w", err)
	}
	f.RecoveryLeft = int(left)
	return f, nil
}

func (l *Logins) waysOf(ctx context.Context, userID string) (Ways, error) {
	f, err := l.factorsOf(ctx, identity.Credential{UserID: userID})
	return Ways{TOTP: !f.TOTPSince.IsZero(), Passkey: len(f.Passkeys) > 0, Recovery: f.RecoveryLeft > 0}, err
}

// FactorWays tells what an attempt at StepFactor can go on with.
func (l *Logins) FactorWays(ctx context.Context, attemptToken string) (Ways, error) {
	a, err := l.loadAttempt(ctx, attemptToken, StepFactor)
	if err != nil {
		return Ways{}, err
	}
	return l.waysOf(ctx, a.Account)
}

// FactorCode proves a second factor with an authenticator app's code or a recovery code, told apart by their form.
func (l *Logins) FactorCode(ctx context.Context, attemptToken, code, ip string) (Progress, error) {
	a, err := l.loadAttempt(ctx, attemptToken, StepFactor)
	if err != nil {
		return Progress{}, err
	}
	if ip != "" {
		a.IP = ip
	}
	var p Progress
	err = l.proveCode(ctx, a.principal(l.cfg.People), code, l.factorCounter("factor", a.Account, a.Device), func(factor string, spend func(*db.Tx) error) error {
		a.Factors = append(a.Factors, factor)
		p, err = l.advance(ctx, a, spend)
		return err
	})
	if err != nil {
		return Progress{}, err
	}
	return p, nil
}

// SkipEnrol declines to set up a second factor, where the policy only encourages it.
func (l *Logins) SkipEnrol(ctx context.Context, attemptToken string) (Progress, error) {
	a, err := l.loadAttempt(ctx, attemptToken, StepEnrol)
	if err != nil {
		return Progress{}, err
	}
	s, err := l.standing(ctx, a)
	if err != nil {
		return Progress{}, err
	}
	if s.policy == identity.FactorRequired {
		return Progress{}, problem.New(problem.Denied, "A workspace of yours requires a second factor.").WithRule("second-factor").WithNext("Set one up to go on.")
	}
	a.Skipped = append(a.Skipped, StepEnrol)
	return l.advance(ctx, a, nothingMore)
}

// RemoveFactors takes all second factors and recovery codes from a person who has lost them. It needs UserReset on the person, who is told by mail.
func (l *Logins) RemoveFactors(ctx context.Context, actor authz.Principal, userID string) error {
	if err := l.cfg.Gate.Check(ctx, actor, authz.UserReset, authz.Resource{Type: "User", ID: userID}); err != nil {
		return err
	}
	if actor.SignedIn() && actor.ID == userID {
		// Nobody gets around their own second factor by being an admin.
		if err := l.mayChangeFactors(ctx, actor); err != nil {
			return err
		}
	}
	u, err := l.cfg.People.Get(ctx, actor, userID)
	if err != nil {
		return err
	}
	return l.cfg.Gate.DoDetail(ctx, actor, authz.UserReset, u.Resource(), "second factors removed", func(tx *db.Tx) error {
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
		if err := l.withoutFactors(ctx, tx, userID); err != nil {
			return err
		}
		m := mail.FactorRemoved{Name: u.Name, All: true, By: actor.Name, At: l.cfg.Now(), IP: actor.IP, AccountPage: l.link("/account", "")}
		return l.send(ctx, tx, m, u.Email)
	})
}

// factorTitles are what people call the factors that can be added and removed, as a sentence begins.
var factorTitles = map[string]string{factorTOTP: "An authenticator app", factorPasskey: "A passkey"}

// enrolment is a factor that is about to be stored for somebody.
type enrolment struct {
	// factor is its name in attempts.
	factor string
	// store writes it.
	store func(tx *db.Tx, userID string) error
}

// enrolling returns who sets up a factor and what a ceremony of theirs is bound to. Nobody with a stolen cookie adds a factor of their own: a session must be fresh, and strong where there is a factor already.
func (l *Logins) enrolling(ctx context.Context, e Enrolee) (who authz.Principal, bound string, err error) {
	if e.Attempt != "" {
		a, err := l.loadAttempt(ctx, e.Attempt, StepEnrol)
		return a.principal(l.cfg.People), l.mac("attempt", e.Attempt), err
	}
	return e.Principal, e.Principal.SessionID, l.mayChangeFactors(ctx, e.Principal)
}

// mayChangeFactors refuses before anybody has scanned or typed anything what the gate will refuse. A session that knows only the password must not remove what guards the account from that very password.
func (l *Logins) mayChangeFactors(ctx context.Context, p authz.Principal) error {
	if !p.SignedIn() || p.SessionID == "" {
		return problem.New(problem.Unauthenticated, "Sign in first.").WithNext("Second factors are changed in a browser that is signed in.")
	}
	if err := l.cfg.Gate.Check(ctx, p, authz.AccountFactors, ownAccount(p)); err != nil {
		return err
	}
	if err := l.cfg.Gate.Fresh(p); err != nil {
		return err
	}
	has, err := l.hasFactors(ctx, p.ID)
	if err == nil && has && !p.Strong {
		err = authz.StepUp()
	}
	return err
}

// enrol stores a factor for whom enrolling has let pass: for a session, which is strong from then on, or as a step of an attempt.
func (l *Logins) enrol(ctx context.Context, e Enrolee, n enrolment) (Enrolled, error) {
	var out Enrolled
	if e.Attempt == "" {
		p := e.Principal
		err := l.cfg.Gate.DoDetail(ctx, p, authz.AccountFactors, ownAccount(p), factorTitles[n.factor]+" was added", func(tx *db.Tx) (err error) {
			if out.Recovery, err = l.enrolIn(ctx, tx, p, n); err != nil {
				return err
			}
			return l.cfg.Sessions.Prove(ctx, tx, p.SessionID, true)
		})
		return out, err
	}
	a, err := l.loadAttempt(ctx, e.Attempt, StepEnrol)
	if err != nil {
		return out, err
	}
	who := a.principal(l.cfg.People)
	a.Factors = append(a.Factors, n.factor)
	progress, err := l.advance(ctx, a, func(tx *db.Tx) (err error) {
		if out.Recovery, err = l.enrolIn(ctx, tx, who, n); err != nil {
			return err
		}
		return l.cfg.Gate.Record(ctx, tx, who, authz.AccountFactors, ownAccount(who), audit.Done, factorTitles[n.factor]+" was added while signing in")
	})
	out.Progress = &progress
	return out, err
}

// enrolIn stores a factor, with recovery codes if it is the first, and tells the person.
func (l *Logins) enrolIn(ctx context.Context, tx *db.Tx, p authz.Principal, n enrolment) (recovery []string, err error) {
	// Two first factors at the same moment must not make two sets of codes, one of them worthless.
	if err := tx.Ordered(); err != nil {
		return nil, err
	}
	before, err := countFactors(ctx, q.New(tx), p.ID)
	if err != nil {
		return nil, err
	}
	if err := n.store(tx, p.ID); err != nil {
		return nil, err
	}
	if before == 0 {
		if recovery, err = l.newRecoveryIn(ctx, tx, p.ID); err != nil {
			return nil, err
		}
	}
	return recovery, l.tellAdded(ctx, tx, p, factorTitles[n.factor])
}

// unenrol removes a factor of one's own; with the last one the recovery codes go, and no session is strong any more.
func (l *Logins) unenrol(ctx context.Context, p authz.Principal, factor string, remove func(*db.Tx) (int64, error)) error {
	if err := l.mayChangeFactors(ctx, p); err != nil {
		return err
	}
	return l.cfg.Gate.DoDetail(ctx, p, authz.AccountFactors, ownAccount(p), factorTitles[factor]+" was removed", func(tx *db.Tx) error {
		if err := tx.Ordered(); err != nil {
			return err
		}
		n, err := remove(tx)
		if err != nil {
			return fmt.Errorf("removing a second factor: %w", err)
		}
		if n == 0 {
			return problem.New(problem.NotFound, "It is not there; it may have been removed already.")
		}
		left, err := countFactors(ctx, q.New(tx), p.ID)
		if err != nil {
			return err
		}
		if left == 0 {
			if err := l.withoutFactors(ctx, tx, p.ID); err != nil {
				return err
			}
		}
		m := mail.FactorRemoved{Name: p.DisplayName, Factor: factorTitles[factor], At: l.cfg.Now(), IP: p.IP, AccountPage: l.link("/account", "")}
		return l.send(ctx, tx, m, p.Email)
	})
}

// withoutFactors is what follows when somebody's last factor is gone.
func (l *Logins) withoutFactors(ctx context.Context, tx *db.Tx, userID string) error {
	if err := dropRecovery(ctx, tx, userID); err != nil {
		return err
	}
	return l.cfg.Sessions.Weaken(ctx, tx, userID)
}

func (l *Logins) tellAdded(ctx context.Context, tx *db.Tx, p authz.Principal, title string) error {
	return l.send(ctx, tx, mail.FactorAdded{Name: p.DisplayName, Factor: title, At: l.cfg.Now(), IP: p.IP, AccountPage: l.link("/account", "")}, p.Email)
}

func countFactors(ctx context.Context, queries *q.Queries, userID string) (int64, error) {
	totp, err := queries.CountTOTP(ctx, userID)
	if err != nil {
		return 0, fmt.Errorf("reading second factors: %w", err)
	}
	passkeys, err := queries.CountPasskeys(ctx, userID)
	if err != nil {
		return 0, fmt.Errorf("reading second factors: %w", err)
	}
	return totp + passkeys, nil
}

// ownAccount is a person's own account as the gate sees it.
func ownAccount(p authz.Principal) authz.Resource {
	return authz.Resource{Type: "User", ID: p.ID, Name: p.Name, Owner: p.ID}
}

// recordWrongFactor notes a second factor that was not right.
func (l *Logins) recordWrongFactor(p authz.Principal, what string) {
	l.cfg.Gate.RecordLater(p, authz.AccountSignIn, ownAccount(p), audit.Denied, what)
}

// factorLimit slows down guesses at codes. They have counters of their own, so that signing in with the password again sets nothing back.
var factorLimit = limit{5, 15 * time.Minute}

// factorCounter counts codes; a browser that has signed in to the account before goes by a lane of its own, as with passwords, so that somebody who stole the password does not lock the owner out.
func (l *Logins) factorCounter(purpose, userID, device string) []counter {
	if known := l.knownDevice(device, userID); known != "" {
		return []counter{{purpose + "-device:" + l.mac("guess", known), factorLimit}}
	}
	return []counter{{purpose + ":" + l.mac("guess", userID), factorLimit}}
}

// proveCode judges a code, counting the guess first, and does what it opens: then gets the factor's name and what uses the code up, for the transaction of what it opens.
func (l *Logins) proveCode(ctx context.Context, p authz.Principal, text string, counters []counter, then func(factor string, spend func(*db.Tx) error) error) error {
	code, factor, err := parseCode(text)
	if err != nil {
		return err
	}
	if err := l.reserve(ctx, counters); err != nil {
		return err
	}
	judge := l.judgeTOTP
	if factor == factorRecovery {
		judge = l.judgeRecovery
	}
	use, err := judge(ctx, p, code)
	if err == nil {
		err = then(factor, func(tx *db.Tx) error { return errors.Join(use(tx), clearGuesses(ctx, tx, counters)) })
	}
	switch {
	case err == nil:
	case problem.Of(err).Rule == ruleFactor:
		l.recordWrongFactor(p, factor)
		if warned := l.warnOfGuesses(ctx, p, counters); warned != nil {
			return warned
		}
	default:
		l.unreserve(counters)
	}
	return err
}

// warnOfGuesses writes to somebody whose password is known to whoever guesses codes: once, with the last guess that is free. The counter goes on, so that there is no second mail
// before the guesses have stopped for an hour.
func (l *Logins) warnOfGuesses(ctx context.Context, p authz.Principal, counters []counter) error {
	return l.cfg.DB.System(ctx, "guess warning", func(tx *db.Tx) error {
		for _, c := range counters {
			g, err := q.New(tx).GetGuess(ctx, c.subject)
			if err := db.Found(err, "none"); err != nil {
				if problem.Is(err, problem.NotFound) {
					continue
				}
				return fmt.Errorf("reading the guess limits: %w", err)
			}
			if g.Failures == c.limit.free {
				m := mail.CodesGuessed{Name: p.DisplayName, Guesses: int(g.Failures), At: l.cfg.Now(), IP: p.IP, AccountPage: l.link("/account", "")}
				return l.send(ctx, tx, m, p.Email)
			}
		}
		return nil
	})
}

func clearGuesses(ctx context.Context, tx *db.Tx, counters []counter) error {
	for _, c := range counters {
		if err := q.New(tx).ClearGuess(ctx, c.subject); err != nil {
			return fmt.Errorf("taking the attempt back: %w", err)
		}
	}
	return nil
}

// ruleFactor marks a factor that was judged and not right.
const ruleFactor = "second factor"

// wrongCode is told to somebody who has proven a first factor.
func wrongCode(detail string) *problem.Error {
	return problem.New(problem.Invalid, detail).WithField("code").WithRule(ruleFactor)
}

// parseCode tells an authenticator app's code (six digits) from a recovery code (sixteen characters, in any grouping), and brings it to its one form.
func parseCode(text string) (code, factor string, err error) {
	const expected = "Type the six digits of your authenticator app, or one of your recovery codes."
	if len(text) > 100 {
		return "", "", wrongCode("This is not a code.").WithNext(expected)
	}
	bare := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n-‐‑–—._\u00a0\u2009\u202f", r) }), "")
	if len(bare) == totpDigits && !slices.ContainsFunc([]byte(bare), func(b byte) bool { return b < '0' || b > '9' }) {
		return bare, factorTOTP, nil
	}
	if code, ok := cleanRecovery(bare); ok {
		return code, factorRecovery, nil
	}
	return "", "", wrongCode("This is not a code.").WithNext(expected)
}
