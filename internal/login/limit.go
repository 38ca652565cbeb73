package login

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/problem"
)

// Limit is how one counter slows down guesses: Free failures cost nothing, then the wait doubles
// from one second up to Most.
type Limit struct {
	Free int64
	Most time.Duration
}

var (
	pairLimit = Limit{Free: 5, Most: 15 * time.Minute}
	// AddressLimit bounds the attempts of strangers from one address.
	AddressLimit = Limit{Free: 20, Most: 5 * time.Minute}
	accountLimit = Limit{Free: 30, Most: 30 * time.Second}
	deviceLimit  = Limit{Free: 10, Most: 5 * time.Minute}
)

// forgetAfter is how long a counter lasts after its last failure.
const forgetAfter = time.Hour

// wait is how long the next attempt must wait after the last of this many failures.
func (l Limit) wait(failures int64) time.Duration {
	over := failures - l.Free
	if over < 0 {
		return 0
	}
	if over > 20 {
		return l.Most
	}
	return min(time.Second<<over, l.Most)
}

// Counter is one counter of guesses. Subject is its name in the database, which contains no name of
// a person in clear.
type Counter struct {
	Subject string
	Limit   Limit
}

// Limits count guesses and slow them down.
type Limits struct {
	db  *db.DB
	key hashKey
	now func() time.Time
	log *slog.Logger
}

// signIn lists the counters of a sign-in with a password. Account names are stored only as keyed
// hashes, because people type passwords into the wrong field.
func (l *Limits) signIn(identifier, ip string, knownDevice string) []Counter {
	if knownDevice != "" {
		return []Counter{{Subject: "device:" + l.key.hash("guess", knownDevice), Limit: deviceLimit}}
	}
	account, address := l.key.hash("guess", identifier), AddressPrefix(ip)
	return []Counter{
		{Subject: "pair:" + account + ":" + address, Limit: pairLimit},
		{Subject: "address:" + address, Limit: AddressLimit},
		{Subject: "account:" + account, Limit: accountLimit},
	}
}

// AddressPrefix is the network that one client can be expected to control: an IPv4 address, or a
// /64 of IPv6.
func AddressPrefix(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown"
	}
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}

// Reserve counts an attempt on all counters, or refuses it with the time to wait (problem.Limited).
func (l *Limits) Reserve(ctx context.Context, counters ...Counter) error {
	now := l.now()
	return l.db.System(ctx, "guess counters", func(tx *db.Tx) error {
		var longest time.Duration
		for _, c := range counters {
			g, err := q.New(tx).GetGuess(ctx, c.Subject)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return fmt.Errorf("reading the guess limits: %w", err)
			}
			last := time.UnixMilli(g.LastAt)
			if now.Sub(last) < forgetAfter {
				longest = max(longest, c.Limit.wait(g.Failures)-now.Sub(last))
			}
		}
		if longest > 0 {
			// After the clock was set back, no one must wait longer than the limits say.
			return tooFast(min(longest, pairLimit.Most))
		}
		for _, c := range counters {
			if _, err := l.Count(ctx, tx, c.Subject, forgetAfter); err != nil {
				return err
			}
		}
		return nil
	})
}

// Count adds one to a counter, which restarts if its last failure is longer ago than forget. It
// returns the number of failures.
func (l *Limits) Count(ctx context.Context, tx *db.Tx, subject string, forget time.Duration) (int64, error) {
	now := l.now()
	failures, err := q.New(tx).AddGuess(ctx, q.AddGuessParams{
		Subject:      subject,
		Now:          now.UnixMilli(),
		ForgetBefore: now.Add(-forget).UnixMilli(),
	})
	if err != nil {
		return 0, fmt.Errorf("counting the attempt: %w", err)
	}
	return failures, nil
}

func tooFast(wait time.Duration) error {
	return problem.New(problem.Limited, "Too many failed attempts.").
		WithRetryAfter(wait).
		WithRule("guess limit").
		WithNext("Wait, then try again. An admin can also give you a link to set a new password.")
}

// Forgive takes back the reservation of a correct attempt. It clears the counters of this person
// alone, and reduces the others by one.
func (l *Limits) Forgive(ctx context.Context, tx *db.Tx, counters ...Counter) error {
	for _, c := range counters {
		var err error
		if strings.HasPrefix(c.Subject, "pair:") || strings.HasPrefix(c.Subject, "device:") {
			err = l.Clear(ctx, tx, c)
		} else {
			err = l.uncount(ctx, tx, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Unreserve takes back the reservation of an attempt that was never judged. It has its own
// deadline, because the request may have been canceled.
func (l *Limits) Unreserve(counters ...Counter) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := l.db.System(ctx, "guess counters", func(tx *db.Tx) error {
		for _, c := range counters {
			if err := l.uncount(ctx, tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		l.log.Warn("an attempt without a verdict stays counted", "error", err)
	}
}

func (l *Limits) uncount(ctx context.Context, tx *db.Tx, c Counter) error {
	if err := q.New(tx).ForgiveGuess(ctx, c.Subject); err != nil {
		return fmt.Errorf("undoing the count of the attempt: %w", err)
	}
	return nil
}

// Clear resets a counter.
func (l *Limits) Clear(ctx context.Context, tx *db.Tx, c Counter) error {
	if err := q.New(tx).ClearGuess(ctx, c.Subject); err != nil {
		return fmt.Errorf("undoing the count of the attempt: %w", err)
	}
	return nil
}

// Exhausted returns the number of guesses if the last one was the last free one, and 0 otherwise.
func (l *Limits) Exhausted(ctx context.Context, tx *db.Tx, c Counter) (int64, error) {
	g, err := q.New(tx).GetGuess(ctx, c.Subject)
	if err := db.Found(err, "none"); problem.Is(err, problem.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the guess limits: %w", err)
	}
	if g.Failures != c.Limit.Free {
		return 0, nil
	}
	return g.Failures, nil
}

// prune removes counters that have expired.
func (l *Limits) prune(ctx context.Context, now time.Time) error {
	return l.db.System(ctx, "old attempts", func(tx *db.Tx) error {
		_, err := q.New(tx).PruneGuesses(ctx, now.Add(-forgetAfter).UnixMilli())
		return err
	})
}

// newDevice creates the value of a device cookie for an account: random, and authentic for this
// account only.
func (l *Limits) newDevice(userID string) (string, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("creating a device cookie: %w", err)
	}
	id := base64.RawURLEncoding.EncodeToString(raw)
	return id + "." + l.key.hash("device", userID+"\x00"+id), nil
}

// KnownDevice returns the device's id if the cookie was created for this account, else "".
func (l *Limits) KnownDevice(cookie, userID string) string {
	id, mac, ok := strings.Cut(cookie, ".")
	if !ok || len(cookie) > 200 || userID == "" ||
		!hmac.Equal([]byte(mac), []byte(l.key.hash("device", userID+"\x00"+id))) {
		return ""
	}
	return id
}

// hashKey keys the hashes of values that must not be in the database in clear.
type hashKey []byte

// hash is the keyed hash of a text for one purpose, in base64url.
func (k hashKey) hash(purpose, text string) string {
	m := hmac.New(sha256.New, k)
	m.Write([]byte(purpose + "\x00" + text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}
