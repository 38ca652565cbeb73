package console

import (
	"context"
	"strings"
	"testing"
	"time"

	"sluice/internal/authz"
	"sluice/internal/secret"
)

func TestSecrets_ShowAndRotate(t *testing.T) {
	t.Parallel()
	const good = "q8Zt0cX5mB1vKd7RyWfJ3uHs9LpNaE2gTiOx6QbVnCk"
	s := newSite(t, func(o *options) {
		o.given = map[secret.Name]secret.Given{
			secret.AccessToken: {Text: good, As: string(secret.AccessToken), Where: "environment"},
			secret.RefreshToken: {
				Text:  "AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD",
				As:    string(secret.RefreshToken),
				Where: "environment",
			},
		}
	})
	s.add("root", "superuser")
	s.add("cid", "viewer")
	b := s.signedIn("root")
	page := b.get(secretsPath).want(t, 200, "").body
	says(
		t,
		page,
		"Root key",
		"created by Sluice, stored encrypted in the database",
		"is a published example",
		"sluice secret generate",
		s.url+"/.well-known/jwks.json",
		"sluice_root.key",
	)
	has(t, page, "a[href="+secretsPath+"/EXPRESS_SESSION_SECRET/rotate]", "a[href=/admin/secrets][aria-current]")
	if n := strings.Count(page, "is a published example"); n != 1 {
		t.Errorf("a weak value is told of %d times", n)
	}
	for _, text := range []string{good, "AABBCCDD"} {
		if strings.Contains(page, text) {
			t.Error("the page holds a secret")
		}
	}

	given := b.get(secretsPath+"/JWT_AUTH_TOKEN_SECRET/rotate").want(t, 200, "").body
	says(t, given, "is set (environment)", "sluice secret generate")
	hasNot(t, given, "form[action="+secretsPath+"/JWT_AUTH_TOKEN_SECRET/rotate]")
	says(t, b.post(secretsPath+"/JWT_AUTH_TOKEN_SECRET/rotate").want(t, 409, "").body, "is set (environment)")
	b.get(secretsPath+"/nothing/rotate").want(t, 404, "")
	b.post(secretsPath+"/nothing/rotate").want(t, 404, "")

	before := s.keyIDs()
	for _, n := range []secret.Name{secret.Session, secret.TokenHash, secret.VaultKey, secret.Assertions, secret.Root} {
		at := secretsPath + "/" + string(n) + "/rotate"
		says(t, b.get(at).want(t, 200, "").body, "Create a new key", "sluice secret rotate "+string(n))
		b.post(at).want(t, 303, secretsPath)
		now := s.keyIDs()
		if now[n] == before[n] || now[n] == "" {
			t.Errorf("%s: the key before is %q, after the rotation %q", n, before[n], now[n])
		}
	}
	page = b.get(secretsPath).want(t, 200, "").body
	says(t, page, "1 previous key still accepted, until ", "A new key is in use")
	s.signedIn("cid").get(secretsPath).want(t, 303, "/flows")
}

// keyIDs are the ids of all keys in use.
func (s *site) keyIDs() map[secret.Name]string {
	s.t.Helper()
	list, err := secret.NewRotator(s.keyring, s.gate).Status(context.Background(), authz.SystemPrincipal("test"))
	fatal(s.t, err)
	ids := map[secret.Name]string{}
	for _, one := range list {
		ids[one.Name] = one.KeyID
	}
	return ids
}

func TestSecrets_FreshProof(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *options) { o.stepUp = 10 * time.Minute })
	s.add("root", "superuser")
	b := s.signedIn("root")
	s.clock.forward(11 * time.Minute)
	before := s.keyIDs()
	at := secretsPath + "/" + string(secret.Session) + "/rotate"
	has(t, b.post(at).body, "input[name=confirm_password]")
	if s.keyIDs()[secret.Session] != before[secret.Session] {
		t.Fatal("the key was replaced without a proof")
	}
	b.post(at, "confirm_password", goodPassword).want(t, 303, secretsPath)
	if s.keyIDs()[secret.Session] == before[secret.Session] {
		t.Error("the key was not replaced")
	}
}

func TestSecrets_PreviousKeys(t *testing.T) {
	t.Parallel()
	view := func(n secret.Name, left int, former ...secret.PreviousKey) secretView {
		return secretView{Status: secret.Status{Name: n, Left: left, Previous: former}}
	}
	for want, v := range map[string]secretView{
		"": view(secret.Session, 0),
		"2 previous keys still accepted, at least until 2026-03-16 15:09 UTC": view(
			secret.Session,
			0,
			secret.PreviousKey{Until: sampleNow.Add(48 * time.Hour)},
			secret.PreviousKey{Until: sampleNow.Add(time.Hour)},
		),
		"1 previous key still accepted, until everything created with it has expired": view(
			secret.TokenHash,
			0,
			secret.PreviousKey{Until: sampleNow.Add(-time.Hour)},
		),
		"1 previous key still accepted, for 3 values not yet encrypted again": view(
			secret.VaultKey,
			3,
			secret.PreviousKey{},
		),
		"1 previous key still accepted, for about an hour": view(secret.VaultKey, 0, secret.PreviousKey{}),
	} {
		if got := v.previousWords(sampleNow); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
