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
	"net/netip"
	"strings"
	"time"

	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/problem"
)

// limit is how one counter slows down: free failures, then a wait that doubles from a second to most.
type limit struct {
	free int64
	most time.Duration
}

var (
	pairLimit    = limit{5, 15 * time.Minute}
	addressLimit = limit{20, 5 * time.Minute}
	accountLimit = limit{30, 30 * time.Second}
	deviceLimit  = limit{10, 5 * time.Minute}
)

// forgetAfter is how long a counter lasts after its last failure.
const forgetAfter = time.Hour

// wait is how long after the last of so many failures the next attempt may come.
func (l limit) wait(failures int64) time.Duration {
	over := failures - l.free
	if over < 0 {
		return 0
	}
	if over > 20 {
		return l.most
	}
	return min(time.Second<<over, l.most)
}

// counter is one thing that is counted.
type counter struct {
	subject string
	limit   limit
}

// counters lists what an attempt counts on. Account names are stored only as keyed hashes: people type passwords into the wrong field.
func (l *Logins) counters(identifier, ip string, knownDevice string) []counter {
	if knownDevice != "" {
		return []counter{{"device:" + l.mac("guess", knownDevice), deviceLimit}}
	}
	account, address := l.mac("guess", identifier), addressPrefix(ip)
	return []counter{
		{"pair:" + account + ":" + address, pairLimit},
		{"address:" + address, addressLimit},
		{"account:" + account, accountLimit},
	}
}

// addressPrefix is what one client can be expected to hold: an IPv4 address, or a /64 of IPv6.
func addressPrefix(ip string) string {
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

// reserve counts an attempt on all counters, or refuses it with the time to wait.
func (l *Logins) reserve(ctx context.Context, counters []counter) error {
	now := l.cfg.Now()
	return l.cfg.DB.System(ctx, "guess counters", func(tx *db.Tx) error {
		var longest time.Duration
		for _, c := range counters {
			g, err := q.New(tx).GetGuess(ctx, c.subject)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return fmt.Errorf("reading the guess limits: %w", err)
			}
			last := time.UnixMilli(g.LastAt)
			if now.Sub(last) < forgetAfter {
				longest = max(longest, c.limit.wait(g.Failures)-now.Sub(last))
			}
		}
		if longest > 0 {
			// A clock that was set back must not make anybody wait longer than the limits say.
			return tooFast(min(longest, pairLimit.most))
		}
		for _, c := range counters {
			if _, err := q.New(tx).AddGuess(ctx, q.AddGuessParams{Subject: c.subject, Now: now.UnixMilli(), ForgetBefore: now.Add(-forgetAfter).UnixMilli()}); err != nil {
				return fmt.Errorf("counting the attempt: %w", err)
			}
		}
		return nil
	})
}

func tooFast(wait time.Duration) error {
	return problem.New(problem.Limited, "Too many attempts that were not right.").WithRetryAfter(wait).WithRule("guess limit").
		WithNext("Wait, then try again. An admin can also give you a link that sets a new password.")
}

// forgive takes an attempt back that was right, or that was never judged. The counters of this person alone start anew after a success.
func (l *Logins) forgive(ctx context.Context, tx *db.Tx, counters []counter, success bool) error {
	for _, c := range counters {
		var err error
		if own := strings.HasPrefix(c.subject, "pair:") || strings.HasPrefix(c.subject, "device:"); own && success {
			err = q.New(tx).ClearGuess(ctx, c.subject)
		} else {
			err = q.New(tx).ForgiveGuess(ctx, c.subject)
		}
		if err != nil {
			return fmt.Errorf("taking the attempt back: %w", err)
		}
	}
	return nil
}

// PruneGuesses removes counters that have been forgotten; the server runs it regularly.
func (l *Logins) PruneGuesses(ctx context.Context, now time.Time) error {
	return l.cfg.DB.System(ctx, "guess counters", func(tx *db.Tx) error {
		_, err := q.New(tx).PruneGuesses(ctx, now.Add(-forgetAfter).UnixMilli())
		return err
	})
}

// PruneAttempts removes attempts that nobody went on with; the server runs it regularly.
func (l *Logins) PruneAttempts(ctx context.Context, now time.Time) error {
	return l.cfg.DB.System(ctx, "old attempts", func(tx *db.Tx) error {
		if _, err := q.New(tx).PrunePending(ctx, now.UnixMilli()); err != nil {
			return fmt.Errorf("removing attempts that nobody went on with: %w", err)
		}
		return nil
	})
}

func (l *Logins) mac(purpose, text string) string {
	m := hmac.New(sha256.New, l.cfg.TokenKey)
	m.Write([]byte(purpose + "\x00" + text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// newDevice makes the value of a device cookie for an account: random, and authentic for this account only.
func (l *Logins) newDevice(userID string) (string, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("making a device cookie: %w", err)
	}
	id := base64.RawURLEncoding.EncodeToString(raw)
	return id + "." + l.mac("device", userID+"\x00"+id), nil
}

// knownDevice returns the device's id if the cookie was made for this account, else "".
func (l *Logins) knownDevice(cookie, userID string) string {
	id, mac, ok := strings.Cut(cookie, ".")
	if !ok || len(cookie) > 200 || userID == "" || !hmac.Equal([]byte(mac), []byte(l.mac("device", userID+"\x00"+id))) {
		return ""
	}
	return id
}
