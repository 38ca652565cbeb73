package login

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

const (
	// RecoveryCodes is how many codes a set has.
	RecoveryCodes = 10
	// recoveryLength is 16 characters of 5 bits: 80 bits.
	recoveryLength = 16
	recoveryGroup  = 4
	// recoveryAlphabet has neither i, l, o nor u (Crockford's base 32), so that what is read from paper is read right.
	recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

// NewRecoveryCodes makes a new set of one's own recovery codes; the former ones stop working. They are shown this once.
func (l *Logins) NewRecoveryCodes(ctx context.Context, p authz.Principal) ([]string, error) {
	if err := l.mayChangeFactors(ctx, p); err != nil {
		return nil, err
	}
	var codes []string
	err := l.cfg.Gate.DoDetail(ctx, p, authz.AccountFactors, ownAccount(p), "new recovery codes", func(tx *db.Tx) error {
		if err := tx.Ordered(); err != nil {
			return err
		}
		n, err := countFactors(ctx, q.New(tx), p.ID)
		if err != nil {
			return err
		}
		if n == 0 {
			return problem.New(problem.Conflict, "Recovery codes stand in for a second factor, and you have none.").WithNext("Set up an authenticator app or a passkey first.")
		}
		if codes, err = l.newRecoveryIn(ctx, tx, p.ID); err != nil {
			return err
		}
		return l.tellAdded(ctx, tx, p, "A new set of recovery codes")
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// newRecoveryIn replaces a person's recovery codes. They are hashed with a key of their own, which is sealed like every other secret: codes outlive the rotation of any token key.
func (l *Logins) newRecoveryIn(ctx context.Context, tx *db.Tx, userID string) ([]string, error) {
	if err := dropRecovery(ctx, tx, userID); err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("making recovery codes: %w", err)
	}
	sealed, err := l.cfg.Keyring.Seal(key, "recovery_key", userID)
	if err != nil {
		return nil, fmt.Errorf("sealing the key of recovery codes: %w", err)
	}
	now := l.cfg.Now().UnixMilli()
	if err := q.New(tx).PutRecoveryKey(ctx, q.PutRecoveryKeyParams{AccountID: userID, KeySealed: base64.StdEncoding.EncodeToString(sealed), CreatedAt: now}); err != nil {
		return nil, fmt.Errorf("storing recovery codes: %w", err)
	}
	codes := make([]string, RecoveryCodes)
	for i := range codes {
		bare, err := newRecoveryCode()
		if err != nil {
			return nil, err
		}
		if err := q.New(tx).InsertRecoveryCode(ctx, q.InsertRecoveryCodeParams{AccountID: userID, CodeHash: recoveryHash(key, bare), CreatedAt: now}); err != nil {
			return nil, fmt.Errorf("storing recovery codes: %w", err)
		}
		codes[i] = grouped(bare)
	}
	return codes, nil
}

func dropRecovery(ctx context.Context, tx *db.Tx, userID string) error {
	if err := q.New(tx).DeleteRecoveryCodes(ctx, userID); err != nil {
		return fmt.Errorf("removing recovery codes: %w", err)
	}
	if err := q.New(tx).DeleteRecoveryKey(ctx, userID); err != nil {
		return fmt.Errorf("removing recovery codes: %w", err)
	}
	return nil
}

// judgeRecovery prepares the use of a recovery code: whether it is right is decided by the one statement that uses it up, so that it works once however often it is sent at the same time.
func (l *Logins) judgeRecovery(ctx context.Context, p authz.Principal, code string) (func(*db.Tx) error, error) {
	row, err := q.New(l.cfg.DB.Read()).GetRecoveryKey(ctx, p.ID)
	if err := db.Found(err, ""); problem.Is(err, problem.NotFound) {
		return nil, recoveryWrong()
	}
	if err != nil {
		return nil, fmt.Errorf("reading recovery codes: %w", err)
	}
	sealed, err := base64.StdEncoding.DecodeString(row.KeySealed)
	if err != nil {
		return nil, fmt.Errorf("reading recovery codes: %w", err)
	}
	key, err := l.cfg.Keyring.Open(sealed, "recovery_key", p.ID)
	if err != nil {
		return nil, err
	}
	hash := recoveryHash(key, code)
	return func(tx *db.Tx) error { return l.spendRecovery(ctx, tx, p, hash) }, nil
}

func (l *Logins) spendRecovery(ctx context.Context, tx *db.Tx, p authz.Principal, hash string) error {
	n, err := q.New(tx).SpendRecoveryCode(ctx, q.SpendRecoveryCodeParams{AccountID: p.ID, CodeHash: hash, Now: l.cfg.Now().UnixMilli()})
	if err != nil {
		return fmt.Errorf("using up the recovery code: %w", err)
	}
	if n == 0 {
		return recoveryWrong()
	}
	left, err := q.New(tx).CountRecoveryCodes(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("counting recovery codes: %w", err)
	}
	if err := l.cfg.Gate.Record(ctx, tx, p, authz.AccountFactors, ownAccount(p), audit.Done, fmt.Sprintf("recovery code used, %d left", left)); err != nil {
		return err
	}
	return l.send(ctx, tx, mail.RecoveryUsed{Name: p.DisplayName, Left: int(left), At: l.cfg.Now(), IP: p.IP, AccountPage: l.link("/account", "")}, p.Email)
}

func recoveryWrong() error {
	return wrongCode("That recovery code is not right, or it was used already.").WithNext("Each code works once. If you have none left, ask an admin to remove your second factors.")
}

func newRecoveryCode() (string, error) {
	raw := make([]byte, recoveryLength)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("making recovery codes: %w", err)
	}
	for i, b := range raw {
		raw[i] = recoveryAlphabet[b&31]
	}
	return string(raw), nil
}

// grouped is a code as it is shown: in groups of four.
func grouped(bare string) string {
	var groups []string
	for i := 0; i < len(bare); i += recoveryGroup {
		groups = append(groups, bare[i:min(i+recoveryGroup, len(bare))])
	}
	return strings.Join(groups, "-")
}

// cleanRecovery brings what somebody typed, without its separators, to the form that was hashed: the letters that the alphabet lacks are read as the digits that they look like.
func cleanRecovery(typed string) (string, bool) {
	if len(typed) != recoveryLength {
		return "", false
	}
	out := []byte(typed)
	for i, b := range out {
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
			out[i] = b
		}
		switch b {
		case 'o':
			out[i] = '0'
		case 'i', 'l':
			out[i] = '1'
		default:
			if strings.IndexByte(recoveryAlphabet, b) < 0 {
				return "", false
			}
		}
	}
	return string(out), true
}

func recoveryHash(key []byte, bare string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(bare))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}
