package authn

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"sluice/internal/mail"
	"sluice/internal/problem"
)

const (
	// clockSkew is how far ahead the clock of an issuing node may be. It does not extend a token's
	// expiry.
	clockSkew = time.Minute
	// keysFor is how long Tokens uses the keys in memory before it reads them again.
	keysFor = time.Second
	// newcomer is the age below which a token's session may not have reached this node's memory
	// yet.
	newcomer = 10 * time.Second
)

// TokenConfig configures Tokens.
type TokenConfig struct {
	Sessions *Sessions
	// Mail sends the warning about a refresh token that was used twice. It may be nil.
	Mail *mail.Outbox
	// AccountPage returns the address of the page that lists a person's sessions, for that email.
	AccountPage func() string
	// AccessKeys sign access tokens, and RefreshKeys go into refresh tokens (JWT_AUTH_TOKEN_SECRET,
	// JWT_REFRESH_TOKEN_SECRET). HashKeys key the hashes under which refresh tokens are stored
	// (TOKEN_HASH_SECRET). New tokens use the first key of each list; the others are still
	// accepted.
	AccessKeys, RefreshKeys, HashKeys func() []Key
	// Issuer and Audience are the claims iss and aud (JWT_ISSUER, JWT_AUDIENCE).
	Issuer, Audience string
	// AccessLife and RefreshLife are the lifetimes of the two kinds of token. A token session
	// expires RefreshLife after the last refresh, and no later than MaxAge of Sessions after the
	// sign-in.
	AccessLife, RefreshLife time.Duration
	// Grace is how long a used refresh token still returns the same successor.
	Grace time.Duration
}

// Tokens issues and verifies the access and refresh tokens of programs that have signed in.
type Tokens struct {
	cfg   TokenConfig
	known *known

	reading sync.Mutex
	keys    atomic.Pointer[accessKeys]
}

// accessKeys are the keys of access tokens, as read at one moment. The number counts how often a
// key was removed.
type accessKeys struct {
	list   []Key
	readAt time.Time
	number uint32
}

// NewTokens returns Tokens.
func NewTokens(c TokenConfig) *Tokens {
	t := &Tokens{cfg: c, known: newKnown()}
	t.keys.Store(&accessKeys{list: c.AccessKeys(), readAt: c.Sessions.cfg.Now()})
	return t
}

func (t *Tokens) now() time.Time { return t.cfg.Sessions.cfg.Now() }

// Pair is what a program receives: an access token for its calls, and a refresh token for the next
// pair.
type Pair struct {
	Access, Refresh               string
	AccessExpires, RefreshExpires time.Time
	// SessionID is the session behind both.
	SessionID string
}

// access issues an access token. The token expires no later than the session.
func (t *Tokens) access(account, session string, sessionEnds time.Time) (token string, expires time.Time, err error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return "", time.Time{}, fmt.Errorf("creating an access token: %w", err)
	}
	now := t.now()
	if expires = now.Add(t.cfg.AccessLife); expires.After(sessionEnds) {
		expires = sessionEnds
	}
	expires = expires.Truncate(time.Second).UTC()
	token, err = signJWT(t.keysAt(now).list[0], claims{
		Issuer:   t.cfg.Issuer,
		Audience: t.cfg.Audience,
		Subject:  account,
		Session:  session,
		ID:       base64.RawURLEncoding.EncodeToString(id),
		Issued:   now.Unix(),
		Expires:  expires.Unix(),
	})
	return token, expires, err
}

// keysAt returns the keys of access tokens, from memory if they were read less than keysFor ago.
func (t *Tokens) keysAt(now time.Time) *accessKeys {
	k := t.keys.Load()
	if age := now.Sub(k.readAt); age >= 0 && age < keysFor {
		return k
	}
	return t.readKeys(now)
}

func (t *Tokens) readKeys(now time.Time) *accessKeys {
	t.reading.Lock()
	defer t.reading.Unlock()
	before := t.keys.Load()
	k := &accessKeys{list: t.cfg.AccessKeys(), readAt: now, number: before.number}
	for _, old := range before.list {
		if !slices.ContainsFunc(k.list, func(n Key) bool { return n.ID == old.ID }) {
			k.number++
			break
		}
	}
	t.keys.Store(k)
	return k
}

// key finds a key by its id.
func (k *accessKeys) key(id string) (Key, bool) {
	i := slices.IndexFunc(k.list, func(n Key) bool { return n.ID == id })
	if i < 0 {
		return Key{}, false
	}
	return k.list[i], true
}

// Verify returns the person of an access token. It returns ErrForeign for a text that was not
// signed with a Sluice key, and problem.Unauthenticated for a token that is invalid or expired, or
// whose session is over. A token is verified once and then known by its hash. Its session is looked
// up each time.
func (t *Tokens) Verify(token string) (Principal, error) {
	if len(token) > maxToken {
		return Principal{}, ErrForeign
	}
	now, d := t.now(), t.known.digest(token)
	keys := t.keysAt(now)
	if k, ok := t.known.find(d, keys.number); ok {
		if now.UnixMilli() >= k.expires {
			return Principal{}, expiredAccess()
		}
		if p, ok := t.cfg.Sessions.byID(k.session); ok {
			return p, nil
		}
		return Principal{}, endedAccess()
	}
	c, err := t.read(token, keys, now)
	if err != nil {
		return Principal{}, err
	}
	p, session, err := t.person(c, now)
	if err != nil {
		return Principal{}, err
	}
	t.known.add(d, knownToken{session: session, expires: c.Expires * 1000, keys: keys.number})
	return p, nil
}

// read verifies a token and returns its claims.
func (t *Tokens) read(token string, keys *accessKeys, now time.Time) (claims, error) {
	parsed, err := parseJWT(token)
	key, ok := keys.key(parsed.keyID)
	if !ok && err == nil {
		// Another node may have started to use the key this moment.
		key, ok = t.readKeys(now).key(parsed.keyID)
	}
	switch {
	case !ok:
		return claims{}, ErrForeign
	case err != nil:
		return claims{}, badAccess()
	}
	c, err := parsed.claims(key)
	switch latest := now.Add(clockSkew).Unix(); {
	case err != nil, c.Issuer != t.cfg.Issuer, c.Audience != t.cfg.Audience, c.Issued > latest, c.NotBefore > latest:
		return claims{}, badAccess()
	case now.Unix() >= c.Expires:
		return claims{}, expiredAccess()
	}
	return c, nil
}

// person finds the person of a token's session. If the token is new, another node may have created
// the session a moment ago, so this node catches up first.
func (t *Tokens) person(c claims, now time.Time) (Principal, uuid.UUID, error) {
	session, err := uuid.Parse(c.Session)
	if err != nil {
		return Principal{}, uuid.UUID{}, badAccess()
	}
	p, ok := t.cfg.Sessions.byID(session)
	if !ok && now.Sub(time.Unix(c.Issued, 0)) < newcomer {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		t.cfg.Sessions.cfg.DB.CatchUp(ctx)
		p, ok = t.cfg.Sessions.byID(session)
	}
	switch {
	case !ok:
		return Principal{}, uuid.UUID{}, endedAccess()
	case p.ID != c.Subject:
		return Principal{}, uuid.UUID{}, badAccess()
	}
	return p, session, nil
}

func badAccess() error {
	return problem.New(problem.Unauthenticated, "This access token is not valid.").
		WithRule(credentialRule).
		WithNext("Sign in for a new one.")
}

func expiredAccess() error {
	return problem.New(problem.Unauthenticated, "This access token has expired.").
		WithRule(credentialRule).
		WithNext("Get a new one with the refresh token.")
}

func endedAccess() error {
	return problem.New(problem.Unauthenticated, "The session of this access token has ended.").
		WithRule(credentialRule).
		WithNext("Sign in again.")
}
