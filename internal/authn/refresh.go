package authn

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

const (
	// refreshStart begins every refresh token, so that scanners know one. It does not begin an API key.
	refreshStart = "sluicert_"
	// refreshForm is the first byte of what follows: form, session, generation, MAC.
	refreshForm   = 1
	refreshBytes  = 1 + 16 + 8 + sha256.Size
	refreshDomain = "sluice refresh token v1\x00"
)

// refreshToken is a refresh token taken apart: which generation of which session's it is, and what proves it. Generations count from 1.
type refreshToken struct {
	session    uuid.UUID
	generation uint64
	proof      [sha256.Size]byte
}

// parseRefresh takes a refresh token apart. Nothing in it has been verified.
func parseRefresh(text string) (r refreshToken, ok bool) {
	if len(text) != len(refreshStart)+base64.RawURLEncoding.EncodedLen(refreshBytes) || text[:len(refreshStart)] != refreshStart {
		return r, false
	}
	raw, ok := decodePart(text[len(refreshStart):])
	if !ok || raw[0] != refreshForm {
		return r, false
	}
	copy(r.session[:], raw[1:17])
	r.generation = binary.BigEndian.Uint64(raw[17:25])
	copy(r.proof[:], raw[25:])
	return r, true
}

// String is the token's text.
func (r refreshToken) String() string {
	raw := make([]byte, 0, refreshBytes)
	raw = append(append(raw, refreshForm), r.session[:]...)
	raw = binary.BigEndian.AppendUint64(raw, r.generation)
	return refreshStart + base64.RawURLEncoding.EncodeToString(append(raw, r.proof[:]...))
}

// prove derives what proves a generation. Whoever has the key alone, or the database alone, can make none.
func (r refreshToken) prove(k Key, seed string) (proof [sha256.Size]byte) {
	m := hmac.New(sha256.New, k.Value)
	m.Write([]byte(refreshDomain))
	m.Write(r.session[:])
	m.Write(binary.BigEndian.AppendUint64(nil, r.generation))
	m.Write([]byte(seed))
	m.Sum(proof[:0])
	return proof
}

// derived makes the token of a generation under the key in use.
func (t *Tokens) derived(session uuid.UUID, generation uint64, seed string) string {
	r := refreshToken{session: session, generation: generation}
	r.proof = r.prove(t.cfg.RefreshKeys()[0], seed)
	return r.String()
}

// stored is the form in the database of a refresh token: its HMAC-SHA-256.
func stored(k Key, token string) string {
	m := hmac.New(sha256.New, k.Value)
	m.Write([]byte(token))
	return hex.EncodeToString(m.Sum(nil))
}

// hashed reports whether a token is the one of a stored hash, under any key that is accepted.
func (t *Tokens) hashed(token, hash string) bool {
	for _, k := range t.cfg.HashKeys() {
		if hmac.Equal([]byte(stored(k, token)), []byte(hash)) {
			return true
		}
	}
	return false
}

// Begin makes the session of a program within the caller's transaction, which decides whether the sign-in counts, and its first tokens.
func (t *Tokens) Begin(ctx context.Context, tx *db.Tx, userID string, m Meta) (Pair, Session, error) {
	m.Program = true
	s, err := t.cfg.Sessions.begin(ctx, tx, userID, m)
	if err != nil {
		return Pair{}, Session{}, err
	}
	session, err := uuid.Parse(s.ID)
	if err != nil {
		return Pair{}, Session{}, fmt.Errorf("making a session: %w", err)
	}
	seed := make([]byte, 16)
	if _, err := rand.Read(seed); err != nil {
		return Pair{}, Session{}, fmt.Errorf("making a refresh token: %w", err)
	}
	f := q.GetRefreshFamilyRow{SessionID: s.ID, Seed: hex.EncodeToString(seed), AccountID: userID, SessionCreatedAt: s.CreatedAt.UnixMilli()}
	refresh, now := t.derived(session, 1, f.Seed), t.now()
	expires, sessionEnds := t.ends(f, now)
	if err := q.New(tx).InsertRefreshFamily(ctx, q.InsertRefreshFamilyParams{
		SessionID: s.ID, Seed: f.Seed, TokenHash: stored(t.cfg.HashKeys()[0], refresh), Now: now.UnixMilli(), ExpiresAt: expires.UnixMilli(),
	}); err != nil {
		return Pair{}, Session{}, fmt.Errorf("storing a refresh token: %w", err)
	}
	if err := t.extend(ctx, tx, s.ID, now, sessionEnds); err != nil {
		return Pair{}, Session{}, err
	}
	s.ExpiresAt = sessionEnds.UTC()
	p, err := t.pair(f, refresh, expires, sessionEnds)
	return p, s, err
}

// ends says when a refresh token that is made now ends, and when its session does if the token is never used.
func (t *Tokens) ends(f q.GetRefreshFamilyRow, now time.Time) (token, session time.Time) {
	last := time.UnixMilli(f.SessionCreatedAt).Add(t.cfg.Sessions.cfg.MaxAge)
	token, session = now.Add(t.cfg.RefreshLife), now.Add(max(t.cfg.RefreshLife, t.cfg.AccessLife))
	if token.After(last) {
		token = last
	}
	if session.After(last) {
		session = last
	}
	return token, session
}

// extend moves a session's end.
func (t *Tokens) extend(ctx context.Context, tx *db.Tx, session string, now, end time.Time) error {
	if err := q.New(tx).ExtendSession(ctx, q.ExtendSessionParams{ID: session, Now: now.UnixMilli(), ExpiresAt: end.UnixMilli()}); err != nil {
		return fmt.Errorf("moving the session's end: %w", err)
	}
	return tx.Changed(ChangeKind, session)
}

// pair completes a refresh token with an access token.
func (t *Tokens) pair(f q.GetRefreshFamilyRow, refresh string, expires, sessionEnds time.Time) (p Pair, err error) {
	p = Pair{Refresh: refresh, RefreshExpires: expires.UTC(), SessionID: f.SessionID}
	p.Access, p.AccessExpires, err = t.access(f.AccountID, f.SessionID, sessionEnds)
	return p, err
}

// verdict is what a refresh token is worth.
type verdict uint8

const (
	unknownToken verdict = iota
	// currentToken is the newest one.
	currentToken
	// formerToken is the one before, used a moment ago: the answer may have been lost, or two threads of the program asked at once.
	formerToken
	// replayedToken is an older one: two parties have it.
	replayedToken
	expiredToken
)

// judge says what a token is worth against what is stored of its family.
func (t *Tokens) judge(f q.GetRefreshFamilyRow, r refreshToken, token string) verdict {
	generation := uint64(f.Generation)
	now := t.now()
	switch {
	case !t.genuine(f, r) || r.generation == 0 || r.generation > generation:
		return unknownToken
	case r.generation == generation && !t.hashed(token, f.TokenHash):
		return unknownToken
	case r.generation == generation && now.UnixMilli() >= f.ExpiresAt:
		return expiredToken
	case r.generation == generation:
		return currentToken
	case r.generation == generation-1 && t.hashed(token, f.FormerHash) && now.Before(time.UnixMilli(f.RotatedAt).Add(t.cfg.Grace)):
		return formerToken
	}
	return replayedToken
}

// genuine reports whether Sluice made a token, under any key that is accepted.
func (t *Tokens) genuine(f q.GetRefreshFamilyRow, r refreshToken) bool {
	for _, k := range t.cfg.RefreshKeys() {
		if proof := r.prove(k, f.Seed); hmac.Equal(proof[:], r.proof[:]) {
			return true
		}
	}
	return false
}

// Refresh gives a program its next pair of tokens. Its refresh token counts once: for Grace it returns the very same successor again, with a fresh access token; after that, whoever comes with it has a
// copy that somebody else has used, and the session ends. All that is not good is problem.Unauthenticated.
func (t *Tokens) Refresh(ctx context.Context, token string, from Meta) (p Pair, err error) {
	r, ok := parseRefresh(token)
	if !ok {
		return Pair{}, badRefresh()
	}
	store := t.cfg.Sessions.cfg.DB
	f, err := family(ctx, q.New(store.Read()), r)
	if err != nil {
		return Pair{}, err
	}
	v := t.judge(f, r, token)
	if v == currentToken || v == replayedToken {
		err = store.System(ctx, "refresh tokens", func(tx *db.Tx) error {
			// All who come with one token at the same time wait here for the first.
			if err := tx.Ordered(); err != nil {
				return err
			}
			if f, err = family(ctx, q.New(tx), r); err != nil {
				return err
			}
			switch v = t.judge(f, r, token); v {
			case currentToken:
				p, err = t.rotate(ctx, tx, f, r)
				return err
			case replayedToken:
				return t.endReplayed(ctx, tx, f, from)
			}
			return nil
		})
		if err != nil {
			return Pair{}, err
		}
	}
	return t.answer(f, r, v, p)
}

// family reads what is stored of a token's family.
func family(ctx context.Context, from *q.Queries, r refreshToken) (q.GetRefreshFamilyRow, error) {
	f, err := from.GetRefreshFamily(ctx, r.session.String())
	if problem.Is(db.Found(err, "gone"), problem.NotFound) {
		return f, endedRefresh()
	}
	if err != nil {
		return f, fmt.Errorf("reading a refresh token: %w", err)
	}
	return f, nil
}

// answer turns a verdict into what the program gets; p is the new pair if there is one.
func (t *Tokens) answer(f q.GetRefreshFamilyRow, r refreshToken, v verdict, p Pair) (Pair, error) {
	if _, active := t.cfg.Sessions.cfg.People.Principal(f.AccountID); !active {
		return Pair{}, endedRefresh()
	}
	switch v {
	case currentToken:
		return p, nil
	case formerToken:
		return t.successor(f, r)
	case replayedToken:
		return Pair{}, replayedRefresh()
	case expiredToken:
		return Pair{}, expiredRefresh()
	}
	return Pair{}, badRefresh()
}

// rotate makes the next generation the current one.
func (t *Tokens) rotate(ctx context.Context, tx *db.Tx, f q.GetRefreshFamilyRow, r refreshToken) (Pair, error) {
	refresh, now := t.derived(r.session, r.generation+1, f.Seed), t.now()
	expires, sessionEnds := t.ends(f, now)
	n, err := q.New(tx).RotateRefreshFamily(ctx, q.RotateRefreshFamilyParams{
		SessionID: f.SessionID, Generation: f.Generation, TokenHash: stored(t.cfg.HashKeys()[0], refresh), Now: now.UnixMilli(), ExpiresAt: expires.UnixMilli(),
	})
	if err != nil {
		return Pair{}, fmt.Errorf("rotating a refresh token: %w", err)
	}
	if n == 0 {
		return Pair{}, fmt.Errorf("rotating a refresh token: generation %d of session %s is not the current one any more", f.Generation, f.SessionID)
	}
	if err := t.extend(ctx, tx, f.SessionID, now, sessionEnds); err != nil {
		return Pair{}, err
	}
	return t.pair(f, refresh, expires, sessionEnds)
}

// successor makes the current token of a family once more. The key may have been replaced since it was made first.
func (t *Tokens) successor(f q.GetRefreshFamilyRow, r refreshToken) (Pair, error) {
	next := refreshToken{session: r.session, generation: uint64(f.Generation)}
	for _, k := range t.cfg.RefreshKeys() {
		next.proof = next.prove(k, f.Seed)
		if text := next.String(); t.hashed(text, f.TokenHash) {
			return t.pair(f, text, time.UnixMilli(f.ExpiresAt), time.UnixMilli(f.SessionExpiresAt))
		}
	}
	return Pair{}, badRefresh()
}

// endReplayed ends the session whose refresh token was used twice, and tells the person.
func (t *Tokens) endReplayed(ctx context.Context, tx *db.Tx, f q.GetRefreshFamilyRow, from Meta) error {
	s := t.cfg.Sessions
	account, err := q.New(tx).GetAccount(ctx, f.AccountID)
	if err != nil {
		return fmt.Errorf("reading the account: %w", err)
	}
	who := authz.SystemPrincipal("refresh tokens")
	who.IP = from.IP
	res := authz.Resource{Type: "Session", ID: f.SessionID, Owner: f.AccountID, Name: account.Username}
	if err := s.cfg.Gate.Record(ctx, tx, who, authz.SessionEnd, res, audit.Done, "a refresh token was used twice"); err != nil {
		return err
	}
	if err := t.warn(ctx, tx, account, from); err != nil {
		return err
	}
	return s.EndIn(ctx, tx, f.SessionID)
}

// warn mails the person. An outbox that takes no more must not keep the session alive.
func (t *Tokens) warn(ctx context.Context, tx *db.Tx, account q.GetAccountRow, from Meta) error {
	if t.cfg.Mail == nil || !t.cfg.Mail.Configured() || account.Email == "" {
		return nil
	}
	m := mail.TokenReplayed{Name: account.Name, At: t.now(), IP: from.IP, Program: clip(from.UserAgent, 100), AccountPage: t.cfg.AccountPage()}
	err := t.cfg.Mail.Put(ctx, tx, m, mail.Address{Email: account.Email})
	if problem.Is(err, problem.Unavailable) {
		t.cfg.Sessions.cfg.Log.Warn("somebody whose refresh token was used twice could not be told by mail", "account", account.ID, "error", err)
		return nil
	}
	return err
}

// Revoke ends the session of a refresh token, of whichever generation (RFC 7009). What is no token of ours is no error: it is not good any more.
func (t *Tokens) Revoke(ctx context.Context, token string, from Meta) error {
	r, ok := parseRefresh(token)
	if !ok {
		return nil
	}
	f, err := family(ctx, q.New(t.cfg.Sessions.cfg.DB.Read()), r)
	if problem.Is(err, problem.Unauthenticated) || err == nil && !t.genuine(f, r) {
		return nil
	}
	if err != nil {
		return err
	}
	who, _ := t.cfg.Sessions.cfg.People.Principal(f.AccountID)
	who.Kind, who.ID, who.SessionID, who.IP = authz.Person, f.AccountID, f.SessionID, from.IP
	err = t.cfg.Sessions.Revoke(ctx, who, f.SessionID)
	if problem.Is(err, problem.NotFound) {
		return nil
	}
	return err
}

const refreshRule = "refresh token"

func badRefresh() error {
	return problem.New(problem.Unauthenticated, "This refresh token is not valid.").WithRule(refreshRule).WithNext("Sign in again.")
}

func expiredRefresh() error {
	return problem.New(problem.Unauthenticated, "This refresh token has expired.").WithRule(refreshRule).WithNext("Sign in again.")
}

func endedRefresh() error {
	return problem.New(problem.Unauthenticated, "The session of this refresh token has ended.").WithRule(refreshRule).WithNext("Sign in again.")
}

func replayedRefresh() error {
	return problem.New(problem.Unauthenticated, "This refresh token was used before, so that somebody else may have a copy. Its session has been ended.").WithRule(refreshRule).
		WithNext("Sign in again, and keep only the newest refresh token.")
}
