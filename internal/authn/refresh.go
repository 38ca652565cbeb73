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
	// refreshStart begins every refresh token, so that scanners recognize one. It differs from the
	// prefix of API keys.
	refreshStart = "sluicert_"
	// refreshForm is the first byte of the payload: form, session, generation, MAC.
	refreshForm   = 1
	refreshBytes  = 1 + 16 + 8 + sha256.Size
	refreshDomain = "sluice refresh token v1\x00"
)

// refreshToken is a parsed refresh token: its session, its generation and its proof. Generations
// count from 1.
type refreshToken struct {
	session    uuid.UUID
	generation uint64
	proof      [sha256.Size]byte
}

// parseRefresh parses a refresh token. Nothing in it has been verified.
func parseRefresh(text string) (r refreshToken, ok bool) {
	if len(text) != len(refreshStart)+base64.RawURLEncoding.EncodedLen(refreshBytes) ||
		text[:len(refreshStart)] != refreshStart {
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

// prove derives the proof of a generation. Neither the key alone nor the database alone is enough
// to forge one.
func (r refreshToken) prove(k Key, seed string) (proof [sha256.Size]byte) {
	m := hmac.New(sha256.New, k.Value)
	m.Write([]byte(refreshDomain))
	m.Write(r.session[:])
	m.Write(binary.BigEndian.AppendUint64(nil, r.generation))
	m.Write([]byte(seed))
	m.Sum(proof[:0])
	return proof
}

// derived returns the token of a generation under the current key.
func (t *Tokens) derived(session uuid.UUID, generation uint64, seed string) string {
	r := refreshToken{session: session, generation: generation}
	r.proof = r.prove(t.cfg.RefreshKeys()[0], seed)
	return r.String()
}

// stored is the form of a refresh token in the database: its HMAC-SHA-256.
func stored(k Key, token string) string {
	m := hmac.New(sha256.New, k.Value)
	m.Write([]byte(token))
	return hex.EncodeToString(m.Sum(nil))
}

// hashed reports whether a token has a stored hash, under any accepted key.
func (t *Tokens) hashed(token, hash string) bool {
	for _, k := range t.cfg.HashKeys() {
		if hmac.Equal([]byte(stored(k, token)), []byte(hash)) {
			return true
		}
	}
	return false
}

// Begin creates the session of a program and its first tokens, within the caller's transaction,
// which decides whether the sign-in succeeds.
func (t *Tokens) Begin(ctx context.Context, tx *db.Tx, userID string, m Meta) (Pair, Session, error) {
	m.Program = true
	s, err := t.cfg.Sessions.begin(ctx, tx, userID, m)
	if err != nil {
		return Pair{}, Session{}, err
	}
	session, err := uuid.Parse(s.ID)
	if err != nil {
		return Pair{}, Session{}, fmt.Errorf("creating a session: %w", err)
	}
	seed := make([]byte, 16)
	if _, err := rand.Read(seed); err != nil {
		return Pair{}, Session{}, fmt.Errorf("creating a refresh token: %w", err)
	}
	f := q.GetRefreshFamilyRow{
		SessionID:        s.ID,
		Seed:             hex.EncodeToString(seed),
		AccountID:        userID,
		SessionCreatedAt: s.CreatedAt.UnixMilli(),
	}
	refresh, now := t.derived(session, 1, f.Seed), t.now()
	expires, sessionEnds := t.ends(f, now)
	if err := q.New(tx).InsertRefreshFamily(ctx, q.InsertRefreshFamilyParams{
		SessionID: s.ID, Seed: f.Seed, TokenHash: stored(t.cfg.HashKeys()[0],
			refresh), Now: now.UnixMilli(), ExpiresAt: expires.UnixMilli(),
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

// ends returns when a refresh token that is issued now expires, and when its session expires if the
// token is never used.
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

// extend moves a session's expiry.
func (t *Tokens) extend(ctx context.Context, tx *db.Tx, session string, now, end time.Time) error {
	if err := q.New(tx).ExtendSession(ctx,
		q.ExtendSessionParams{ID: session, Now: now.UnixMilli(), ExpiresAt: end.UnixMilli()}); err != nil {
		return fmt.Errorf("extending the session: %w", err)
	}
	return tx.Changed(ChangeKind, session)
}

// pair completes a refresh token with an access token.
func (t *Tokens) pair(f q.GetRefreshFamilyRow, refresh string, expires, sessionEnds time.Time) (p Pair, err error) {
	p = Pair{Refresh: refresh, RefreshExpires: expires.UTC(), SessionID: f.SessionID}
	p.Access, p.AccessExpires, err = t.access(f.AccountID, f.SessionID, sessionEnds)
	return p, err
}

// verdict is the result of judging a refresh token.
type verdict uint8

const (
	unknownToken verdict = iota
	// currentToken is the newest one.
	currentToken
	// formerToken is the previous one, used a moment ago. The answer may have been lost, or two
	// threads of the program asked at once.
	formerToken
	// replayedToken is an older one: two parties have it.
	replayedToken
	expiredToken
)

// judge compares a token with the stored state of its family.
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
	case r.generation == generation-1 && t.hashed(token, f.FormerHash) &&
		now.Before(time.UnixMilli(f.RotatedAt).Add(t.cfg.Grace)):
		return formerToken
	}
	return replayedToken
}

// genuine reports whether Sluice issued a token, under any accepted key.
func (t *Tokens) genuine(f q.GetRefreshFamilyRow, r refreshToken) bool {
	for _, k := range t.cfg.RefreshKeys() {
		if proof := r.prove(k, f.Seed); hmac.Equal(proof[:], r.proof[:]) {
			return true
		}
	}
	return false
}

// Refresh gives a program its next pair of tokens. A refresh token works once. Within Grace it
// returns the very same successor again, with a fresh access token. After that, its holder must
// have a copy that another party has used, and the session is revoked. Every invalid token is
// problem.Unauthenticated.
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
			// Concurrent requests with the same token wait here for the first.
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

// family reads the stored state of a token's family.
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

// answer turns a verdict into the program's result. p is the new pair if the verdict is
// currentToken.
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
		SessionID: f.SessionID, Generation: f.Generation, TokenHash: stored(t.cfg.HashKeys()[0],
			refresh), Now: now.UnixMilli(), ExpiresAt: expires.UnixMilli(),
	})
	if err != nil {
		return Pair{}, fmt.Errorf("rotating a refresh token: %w", err)
	}
	if n == 0 {
		return Pair{}, fmt.Errorf(
			"rotating a refresh token: generation %d of session %s is not the current one any more",
			f.Generation,
			f.SessionID,
		)
	}
	if err := t.extend(ctx, tx, f.SessionID, now, sessionEnds); err != nil {
		return Pair{}, err
	}
	return t.pair(f, refresh, expires, sessionEnds)
}

// successor returns the current token of a family again. The key may have been replaced since the
// token was first issued.
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

// endReplayed revokes the session whose refresh token was used twice, and notifies the person.
func (t *Tokens) endReplayed(ctx context.Context, tx *db.Tx, f q.GetRefreshFamilyRow, from Meta) error {
	s := t.cfg.Sessions
	account, err := q.New(tx).GetAccount(ctx, f.AccountID)
	if err != nil {
		return fmt.Errorf("reading the account: %w", err)
	}
	who := authz.SystemPrincipal("refresh tokens")
	who.IP = from.IP
	res := authz.Resource{Type: "Session", ID: f.SessionID, Owner: f.AccountID, Name: account.Username}
	if err := s.cfg.Gate.Record(ctx, tx, who, authz.SessionEnd, res, audit.Done,
		"a refresh token was used twice"); err != nil {
		return err
	}
	if err := t.warn(ctx, tx, account, from); err != nil {
		return err
	}
	return s.EndIn(ctx, tx, f.SessionID)
}

// warn notifies the person by email. A full outbox must not keep the session alive.
func (t *Tokens) warn(ctx context.Context, tx *db.Tx, account q.GetAccountRow, from Meta) error {
	if t.cfg.Mail == nil || !t.cfg.Mail.Configured() || account.Email == "" {
		return nil
	}
	m := mail.TokenReplayed{
		Name:        account.Name,
		At:          t.now(),
		IP:          from.IP,
		Program:     clip(from.UserAgent, 100),
		AccountPage: t.cfg.AccountPage(),
	}
	err := t.cfg.Mail.Put(ctx, tx, m, mail.Address{Email: account.Email})
	if problem.Is(err, problem.Unavailable) {
		t.cfg.Sessions.cfg.Log.Warn(
			"no mail could be sent to a person whose refresh token was used twice",
			"account",
			account.ID,
			"error",
			err,
		)
		return nil
	}
	return err
}

// Revoke revokes the session of a refresh token of any generation (RFC 7009). A text that is not a
// Sluice token is not an error: it does not work anyway.
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
	return problem.New(problem.Unauthenticated, "This refresh token is not valid.").
		WithRule(refreshRule).
		WithNext("Sign in again.")
}

func expiredRefresh() error {
	return problem.New(problem.Unauthenticated, "This refresh token has expired.").
		WithRule(refreshRule).
		WithNext("Sign in again.")
}

func endedRefresh() error {
	return problem.New(problem.Unauthenticated, "The session of this refresh token has ended.").
		WithRule(refreshRule).
		WithNext("Sign in again.")
}

func replayedRefresh() error {
	return problem.New(problem.Unauthenticated, "This refresh token was used before, so someone else may have a "+
		"copy. Its session has been revoked.").
		WithRule(refreshRule).
		WithNext("Sign in again, and keep only the newest refresh token.")
}
