package login

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/problem"
)

// hold keeps something until a browser comes back for it with the token: sealed, bounded in time, and only by a keyed hash of the token.
func (l *Logins) hold(ctx context.Context, tx *db.Tx, purpose, subject string, data any, life time.Duration) (token string, err error) {
	if token, err = randomToken(); err != nil {
		return "", err
	}
	sealed, err := l.sealPending(token, data)
	if err != nil {
		return "", err
	}
	now := l.cfg.Now()
	if err := q.New(tx).InsertPending(ctx, q.InsertPendingParams{
		TokenHash: l.mac("pending", token), Purpose: purpose, Subject: subject, DataSealed: sealed, CreatedAt: now.UnixMilli(), ExpiresAt: now.Add(life).UnixMilli(),
	}); err != nil {
		return "", fmt.Errorf("keeping what waits for the browser: %w", err)
	}
	return token, nil
}

// randomToken is 256 random bits in base64url.
func randomToken() (string, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("making a token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// held looks at what a token stands for, without using it up. What is unknown or used is NotFound, what is too old Gone.
func (l *Logins) held(ctx context.Context, purpose, token string, data any) (subject string, err error) {
	if token == "" || len(token) > 100 {
		return "", nothingHeld()
	}
	row, err := q.New(l.cfg.DB.Read()).GetPending(ctx, q.GetPendingParams{TokenHash: l.mac("pending", token), Purpose: purpose})
	if err != nil {
		return "", db.Found(err, nothingHeld().Detail)
	}
	if row.ExpiresAt <= l.cfg.Now().UnixMilli() {
		return "", problem.New(problem.Gone, "This took too long.").WithNext("Begin again.").WithRule("sign-in expiry")
	}
	sealed, err := base64.StdEncoding.DecodeString(row.DataSealed)
	if err != nil {
		return "", fmt.Errorf("reading what was kept: %w", err)
	}
	text, err := l.cfg.Keyring.Open(sealed, "pending", row.TokenHash)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(text, data); err != nil {
		return "", fmt.Errorf("reading what was kept: %w", err)
	}
	return row.Subject, nil
}

// take uses a token up within the caller's transaction. Of two that try at the same time only one succeeds; the other is Gone.
func (l *Logins) take(ctx context.Context, tx *db.Tx, purpose, token string) error {
	n, err := q.New(tx).DeletePending(ctx, q.DeletePendingParams{TokenHash: l.mac("pending", token), Purpose: purpose})
	if err != nil {
		return fmt.Errorf("using up what was kept: %w", err)
	}
	if n == 0 {
		return problem.New(problem.Gone, "This has been used already.").WithNext("Begin again.").WithRule("single use")
	}
	return nil
}

// replace changes what is kept under a token.
func (l *Logins) replace(ctx context.Context, tx *db.Tx, purpose, token, subject string, data any) error {
	sealed, err := l.sealPending(token, data)
	if err != nil {
		return err
	}
	n, err := q.New(tx).SetPending(ctx, q.SetPendingParams{TokenHash: l.mac("pending", token), Purpose: purpose, Subject: subject, DataSealed: sealed})
	if err == nil && n == 0 {
		return nothingHeld()
	}
	return err
}

func (l *Logins) sealPending(token string, data any) (string, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("keeping what waits for the browser: %w", err)
	}
	sealed, err := l.cfg.Keyring.Seal(text, "pending", l.mac("pending", token))
	if err != nil {
		return "", fmt.Errorf("keeping what waits for the browser: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

func nothingHeld() *problem.Error {
	return problem.New(problem.NotFound, "Nothing is waiting here any more; it was finished, or it took too long.").WithNext("Begin again.")
}
