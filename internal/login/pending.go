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
	"sluice/internal/secret"
)

// Pending stores data until a browser comes back. The data is sealed, expires, and is found only by
// a keyed hash of the token that the browser brings. Data stored for one purpose is not found for
// another.
type Pending struct {
	db      *db.DB
	keyring *secret.Keyring
	key     hashKey
	now     func() time.Time
}

// Keep stores data in a transaction of its own and returns its token.
func (p *Pending) Keep(
	ctx context.Context, purpose, subject string, data any, life time.Duration,
) (token string, err error) {
	err = p.db.System(ctx, "attempts", func(tx *db.Tx) error {
		token, err = p.Hold(ctx, tx, purpose, subject, data, life)
		return err
	})
	return token, err
}

// Hold stores data within the caller's transaction and returns its token. subject is what the data
// is about, for counting and deleting.
func (p *Pending) Hold(
	ctx context.Context, tx *db.Tx, purpose, subject string, data any, life time.Duration,
) (token string, err error) {
	if token, err = RandomToken(); err != nil {
		return "", err
	}
	return token, p.HoldAs(ctx, tx, purpose, token, subject, data, life)
}

// HoldAs is Hold under the caller's own token, which must not be in use.
func (p *Pending) HoldAs(
	ctx context.Context, tx *db.Tx, purpose, token, subject string, data any, life time.Duration,
) error {
	sealed, err := p.seal(token, data)
	if err != nil {
		return err
	}
	return p.insert(ctx, tx, q.InsertPendingParams{
		TokenHash:  p.key.hash("pending", token),
		Purpose:    purpose,
		Subject:    subject,
		DataSealed: sealed,
	}, life)
}

func (p *Pending) insert(ctx context.Context, tx *db.Tx, row q.InsertPendingParams, life time.Duration) error {
	now := p.now()
	row.CreatedAt, row.ExpiresAt = now.UnixMilli(), now.Add(life).UnixMilli()
	if err := q.New(tx).InsertPending(ctx, row); err != nil {
		return fmt.Errorf("storing the step in progress: %w", err)
	}
	return nil
}

// RandomToken is 256 random bits in base64url.
func RandomToken() (string, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("generating a token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// Held reads the data of a token into data, without using the token up. An unknown or used token is
// problem.NotFound, an expired one problem.Gone.
func (p *Pending) Held(ctx context.Context, purpose, token string, data any) (subject string, err error) {
	if token == "" || len(token) > 100 {
		return "", NothingHeld()
	}
	key := q.GetPendingParams{TokenHash: p.key.hash("pending", token), Purpose: purpose}
	row, err := q.New(p.db.Read()).GetPending(ctx, key)
	if err != nil {
		return "", db.Found(err, NothingHeld().Detail)
	}
	if row.ExpiresAt <= p.now().UnixMilli() {
		return "", problem.New(problem.Gone, "The time limit was exceeded.").
			WithNext("Start again.").WithRule("sign-in expiry")
	}
	sealed, err := base64.StdEncoding.DecodeString(row.DataSealed)
	if err != nil {
		return "", fmt.Errorf("reading the step in progress: %w", err)
	}
	text, err := p.keyring.Open(sealed, "pending", row.TokenHash)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(text, data); err != nil {
		return "", fmt.Errorf("reading the step in progress: %w", err)
	}
	return row.Subject, nil
}

// Waiting counts the unexpired entries of a purpose and a subject.
func (p *Pending) Waiting(ctx context.Context, purpose, subject string) (int64, error) {
	return q.New(p.db.Read()).CountPending(ctx, q.CountPendingParams{
		Purpose: purpose,
		Subject: subject,
		Now:     p.now().UnixMilli(),
	})
}

// Spend uses a token up in a transaction of its own; see Take.
func (p *Pending) Spend(ctx context.Context, purpose, token string) error {
	return p.db.System(ctx, "attempts", func(tx *db.Tx) error { return p.Take(ctx, tx, purpose, token) })
}

// Take uses a token up within the caller's transaction. Of two concurrent attempts only one
// succeeds; the other gets problem.Gone.
func (p *Pending) Take(ctx context.Context, tx *db.Tx, purpose, token string) error {
	n, err := p.drop(ctx, tx, purpose, token)
	if err == nil && n == 0 {
		return problem.New(problem.Gone, "This was already used.").WithNext("Start again.").WithRule("single use")
	}
	return err
}

// Drop deletes the data of a token, if there is any.
func (p *Pending) Drop(ctx context.Context, tx *db.Tx, purpose, token string) error {
	_, err := p.drop(ctx, tx, purpose, token)
	return err
}

func (p *Pending) drop(ctx context.Context, tx *db.Tx, purpose, token string) (int64, error) {
	row := q.DeletePendingParams{TokenHash: p.key.hash("pending", token), Purpose: purpose}
	n, err := q.New(tx).DeletePending(ctx, row)
	if err != nil {
		return 0, fmt.Errorf("using up the step in progress: %w", err)
	}
	return n, nil
}

// Replace changes the data of a token.
func (p *Pending) Replace(ctx context.Context, tx *db.Tx, purpose, token, subject string, data any) error {
	sealed, err := p.seal(token, data)
	if err != nil {
		return err
	}
	n, err := q.New(tx).SetPending(ctx, q.SetPendingParams{
		TokenHash:  p.key.hash("pending", token),
		Purpose:    purpose,
		Subject:    subject,
		DataSealed: sealed,
	})
	if err == nil && n == 0 {
		return NothingHeld()
	}
	return err
}

func (p *Pending) seal(token string, data any) (string, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("storing the step in progress: %w", err)
	}
	sealed, err := p.keyring.Seal(text, "pending", p.key.hash("pending", token))
	if err != nil {
		return "", fmt.Errorf("storing the step in progress: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// Mark records for a while that something happened, such as the use of a token's id. mark is its
// keyed hash (Logins.Hash). It returns false if the mark exists already. If two transactions set
// the same mark at the same time, one may get an error for which db.IsUnique is true.
func (p *Pending) Mark(
	ctx context.Context, tx *db.Tx, purpose, mark, subject string, life time.Duration,
) (first bool, err error) {
	marked, err := p.Marked(ctx, tx, purpose, mark)
	if err != nil || marked {
		return false, err
	}
	return true, p.insert(ctx, tx, q.InsertPendingParams{TokenHash: mark, Purpose: purpose, Subject: subject}, life)
}

// Marked reports whether a mark exists.
func (p *Pending) Marked(ctx context.Context, tx *db.Tx, purpose, mark string) (bool, error) {
	_, err := q.New(tx).GetPending(ctx, q.GetPendingParams{TokenHash: mark, Purpose: purpose})
	switch err := db.Found(err, "not marked"); {
	case err == nil:
		return true, nil
	case problem.Is(err, problem.NotFound):
		return false, nil
	}
	return false, fmt.Errorf("looking for a mark: %w", err)
}

// prune removes expired data.
func (p *Pending) prune(ctx context.Context, now time.Time) error {
	return p.db.System(ctx, "old attempts", func(tx *db.Tx) error {
		if _, err := q.New(tx).PrunePending(ctx, now.UnixMilli()); err != nil {
			return fmt.Errorf("removing abandoned attempts: %w", err)
		}
		return nil
	})
}

// NothingHeld is the problem of a token without data.
func NothingHeld() *problem.Error {
	return problem.New(problem.NotFound, "This step is no longer open: it was finished, or it took too long.").
		WithNext("Start again.")
}
