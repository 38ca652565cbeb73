package langflow

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// superuser is a signed-in superuser.
type superuser struct {
	user    upstreamUser
	session *session
	// signedIn is when it signed in with its password.
	signedIn time.Time
}

// rootOf is a session of the superuser. In signed mode one sign-in is enough for the bridge's life:
// from then on the id is known.
func (b *bridge) rootOf(ctx context.Context) (*superuser, error) {
	root := b.root.Load()
	if root != nil && b.cfg.Now().Before(root.session.dead) {
		return root, nil
	}
	err := b.rooting.do(ctx, b, func(ctx context.Context) error {
		if b.root.Load() != root {
			return nil
		}
		fresh := b.signRoot(ctx, root)
		if fresh == nil {
			var err error
			if fresh, err = b.signInRoot(ctx); err != nil {
				return err
			}
		}
		b.root.Store(fresh)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if root = b.root.Load(); root == nil {
		return nil, problem.New(problem.Unavailable, "Langflow does not accept its superuser's session at the moment.").
			WithRetryAfter(time.Second)
	}
	return root, nil
}

// signRoot signs a token for a superuser whose id is known; nil if Langflow does not take it.
func (b *bridge) signRoot(ctx context.Context, former *superuser) *superuser {
	if former == nil || b.cfg.Access.SecretKey == "" {
		return nil
	}
	s := b.mint(former.user.ID)
	if r, err := b.whoami(ctx, s.header()); err != nil || r.Status != http.StatusOK || !r.JSON {
		return nil
	}
	return &superuser{user: former.user, session: s, signedIn: former.signedIn}
}

func (b *bridge) signInRoot(ctx context.Context) (*superuser, error) {
	if b.cfg.Access.Superuser == "" || b.cfg.Access.Password == "" {
		return nil, problem.New(problem.Conflict, "Sluice needs a superuser of Langflow to make accounts there.").
			WithField("superuser").
			WithNext("Give LANGFLOW_SUPERUSER and LANGFLOW_SUPERUSER_PASSWORD, or enter them on the app's page.")
	}
	s, err := b.signIn(ctx, b.cfg.Access.Superuser, b.cfg.Access.Password)
	if problem.Is(err, problem.Unauthenticated) {
		return nil, problem.New(problem.Unauthenticated, "Langflow did not accept the superuser's name and password.").
			WithField("superuser_password").
			WithNext("Enter those that open this Langflow when you use it directly. LANGFLOW_SUPERUSER_PASSWORD counts in Langflow only when the account is made at its first start.").
			WithCause(err)
	}
	if err != nil {
		return nil, err
	}
	r, err := b.whoami(ctx, s.header())
	if err != nil {
		return nil, err
	}
	var u upstreamUser
	switch {
	case r.Status != http.StatusOK || !r.decode(&u) || !profile.IsUUID(u.ID):
		return nil, r.trouble("asking who the superuser is")
	case !u.Superuser:
		return nil, problem.Newf(problem.Unauthenticated, "%s is no superuser in Langflow.", builder.Clip(b.cfg.Access.Superuser, 40)).
			WithField("superuser").
			WithNext("Enter a superuser of Langflow, who may make users.")
	}
	return &superuser{user: u, session: s, signedIn: b.cfg.Now()}, nil
}

// tokenAssumed is how long Langflow's tokens are good where they do not tell; it is Langflow's own
// default.
const tokenAssumed = time.Hour

// signIn signs a user in with a password. Langflow counts sign-ins by address, so that one goes
// after the other, and a refusal for the number is waited out. Errors: problem.Unauthenticated.
func (b *bridge) signIn(ctx context.Context, username, password string) (*session, error) {
	b.signIns.Lock()
	defer b.signIns.Unlock()
	for try := 0; ; try++ {
		if err := b.pauseSignIn(ctx); err != nil {
			return nil, err
		}
		r, err := call{
			method: http.MethodPost, path: "/api/v1/login", form: url.Values{"username": {username}, "password": {password}},
		}.do(ctx, b.client, b.cfg.Now)
		if err != nil {
			return nil, err
		}
		switch r.Status {
		case http.StatusOK:
			return b.signedIn(r)
		case http.StatusBadRequest, http.StatusUnauthorized:
			if !r.JSON {
				return nil, r.trouble("signing in")
			}
			return nil, problem.Newf(
				problem.Unauthenticated,
				"Langflow did not sign %q in: %s.",
				builder.Clip(username, 60),
				builder.Clip(r.detail(), 80),
			)
		case http.StatusTooManyRequests:
			b.waitFor.Store(b.cfg.Now().Add(r.retryAfter()).UnixNano())
			b.cfg.Log.Warn(
				"Langflow lets only a few sign-ins a minute pass; Sluice waits",
				"host",
				b.cfg.Base.Host,
				"wait",
				r.retryAfter().String(),
			)
			if try == 0 {
				continue
			}
		}
		return nil, r.trouble("signing in")
	}
}

// signInPause is how long Langflow takes no sign-in; 0 or less if it takes one now.
func (b *bridge) signInPause() time.Duration {
	return time.Unix(0, b.waitFor.Load()).Sub(b.cfg.Now())
}

// limited is what people are told while Langflow takes no sign-in.
func limited(pause time.Duration) *problem.Error {
	return problem.New(problem.Limited, "Langflow lets only a few sign-ins a minute pass, and there were more.").
		WithRetryAfter(pause).
		WithNext("Wait a minute. LANGFLOW_RATE_LIMIT_PER_MINUTE at Langflow raises the limit.")
}

// pauseSignIn waits until Langflow takes the next sign-in.
func (b *bridge) pauseSignIn(ctx context.Context) error {
	pause := b.signInPause()
	if pause <= 0 {
		return nil
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) < pause {
		return limited(pause)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return limited(pause).WithCause(ctx.Err())
	}
}

// signedIn reads the answer to a sign-in or a refresh.
func (b *bridge) signedIn(r *reply) (*session, error) {
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if !r.decode(&tokens) || !jwtPlain(tokens.Access) {
		return nil, r.trouble("signing in")
	}
	now := b.cfg.Now()
	life := tokenAssumed
	if expires, ok := builder.TokenExpiry(tokens.Access); ok {
		if told := expires.Sub(now) - r.behind; told >= tokenReserve && told < 2*24*time.Hour {
			life = told
		}
	}
	s := nativeSession(tokens.Access, now, life)
	if jwtPlain(tokens.Refresh) {
		s.refresh = tokens.Refresh
	}
	return s, nil
}

// jwtPlain reports whether a text can stand in a header as a token: base64url parts and dots.
func jwtPlain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '=':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 8<<10
}

// renewSignIn refreshes a session, or signs the account in. An account whose password Sluice does
// not have, such as an adopted one, gets a random one by the superuser: its former password opens
// it in Langflow no more. The superuser that Sluice itself signs in keeps its password.
func (b *bridge) renewSignIn(ctx context.Context, e *entry, stale *session) (*session, error) {
	if stale != nil && stale.refresh != "" {
		r, err := call{
			method: http.MethodPost, path: "/api/v1/refresh", header: http.Header{"Cookie": {"refresh_token_lf=" + stale.refresh}},
		}.do(ctx, b.client, b.cfg.Now)
		if err != nil {
			return nil, err
		}
		if s, err := b.signedIn(r); r.Status == http.StatusOK && err == nil && b.opens(ctx, s, e.ID) {
			return s, nil
		}
	}
	if e.Username == b.cfg.Access.Superuser && e.Adopted {
		root, err := b.rootOf(ctx)
		if err != nil || root.user.ID == e.ID {
			return sessionOfRoot(root), err
		}
	}
	if e.Password != "" {
		s, err := b.signIn(ctx, e.Username, e.Password)
		if !problem.Is(err, problem.Unauthenticated) {
			return s, err
		}
	}
	root, err := b.rootOf(ctx)
	if err != nil {
		return nil, err
	}
	u, err := b.findUser(ctx, root, func(u upstreamUser) bool { return u.ID == e.ID })
	if problem.Is(err, problem.NotFound) {
		return nil, b.lost(ctx, e)
	}
	if err != nil {
		return nil, err
	}
	a := e.Account
	a.Username, a.Password = u.Username, newPassword()
	if _, err := b.patchUser(ctx, root, a.ID, map[string]any{"password": a.Password, "is_active": true}); err != nil {
		return nil, err
	}
	if a, err = b.keep(ctx, a, ""); err != nil {
		return nil, err
	}
	return b.signIn(ctx, a.Username, a.Password)
}

func sessionOfRoot(root *superuser) *session {
	if root == nil {
		return nil
	}
	return root.session
}

// opens reports whether a session is of an account.
func (b *bridge) opens(ctx context.Context, s *session, id string) bool {
	r, err := b.whoami(ctx, s.header())
	if err != nil {
		return problem.Is(err, problem.Timeout)
	}
	var u upstreamUser
	return r.Status == http.StatusOK && r.decode(&u) && u.ID == id
}

// newPassword makes a password of more than 128 random bits.
func newPassword() string { return rand.Text() + "-aA1" }

// askRoot makes a call as the superuser. A session that Langflow does not accept any more is
// replaced once.
func (b *bridge) askRoot(ctx context.Context, root *superuser, c call) (*reply, error) {
	for try := 0; ; try++ {
		c.header = root.session.header()
		r, err := c.do(ctx, b.client, b.cfg.Now)
		if err != nil || r.Status != http.StatusUnauthorized || try > 0 {
			return r, err
		}
		b.root.CompareAndSwap(root, nil)
		if root, err = b.rootOf(ctx); err != nil {
			return nil, err
		}
	}
}

// createUser makes a Langflow user with a random password and switches it on; made is false where
// one of this name was there. The name is one that only Sluice gives, so that such a user is what
// an interrupted attempt or another node has made.
func (b *bridge) createUser(ctx context.Context, root *superuser, a *builder.Account) (made bool, err error) {
	a.Password = newPassword()
	r, err := b.askRoot(
		ctx,
		root,
		call{
			method: http.MethodPost,
			path:   "/api/v1/users/",
			json:   map[string]string{"username": a.Username, "password": a.Password},
		},
	)
	if err != nil {
		return false, err
	}
	change := map[string]any{"is_active": true}
	var u upstreamUser
	switch {
	case r.Status == http.StatusCreated && r.decode(&u) && profile.IsUUID(u.ID):
		made = true
	case r.Status == http.StatusBadRequest && r.JSON:
		name := a.Username
		if u, err = b.findUser(ctx, root, func(u upstreamUser) bool { return u.Username == name }); problem.Is(
			err,
			problem.NotFound,
		) {
			return false, r.trouble("making an account")
		}
		if err != nil {
			return false, err
		}
		change["password"] = a.Password
	default:
		return false, r.trouble("making an account")
	}
	a.ID = u.ID
	u, err = b.patchUser(ctx, root, a.ID, change)
	if err == nil && !u.Active {
		err = problem.Newf(problem.Conflict, "Langflow does not switch the account %q on.", a.Username).
			WithNext("See Langflow's own log.")
	}
	return made, err
}

// patchUser changes a user. Errors: problem.NotFound, also where Langflow up to 1.6 sends its page
// for what it does not find.
func (b *bridge) patchUser(
	ctx context.Context,
	root *superuser,
	id string,
	change map[string]any,
) (upstreamUser, error) {
	r, err := b.askRoot(ctx, root, call{method: http.MethodPatch, path: "/api/v1/users/" + id, json: change})
	var u upstreamUser
	switch {
	case err != nil:
		return u, err
	case r.Status == http.StatusOK && r.decode(&u) && u.ID == id:
		return u, nil
	case r.Status == http.StatusNotFound || r.page():
		return u, problem.New(problem.NotFound, "There is no such user in Langflow.")
	}
	return u, r.trouble("changing an account")
}

// deleteUser takes back a user that is not needed. A failure leaves an account behind that nobody
// has the password of.
func (b *bridge) deleteUser(ctx context.Context, root *superuser, id string) {
	r, err := b.askRoot(ctx, root, call{method: http.MethodDelete, path: "/api/v1/users/" + id})
	if err != nil || r.Status >= 300 {
		b.cfg.Log.Warn("an account that is not needed stays in Langflow", "id", id)
	}
}

// userPage is how many users are read at a time, and maxUsers how many in all.
const (
	userPage = 100
	maxUsers = 5000
)

// eachUser visits Langflow's users until visit returns false.
func (b *bridge) eachUser(ctx context.Context, root *superuser, visit func(upstreamUser) bool) error {
	seen := map[string]bool{}
	for skip := 0; skip < maxUsers; skip += userPage {
		query := url.Values{"skip": {strconv.Itoa(skip)}, "limit": {strconv.Itoa(userPage)}}
		r, err := b.askRoot(ctx, root, call{method: http.MethodGet, path: "/api/v1/users/", query: query.Encode()})
		if err != nil {
			return err
		}
		var page struct {
			Total int            `json:"total_count"`
			Users []upstreamUser `json:"users"`
		}
		if r.Status != http.StatusOK || !r.decode(&page) {
			return r.trouble("listing the users")
		}
		for _, u := range page.Users {
			if !profile.IsUUID(u.ID) || seen[u.ID] {
				continue
			}
			if seen[u.ID] = true; !visit(u) {
				return nil
			}
		}
		if len(page.Users) < userPage || skip+len(page.Users) >= page.Total {
			return nil
		}
	}
	return nil
}

// findUser finds one user. Errors: problem.NotFound.
func (b *bridge) findUser(
	ctx context.Context,
	root *superuser,
	is func(upstreamUser) bool,
) (found upstreamUser, err error) {
	err = b.eachUser(ctx, root, func(u upstreamUser) bool {
		if is(u) {
			found = u
			return false
		}
		return true
	})
	if err == nil && found.ID == "" {
		err = problem.New(problem.NotFound, "There is no such user in Langflow.")
	}
	return found, err
}
