package identity

import (
	"context"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/problem"
)

func TestHash_FullLength(t *testing.T) {
	t.Parallel()
	h := NewHasher(bcrypt.MinCost, nil)
	defer h.Close()
	ctx := context.Background()
	for _, length := range []int{1, 15, 71, 72, 73, 100, 1024} {
		password := strings.Repeat("a", length-1) + "x"
		stored, err := h.Hash(ctx, password)
		if err != nil {
			t.Fatalf("%d bytes: %v", length, err)
		}
		if ok, _, err := h.Verify(ctx, stored, password); !ok || err != nil {
			t.Errorf("%d bytes: the right password is refused (%v)", length, err)
		}
		for _, wrong := range []string{password[:length-1] + "y", password + "z", strings.TrimSuffix(password, "x")} {
			if ok, _, _ := h.Verify(ctx, stored, wrong); ok {
				t.Errorf("%d bytes: a password that differs in its last byte or length is accepted", length)
			}
		}
		if tagged := strings.HasPrefix(stored, longTag); tagged != (length > 72) {
			t.Errorf("%d bytes: tagged %v", length, tagged)
		}
	}
}

func TestHash_UnicodeForms(t *testing.T) {
	t.Parallel()
	stored, err := hashPassword("pässword of mine", bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, _ := verifyPassword(stored, "pa\u0308ssword of mine", bcrypt.MinCost); !ok {
		t.Error("the decomposed form of the same text is refused (NIST SP 800-63B-4 3.1.1.2: normalise)")
	}
}

func TestHash_UpgradeRounds(t *testing.T) {
	t.Parallel()
	stored, err := hashPassword("correct horse battery", bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for rounds, want := range map[int]bool{bcrypt.MinCost: false, bcrypt.MinCost + 1: true} {
		if _, upgrade, _ := verifyPassword(stored, "correct horse battery", rounds); upgrade != want {
			t.Errorf("%d rounds: upgrade %v, want %v", rounds, upgrade, want)
		}
		if _, upgrade, _ := verifyPassword(stored, "wrong", rounds); upgrade {
			t.Error("a wrong password upgrades the hash")
		}
	}
}

func TestHash_FullQueue(t *testing.T) {
	t.Parallel()
	h := NewHasher(bcrypt.MinCost, nil)
	defer h.Close()
	hold, held := make(chan struct{}), make(chan struct{})
	go func() { _ = h.do(context.Background(), func() { close(held); <-hold }) }()
	<-held
	for range hashQueue {
		h.jobs <- &job{ctx: context.Background(), work: func() {}, done: make(chan struct{})}
	}
	_, err := h.Hash(context.Background(), "x")
	if e := problem.Of(err); e.Kind != problem.Unavailable || e.RetryAfter <= 0 {
		t.Errorf("a full queue: %v, want unavailable with RetryAfter", err)
	}
	close(hold)
}

func TestHash_Closed(t *testing.T) {
	t.Parallel()
	h := NewHasher(bcrypt.MinCost, nil)
	h.Close()
	if _, err := h.Hash(context.Background(), "x"); !problem.Is(err, problem.Unavailable) {
		t.Errorf("closed: %v, want unavailable", err)
	}
}

func BenchmarkBcrypt10(b *testing.B) {
	for b.Loop() {
		if _, err := hashPassword("correct horse battery staple", 10); err != nil {
			b.Fatal(err)
		}
	}
}

func TestHash_BusyNotification(t *testing.T) {
	t.Parallel()
	told := make(chan bool, 10)
	h := NewHasher(bcrypt.MinCost, func(on bool) { told <- on })
	defer h.Close()
	for range 3 {
		if _, err := h.Hash(context.Background(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if on := <-told; !on {
		t.Error("work began and busy(false) was called")
	}
	if on := <-told; on {
		t.Error("busy(true) was called twice without a rest between")
	}
}
