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
	// clockSkew is how far another node's clock may be ahead when it makes a token. Nothing is added to a token's end.
	clockSkew = time.Minute
	// keysFor is how long the keys are taken from memory before Tokens asks for them again.
	keysFor = time.Second
	// newcomer is how young a token is whose session may not have come to this node's memory yet.
	newcomer = 10 * time.Second
)

// TokenConfig of Tokens.
type TokenConfig struct {
	Sessions *Sessions
	// Mail takes the warning that a refresh token was used twice; nil for none.
	Mail *mail.Outbox
	// AccountPage is the address of the page where people see their sessions, for that mail.
	AccountPage func() string
	// AccessKeys sign access tokens, and RefreshKeys go into refresh tokens (JWT_AUTH_TOKEN_SECRET, JWT_REFRESH_TOKEN_SECRET). HashKeys key the hashes under which refresh tokens are stored
	// (TOKEN_HASH_SECRET). Of each the first is in use, and the others are accepted still.
	AccessKeys, RefreshKeys, HashKeys func() []Key
	// Issuer and Audience are the claims iss and aud (JWT_ISSUER, JWT_AUDIENCE).
	Issuer, Audience string
	// AccessLife and RefreshLife are how long a token of each kind is good. A session of tokens ends RefreshLife after the last refresh, and MaxAge of Sessions after the sign-in.
	AccessLife, RefreshLife time.Duration
	// Grace is how long a refresh token that was used returns the same successor once more.
	Grace time.Duration
}

// Tokens makes and checks the access and refresh tokens of programs that have signed in.
type Tokens struct {
	cfg   TokenConfig
	known *known

	reading sync.Mutex
	keys    atomic.Pointer[accessKeys]
}

// accessKeys are the keys of access tokens as they were at a time. Number counts how often a key has gone.
type accessKeys struct {
	list   []Key
	readAt time.Time
	number uint32
}

// NewTokens makes Tokens.
func NewTokens(c TokenConfig) *Tokens {
	t := &Tokens{cfg: c, known: newKnown()}
	t.keys.Store(&accessKeys{list: c.AccessKeys(), readAt: c.Sessions.cfg.Now()})
	return t
}

func (t *Tokens) now() time.Time { return t.cfg.Sessions.cfg.Now() }

// Pair is what a program gets: an access token for its calls, and a refresh token for the next pair.
type Pair struct {
	Access, Refresh               string
	AccessExpires, RefreshExpires time.Time
	// SessionID is the session behind both.
	SessionID string
}

// access makes an access token. It ends with the session, if not before.
func (t *Tokens) access(account, session string, sessionEnds time.Time) (token string, expires time.Time, err error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return "", time.Time{}, fmt.Errorf("making an access token: %w", err)
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

// keysAt returns the keys of access tokens, from memory if they were asked for just now.
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

// Verify tells whose an access token is. A text that was not made with a key of Sluice's is ErrForeign; a token that is not good, has expired, or whose session has ended is problem.Unauthenticated.
// A token is verified once, and then known by its hash; its session is looked up each time.
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

// read verifies a token and reads what it says.
func (t *Tokens) read(token string, keys *accessKeys, now time.Time) (claims, error) {
	parsed, err := parseJWT(token)
	key, ok := keys.key(parsed.keyID)
	if !ok && err == nil {
		// It may have come into use on another node this moment.
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

// person finds the person of a token's session. A session that was made on another node a moment ago is fetched first.
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
	return problem.New(problem.Unauthenticated, "This access token is not valid.").WithRule(credentialRule).WithNext("Sign in for a new one.")
}

func expiredAccess() error {
	return problem.New(problem.Unauthenticated, "This access token has expired.").WithRule(credentialRule).WithNext("Get a new one with the refresh token.")
}

func endedAccess() error {
	return problem.New(problem.Unauthenticated, "The session of this access token has ended.").WithRule(credentialRule).WithNext("Sign in again.")
}
