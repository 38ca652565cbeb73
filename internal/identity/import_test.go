package identity

import (
	"context"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/problem"
)

func foreign(t testing.TB, password string, cost int) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password)[:min(len(password), bcryptLimit)], cost)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := ForeignHash(strings.Replace(string(hash), "$2a$", "$2b$", 1))
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestImport_ForeignHashes(t *testing.T) {
	t.Parallel()
	h := NewHasher(4, nil)
	t.Cleanup(h.Close)
	long := strings.Repeat("0123456789", 8)
	for _, tt := range []struct {
		name, made, tried string
		want              bool
	}{
		{"right", "open sesame", "open sesame", true},
		{"wrong", "open sesame", "open sesame!", false},
		{"empty", "open sesame", "", false},
		{"as it was typed", "\ufb01sh", "\ufb01sh", true},
		{"the same text to Unicode, another one to them", "\ufb01sh", "fish", false},
		{"beyond 72 bytes only the first count there", long, long[:72] + "else", true},
		{"within them all do", long, long[:71], false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ok, upgrade, err := h.Verify(context.Background(), foreign(t, tt.made, 4), tt.tried)
			if err != nil || ok != tt.want || upgrade != tt.want {
				t.Errorf("%v, upgrade %v, %v", ok, upgrade, err)
			}
		})
	}
}

func TestImport_NotAHash(t *testing.T) {
	t.Parallel()
	good := "$2b$12$" + strings.Repeat("a", 53)
	if stored, err := ForeignHash(good); err != nil || stored != "bcrypt72+"+good {
		t.Errorf("%q, %v", stored, err)
	}
	for _, bad := range []string{
		"", "plain", "sha384+" + good, "$2b$31$" + strings.Repeat("a", 53), "$2b$13$" +
			strings.Repeat("a", 53), "$2b$03$" + strings.Repeat("a", 53), good[:59], good + "a",
		"$2x$12$" + strings.Repeat("a", 53), "$2b$12$" +
			strings.Repeat("!", 53), "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", good + "\n",
	} {
		if stored, err := ForeignHash(bad); !problem.Is(err, problem.Invalid) {
			t.Errorf("%q became %q, %v", bad, stored, err)
		}
	}
}

// The work of all verifications is the same; it is counted in rounds, because time cannot be
// measured truly here.
func TestImport_VerificationCost(t *testing.T) {
	t.Parallel()
	h := NewHasher(4, nil)
	t.Cleanup(h.Close)
	h.Expect("$2b$12$" + strings.Repeat("a", 53)) // one of our own changes nothing
	if n := h.floor.Load(); n != 0 {
		t.Errorf("the floor is %d", n)
	}
	for _, cost := range []int{6, 5} {
		h.Expect(foreign(t, "x", cost))
	}
	if n := h.floor.Load(); n != 6 {
		t.Errorf("the floor is %d, want the highest cost", n)
	}
	for stored, want := range map[string]int{"": 4, foreign(t, "x", 6): 6, foreign(t, "x", 5): 5,
		"sha384+$2a$04$" + strings.Repeat("a", 53): 4, "broken": MaxForeignRounds} {
		cost := costOf(stored)
		if stored == "" {
			cost = h.rounds
		}
		if cost != want {
			t.Errorf("%.20q costs %d, want %d", stored, cost, want)
		}
	}
	// With a floor the verdicts are the same.
	for password, want := range map[string]bool{"x": true, "y": false} {
		if ok, _, err := h.Verify(context.Background(), foreign(t, "x", 5), password); ok != want || err != nil {
			t.Errorf("%s: %v %v", password, ok, err)
		}
	}
	if ok, _, err := h.Verify(context.Background(), "", "x"); ok || err != nil {
		t.Errorf("nobody: %v %v", ok, err)
	}
}

func FuzzForeignHash(f *testing.F) {
	for _, seed := range []string{"$2b$12$" + strings.Repeat("a", 53), "$2b$31$" + strings.Repeat("a", 53), "$2b$",
		"$$$$", "", "bcrypt72+$2b$04$"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, hash string) {
		stored, err := ForeignHash(hash)
		if err != nil {
			return
		}
		if cost := costOf(stored); cost < bcrypt.MinCost || cost > MaxForeignRounds {
			t.Errorf("%q was taken over with cost %d", hash, cost)
		}
		if costOf(stored) > bcrypt.MinCost {
			return
		}
		if _, _, err := verifyForeign(strings.TrimPrefix(stored, foreignTag), "x"); err != nil {
			t.Errorf("%q was taken over and cannot be verified: %v", hash, err)
		}
	})
}
