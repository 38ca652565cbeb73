package factor

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/login"
	"sluice/internal/mail"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// codes manages recovery codes, which replace a lost factor.
type codes struct {
	db      *db.DB
	gate    *authz.Gate
	logins  *login.Logins
	keyring *secret.Keyring
	now     func() time.Time
}

const (
	// RecoveryCodes is how many codes a set has.
	RecoveryCodes = 10
	// recoveryLength is 16 characters of 5 bits: 80 bits.
	recoveryLength = 16
	recoveryGroup  = 4
	// recoveryAlphabet leaves out i, l, o and u (Crockford's base 32), because they are easily
	// misread on paper.
	recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

// renew replaces a person's recovery codes. They are hashed with their own key, which is sealed
// like every other secret, because codes outlive the rotation of any token key.
func (c *codes) renew(ctx context.Context, tx *db.Tx, userID string) ([]string, error) {
	if err := dropRecovery(ctx, tx, userID); err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("generating recovery codes: %w", err)
	}
	sealed, err := c.keyring.Seal(key, "recovery_key", userID)
	if err != nil {
		return nil, fmt.Errorf("sealing the key of recovery codes: %w", err)
	}
	now := c.now().UnixMilli()
	if err := q.New(tx).PutRecoveryKey(
		ctx,
		q.PutRecoveryKeyParams{AccountID: userID, KeySealed: base64.StdEncoding.EncodeToString(sealed), CreatedAt: now},
	); err != nil {
		return nil, fmt.Errorf("storing recovery codes: %w", err)
	}
	codes := make([]string, RecoveryCodes)
	for i := range codes {
		bare, err := newRecoveryCode()
		if err != nil {
			return nil, err
		}
		if err := q.New(tx).InsertRecoveryCode(
			ctx,
			q.InsertRecoveryCodeParams{AccountID: userID, CodeHash: recoveryHash(key, bare), CreatedAt: now},
		); err != nil {
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

// judge prepares the use of a recovery code. The single statement that spends the code also decides
// whether it is correct, so concurrent requests cannot use it twice.
func (c *codes) judge(ctx context.Context, p authz.Principal, code string) (func(*db.Tx) error, error) {
	row, err := q.New(c.db.Read()).GetRecoveryKey(ctx, p.ID)
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
	key, err := c.keyring.Open(sealed, "recovery_key", p.ID)
	if err != nil {
		return nil, err
	}
	hash := recoveryHash(key, code)
	return func(tx *db.Tx) error { return c.spend(ctx, tx, p, hash) }, nil
}

func (c *codes) spend(ctx context.Context, tx *db.Tx, p authz.Principal, hash string) error {
	n, err := q.New(tx).SpendRecoveryCode(ctx,
		q.SpendRecoveryCodeParams{AccountID: p.ID, CodeHash: hash, Now: c.now().UnixMilli()})
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
	if err := c.gate.Record(ctx, tx, p, authz.AccountFactors, login.OwnAccount(p), audit.Done,
		fmt.Sprintf("recovery code used, %d left", left)); err != nil {
		return err
	}
	return c.logins.Send(
		ctx,
		tx,
		mail.RecoveryUsed{
			Name:        p.DisplayName,
			Left:        int(left),
			At:          c.now(),
			IP:          p.IP,
			AccountPage: c.logins.Link("/account", ""),
		},
		p.Email,
	)
}

func recoveryWrong() error {
	return wrongCode("This recovery code is wrong or already used.").
		WithNext("Each code works once. If you have none left, ask an admin to remove your second factors.")
}

func newRecoveryCode() (string, error) {
	raw := make([]byte, recoveryLength)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("generating recovery codes: %w", err)
	}
	for i, b := range raw {
		raw[i] = recoveryAlphabet[b&31]
	}
	return string(raw), nil
}

// grouped is a code as displayed: in groups of four.
func grouped(bare string) string {
	var groups []string
	for i := 0; i < len(bare); i += recoveryGroup {
		groups = append(groups, bare[i:min(i+recoveryGroup, len(bare))])
	}
	return strings.Join(groups, "-")
}

// cleanRecovery normalizes a typed code, already without separators, to the form that was hashed.
// The letters that the alphabet lacks are read as the digits that they look like.
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
