package authn

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// Principal is who acts in a request; see package authz.
type Principal = authz.Principal

const (
	// AudienceMain is the audience of cookies for Sluice's own pages. Apps have their id instead.
	AudienceMain = "main"
	// ChangeKind is the kind of changes of sessions; the item is the session's id.
	ChangeKind = "session"
	// MethodAutomatic is the sign-in method of a person who did not have to prove anything.
	MethodAutomatic = "automatic"
	// everySession is the item of a change that concerns all sessions.
	everySession = "*"
	// touchStep is how old a stored last-seen time may be before it is written again.
	touchStep = time.Minute
)

// Session is one signed-in browser, or a program that has signed in for tokens.
type Session struct {
	// ID is a UUID and not secret: it does not grant access.
	ID, UserID string
	// IP, UserAgent and Method describe the sign-in. Methods are "password", "setup link",
	// "password (API)" and others.
	IP, UserAgent, Method string
	// CreatedAt, SeenAt (to the minute) and ExpiresAt (absolute) are UTC.
	CreatedAt, SeenAt, ExpiresAt time.Time
	// Strong reports whether more than one factor was proven. ProvenAt is when the person last
	// proved their identity, in UTC.
	Strong   bool
	ProvenAt time.Time
	// Program reports whether the session belongs to a program, which has no cookie but access and
	// refresh tokens.
	Program bool
	// Current marks the session of the person who asks.
	Current bool
}

// Meta is what a session records about its sign-in.
type Meta struct {
	IP, UserAgent, Method string
	// Strong reports whether more than one factor was proven.
	Strong bool
	// Program reports whether a program signs in, for tokens instead of a cookie. Workspace is
	// where it works from the beginning; "" lets Sluice choose. The caller has made sure that the
	// person belongs to it.
	Program   bool
	Workspace string
}

// Config configures Sessions.
type Config struct {
	DB     *db.DB
	Gate   *authz.Gate
	People *identity.People
	// SessionKeys key the hashes under which session cookies are stored, HashKeys those of links
	// and codes (EXPRESS_SESSION_SECRET, TOKEN_HASH_SECRET). New values are hashed under the first
	// key and looked up under each. The keys are read again at each change of secrets. If these are
	// nil, TokenKey keys both and never changes.
	SessionKeys, HashKeys func() []Key
	TokenKey              []byte
	// MaxAge is a session's absolute lifetime, MaxIdle how long it can go unused.
	MaxAge, MaxIdle time.Duration
	// Now is the clock.
	Now func() time.Time
	// Log gets failures of background work.
	Log *slog.Logger
}

// Sessions manages sign-in sessions and single-use links.
type Sessions struct {
	cfg     Config
	cookies *hashers
	links   *hashers
	table   *table

	mu    sync.Mutex
	ends  endings
	dirty map[uuid.UUID]int64 // last-seen times to write
}

// New loads all live sessions and follows changes. Run its Maintain regularly.
func New(ctx context.Context, c Config) (*Sessions, error) {
	s := &Sessions{
		cfg:     c,
		cookies: newHashers(c.SessionKeys, c.TokenKey),
		links:   newHashers(c.HashKeys, c.TokenKey),
		table:   newTable(),
		ends:    endings{},
		dirty:   map[uuid.UUID]int64{},
	}
	c.DB.Subscribe(ChangeKind, func(id string) {
		if id == everySession {
			s.dropGone()
			return
		}
		if err := s.reload(context.Background(), id); err != nil {
			c.Log.Error("a session could not be read again and is closed", "session", id, "error", err)
			s.drop(id)
		}
	})
	c.DB.Subscribe(identity.ChangeKind, s.accountChanged)
	c.DB.Subscribe(secret.ChangeKind, func(string) {
		s.cookies.refresh()
		s.links.refresh()
	})
	if err := s.loadAll(ctx); err != nil {
		return nil, fmt.Errorf("loading sessions: %w", err)
	}
	return s, nil
}

func (s *Sessions) loadAll(ctx context.Context) error {
	rows, err := q.New(s.cfg.DB.Read()).LiveSessions(ctx, s.cfg.Now().UnixMilli())
	if err != nil {
		return err
	}
	cookies, err := q.New(s.cfg.DB.Read()).AllCookies(ctx)
	if err != nil {
		return err
	}
	bySession := make(map[string]map[digest]string, len(rows))
	for _, c := range cookies {
		if d, ok := parseDigest(c.TokenHash); ok {
			if bySession[c.SessionID] == nil {
				bySession[c.SessionID] = map[digest]string{}
			}
			bySession[c.SessionID][d] = c.Audience
		}
	}
	for _, r := range rows {
		if id, err := uuid.Parse(r.ID); err == nil {
			s.table.put(stateOf(id, r), bySession[r.ID])
		}
	}
	return nil
}

func (s *Sessions) reload(ctx context.Context, id string) error {
	key, err := uuid.Parse(id)
	if err != nil {
		return nil
	}
	row, err := q.New(s.cfg.DB.Read()).GetSession(ctx, id)
	if err := db.Found(err, "gone"); problem.Is(err, problem.NotFound) {
		s.drop(id)
		return nil
	}
	if err != nil {
		return err
	}
	list, err := q.New(s.cfg.DB.Read()).CookiesOfSession(ctx, id)
	if err != nil {
		return err
	}
	cookies := map[digest]string{}
	for _, c := range list {
		if d, ok := parseDigest(c.TokenHash); ok {
			cookies[d] = c.Audience
		}
	}
	s.table.put(stateOf(key, row), cookies)
	return nil
}

// dropGone forgets sessions that are no longer stored.
func (s *Sessions) dropGone() {
	stored := map[string]bool{}
	rows, err := q.New(s.cfg.DB.Read()).LiveSessions(context.Background(), s.cfg.Now().UnixMilli())
	if err != nil {
		s.cfg.Log.Error("the sessions could not be read again; all are closed", "error", err)
	}
	for _, r := range rows {
		stored[r.ID] = true
	}
	for _, id := range s.table.all() {
		if !stored[id.String()] {
			s.drop(id.String())
		}
	}
}

// accountChanged closes the sessions of a person who may no longer sign in. Their rows were deleted
// with the change itself.
func (s *Sessions) accountChanged(account string) {
	if _, active := s.cfg.People.Principal(account); active {
		return
	}
	for _, id := range s.table.of(account) {
		s.drop(id.String())
	}
}

func (s *Sessions) drop(id string) {
	key, err := uuid.Parse(id)
	if err != nil {
		return
	}
	s.table.remove(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dirty, key)
	s.ends.end(key)
}

// Lookup finds the person of a cookie, from memory. ok is false for an unknown token, for one whose
// session is over, for one of another audience, and for people who may not sign in.
func (s *Sessions) Lookup(token, audience string) (p Principal, ok bool) {
	for _, under := range s.cookies.all() {
		d, formed := under.digest(token)
		if !formed {
			return Principal{}, false
		}
		if h, found := s.table.find(d); found {
			if h.audience != audience {
				return Principal{}, false
			}
			return s.principal(h)
		}
	}
	return Principal{}, false
}

// byID finds the person of a session, as Lookup does by a cookie.
func (s *Sessions) byID(id uuid.UUID) (p Principal, ok bool) {
	h, ok := s.table.session(id)
	if !ok {
		return Principal{}, false
	}
	return s.principal(h)
}

// principal returns the person of a session, unless the session is over or they may not sign in.
func (s *Sessions) principal(h hit) (p Principal, ok bool) {
	now := s.cfg.Now().UnixMilli()
	if h.over(now, s.cfg.MaxIdle.Milliseconds()) {
		return Principal{}, false
	}
	p, ok = s.cfg.People.Principal(h.account)
	if !ok {
		return Principal{}, false
	}
	if now-h.seen >= touchStep.Milliseconds() && s.table.touch(h.session, h.seen, now) {
		s.mu.Lock()
		s.dirty[h.session] = now
		s.mu.Unlock()
	}
	p.SessionID, p.Strong, p.ProvenAt, p.Automatic = h.session.String(), h.strong, time.UnixMilli(h.proven), h.automatic
	p.Workspace = s.workspaceOf(p, h.workspace)
	return p, true
}

// workspaceOf is the workspace that a person works in: the chosen one while they belong to it, else
// the default one, else their first. A further membership must not move anyone.
func (s *Sessions) workspaceOf(p Principal, chosen string) string {
	if chosen != "" && worksIn(s.cfg.People, p, chosen) {
		return chosen
	}
	if worksIn(s.cfg.People, p, identity.DefaultWorkspace) {
		return identity.DefaultWorkspace
	}
	if len(p.Memberships) > 0 {
		return p.Memberships[0].Workspace
	}
	return ""
}

// MayWorkIn reports whether a person may work in a workspace. Everyone may in "", which lets Sluice
// choose.
func (s *Sessions) MayWorkIn(userID, workspaceID string) bool {
	p, _ := s.cfg.People.Principal(userID)
	return workspaceID == "" || worksIn(s.cfg.People, p, workspaceID)
}

// Done returns a channel that closes when the session is over: it is revoked or expired, or its
// person is deactivated. The channel of an unknown session is closed already.
func (s *Sessions) Done(sessionID string) <-chan struct{} {
	key, err := uuid.Parse(sessionID)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends.of(key, func() bool {
		s.table.mu.RLock()
		defer s.table.mu.RUnlock()
		_, live := s.table.index[key]
		return err == nil && live
	})
}

// Begin creates a browser session within the caller's transaction, which decides whether the
// sign-in succeeds. The token goes into a cookie and nowhere else.
func (s *Sessions) Begin(ctx context.Context, tx *db.Tx, userID string, m Meta) (token string, out Session, err error) {
	if out, err = s.begin(ctx, tx, userID, m); err != nil {
		return "", Session{}, err
	}
	token, err = s.addCookie(ctx, tx, out.ID, AudienceMain)
	return token, out, err
}

// begin creates a session that has no cookie or token yet.
func (s *Sessions) begin(ctx context.Context, tx *db.Tx, userID string, m Meta) (Session, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return Session{}, fmt.Errorf("creating a session: %w", err)
	}
	now := s.cfg.Now()
	proven := now.UnixMilli()
	if m.Method == MethodAutomatic {
		proven = 0
	}
	out := Session{
		ID:        id.String(),
		UserID:    userID,
		IP:        m.IP,
		UserAgent: clip(m.UserAgent, 300),
		Method:    m.Method,
		CreatedAt: now.UTC(),
		SeenAt:    now.UTC(),
		ExpiresAt: now.Add(s.cfg.MaxAge).UTC(),
		Strong:    m.Strong,
		ProvenAt:  time.UnixMilli(proven).UTC(),
		Program:   m.Program,
	}
	if err := q.New(tx).InsertSession(ctx, q.InsertSessionParams{
		ID:          out.ID,
		AccountID:   userID,
		Method:      out.Method,
		Ip:          out.IP,
		UserAgent:   out.UserAgent,
		CreatedAt:   now.UnixMilli(),
		ExpiresAt:   out.ExpiresAt.UnixMilli(),
		Strong:      m.Strong,
		WorkspaceID: m.Workspace,
		Program:     m.Program,
		ProvenAt:    proven,
	}); err != nil {
		return Session{}, fmt.Errorf("storing the session: %w", err)
	}
	return out, nil
}

// Start creates a session in a transaction of its own.
func (s *Sessions) Start(ctx context.Context, userID string, m Meta) (token string, out Session, err error) {
	err = s.cfg.DB.System(ctx, "sessions", func(tx *db.Tx) error {
		token, out, err = s.Begin(ctx, tx, userID, m)
		return err
	})
	return token, out, err
}

// IssueFor creates another cookie of a session, for an app's own origin. It replaces the previous
// cookie of this audience.
func (s *Sessions) IssueFor(ctx context.Context, sessionID, audience string) (token string, err error) {
	err = s.cfg.DB.System(ctx, "session cookies", func(tx *db.Tx) error {
		token, err = s.issueIn(ctx, tx, sessionID, audience)
		return err
	})
	return token, err
}

func (s *Sessions) issueIn(ctx context.Context, tx *db.Tx, sessionID, audience string) (string, error) {
	if _, err := q.New(tx).GetSession(ctx, sessionID); err != nil {
		if err := db.Found(err, "gone"); problem.Is(err, problem.NotFound) {
			return "", problem.New(problem.Unauthenticated, "The session is signed out.").WithNext("Sign in again.")
		}
		return "", fmt.Errorf("reading the session: %w", err)
	}
	if err := q.New(tx).DeleteSessionCookies(ctx, q.DeleteSessionCookiesParams{
		SessionID: sessionID,
		Audience:  audience,
	}); err != nil {
		return "", fmt.Errorf("replacing the cookie: %w", err)
	}
	return s.addCookie(ctx, tx, sessionID, audience)
}

func (s *Sessions) addCookie(ctx context.Context, tx *db.Tx, sessionID, audience string) (string, error) {
	token, d, err := s.cookies.make()
	if err != nil {
		return "", fmt.Errorf("creating a token: %w", err)
	}
	if err := q.New(tx).InsertSessionCookie(ctx, q.InsertSessionCookieParams{
		TokenHash: d.hex(), SessionID: sessionID, Audience: audience, CreatedAt: s.cfg.Now().UnixMilli(),
	}); err != nil {
		return "", fmt.Errorf("storing the cookie: %w", err)
	}
	return token, tx.Changed(ChangeKind, sessionID)
}

func parseDigest(text string) (d digest, ok bool) {
	n, err := hex.Decode(d[:], []byte(text))
	return d, err == nil && n == len(d)
}

// clip cuts text to at most n bytes, between two characters, and drops invalid UTF-8.
func clip(text string, n int) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) <= n {
		return text
	}
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// SetCookie gives the browser a session cookie: host-only, HttpOnly, SameSite=Lax, for the whole
// origin, for the absolute lifetime of a session.
func (s *Sessions) SetCookie(w http.ResponseWriter, token string, secure bool) {
	http.SetCookie(w, &http.Cookie{
		Name:     CookieName(secure),
		Value:    token,
		Path:     "/",
		HttpOnly: true,
		Secure:   secure,
		SameSite: http.SameSiteLaxMode,
		MaxAge:   int(s.cfg.MaxAge / time.Second),
	})
}

// ClearCookie removes the session cookie.
func (s *Sessions) ClearCookie(w http.ResponseWriter, secure bool) {
	http.SetCookie(w, &http.Cookie{
		Name:     CookieName(secure),
		Path:     "/",
		HttpOnly: true,
		Secure:   secure,
		SameSite: http.SameSiteLaxMode,
		MaxAge:   -1,
	})
}

// Authenticate turns a request into a Principal by its session cookie. A request without one, or
// whose session is over, belongs to a stranger: the zero Principal and no error. Two cookies or
// garbage are problem.Unauthenticated. secure means that the origin is https and only the __Host-
// name is accepted.
func (s *Sessions) Authenticate(r *http.Request, audience string, secure bool) (p Principal, err error) {
	token, err := sessionCookie(r, CookieName(secure))
	if err != nil || token == "" {
		return Principal{}, err
	}
	p, _ = s.Lookup(token, audience)
	return p, nil
}
