package langflow

import (
	"context"
	"net/http"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
)

// session opens an account. It is immutable; the headers of many requests share its slices.
type session struct {
	// bearer and cookie carry one of Langflow's own tokens, assertion one of Sluice's.
	bearer, cookie, assertion []string
	token                     string
	// refresh gets the next token after a sign-in; empty for tokens that Sluice signs.
	refresh string
	// made is when the session was created, due when it is renewed, dead when it is no longer used.
	made, due, dead time.Time
}

// sentIn reports whether headers carry this session.
func (s *session) sentIn(h http.Header) bool {
	if sent := h[builder.HeaderAssertion]; len(sent) == 1 {
		return s.assertion != nil && sent[0] == s.token
	}
	sent := h["Authorization"]
	return len(sent) == 1 && s.bearer != nil && sent[0] == s.bearer[0]
}

// attach adds the session to the headers of a request.
func (s *session) attach(h http.Header) {
	if s.assertion != nil {
		h[builder.HeaderAssertion] = s.assertion
		return
	}
	h["Authorization"], h["Cookie"] = s.bearer, s.cookie
}

// header returns new headers with the session.
func (s *session) header() http.Header {
	h := http.Header{}
	s.attach(h)
	return h
}

// sessions opens accounts: it gets each a session in one of the three modes, and renews it.
type sessions struct {
	cfg      *builder.BridgeConfig
	wire     *wire
	signIns  *signIns
	admin    *admin
	accounts *accounts
	work     *worker
}

// of is a usable session of an account: immediately while it is fresh, otherwise after a renewal.
func (ss *sessions) of(ctx context.Context, e *entry) (*session, error) {
	if s := e.session.Load(); s != nil && ss.cfg.Now().Before(s.due) {
		return s, nil
	}
	return ss.renewed(ctx, e, e.session.Load())
}

func (ss *sessions) renewed(ctx context.Context, e *entry, stale *session) (*session, error) {
	renew := func(ctx context.Context) error { return ss.renew(ctx, e, stale) }
	if stale != nil && ss.cfg.Now().Before(stale.dead) {
		// While the old session is still valid, a failed renewal has no effect; it is retried after
		// the pause.
		_, _ = e.signing.start(ss.work, renew)
		return stale, nil
	}
	if err := e.signing.do(ctx, ss.work, renew); err != nil {
		return nil, err
	}
	if s := e.session.Load(); s != nil {
		return s, nil
	}
	return nil, problem.New(problem.Unavailable, "Sluice currently has no session with Langflow.").
		WithRetryAfter(time.Second)
}

// unavailable is the error that people see while Sluice cannot get a session. If the builder
// refuses Sluice's own credentials, that must not look like a refusal of the person.
func unavailable(err error) error {
	p := problem.Of(err)
	switch p.Kind {
	case problem.Internal, problem.NotFound, problem.Unavailable, problem.Upstream, problem.Timeout:
		return err
	}
	pause := p.RetryAfter
	if pause <= 0 {
		pause = 5 * time.Second
	}
	return problem.New(problem.Unavailable, p.Detail).WithNext(p.Next).WithRetryAfter(pause).WithCause(err)
}

func unavailableUnless(err error) error {
	if err == nil {
		return nil
	}
	return unavailable(err)
}

// connect makes sure that people can get in: it asks Langflow to identify the account of the app's
// first workspace, and says what is wrong otherwise. Health checks use it.
func (ss *sessions) connect(ctx context.Context) error {
	e, err := ss.accounts.enter(
		ctx,
		builder.OnBehalf{Principal: authz.SystemPrincipal("health check"), Workspace: ss.cfg.Workspace},
	)
	if err != nil {
		return err
	}
	s, err := ss.of(ctx, e)
	if err != nil {
		return err
	}
	if ss.cfg.Now().Sub(s.made) < refusalGrace {
		return nil
	}
	r, err := ss.wire.whoami(ctx, s.header())
	var u upstreamUser
	if err != nil || r.Status == http.StatusOK && r.decode(&u) && u.ID == e.ID {
		return err
	}
	return e.signing.do(ctx, ss.work, func(ctx context.Context) error { return ss.replace(ctx, e, s) })
}

// replace renews a session that Langflow refused. If the renewal fails, the session is dropped, so
// that requests report the reason.
func (ss *sessions) replace(ctx context.Context, e *entry, refused *session) error {
	err := ss.renew(ctx, e, refused)
	if err != nil {
		e.session.CompareAndSwap(refused, nil)
	}
	return err
}

// mode is how Sluice gets into an account. External assertions open only accounts that Langflow
// created for them. They open neither adopted accounts nor those that the superuser created for
// Sluice, which have a password.
func (ss *sessions) mode(a builder.Account) (builder.Mode, error) {
	switch {
	case ss.cfg.Mode != External || !a.Adopted && a.Password == "":
		return ss.cfg.Mode, nil
	case ss.cfg.Access.SecretKey != "":
		return Signed, nil
	case a.Password != "" || ss.cfg.Access.Superuser != "" && ss.cfg.Access.Password != "":
		return SignIn, nil
	}
	return "", problem.Newf(problem.Conflict, "Sluice cannot sign in as the Langflow user %q: external "+
		"authentication opens only accounts that it created itself.", a.Username).
		WithNext("Give Sluice LANGFLOW_SECRET_KEY, or the name and password of a Langflow superuser, on the app's " +
			"page.")
}

// renew gets a new session for an account whose current one is stale. It runs once at a time for
// each account.
func (ss *sessions) renew(ctx context.Context, e *entry, stale *session) error {
	if e.session.Load() != stale {
		return nil
	}
	mode, err := ss.mode(e.Account)
	if err != nil {
		return err
	}
	var s *session
	switch mode {
	case Signed:
		s, err = ss.renewSigned(ctx, e)
	case External:
		s, err = ss.renewExternal(ctx, e)
	case SignIn:
		s, err = ss.renewSignIn(ctx, e, stale)
	default:
		err = problem.New(problem.Conflict, "No way for Sluice to sign in to Langflow has been chosen yet.").
			WithNext("Connect the app on Sluice's apps page.")
	}
	if err != nil {
		return err
	}
	e.session.Store(s)
	if now := ss.accounts.dir.Load().byID[e.ID]; now != nil && now != e {
		now.session.Store(s)
	}
	return nil
}

// renewSigned signs a token and tests it: the secret key may differ, the clocks may differ, or the
// account may be gone. If Langflow is too busy to answer, the untested token is used so that people
// still get in.
func (ss *sessions) renewSigned(ctx context.Context, e *entry) (*session, error) {
	for try := range 3 {
		s := ss.wire.mint(e.ID)
		r, err := ss.wire.whoami(ctx, s.header())
		if problem.Is(err, problem.Timeout) {
			s.due = s.made.Add(lookAgain)
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		switch r.Status {
		case http.StatusOK:
			var u upstreamUser
			if !r.decode(&u) || u.ID != e.ID {
				return nil, r.trouble("asking who an account is")
			}
			// An accepted token is valid, even if the clocks still differ after two corrections.
			if !ss.wire.drifts(r) || try == 2 {
				return s, nil
			}
		case http.StatusUnauthorized, http.StatusForbidden:
			if err := ss.fixSigned(ctx, e, r); err != nil {
				return nil, err
			}
		default:
			return nil, r.trouble("asking who an account is")
		}
	}
	return nil, problem.Newf(problem.Unavailable, "Langflow does not accept Sluice's token for %q.", e.Username).
		WithRetryAfter(5 * time.Second).
		WithNext("See Langflow's log.")
}

// fixSigned determines why a fresh token was refused. A nil error means that another try makes
// sense.
func (ss *sessions) fixSigned(ctx context.Context, e *entry, r *reply) error {
	if adjusted, err := ss.wire.adjust(r); adjusted || err != nil {
		return err
	}
	if ss.cfg.Access.Superuser == "" || ss.cfg.Access.Password == "" {
		return problem.Newf(problem.Conflict, "Langflow does not accept Sluice's token for %q: the secret keys "+
			"differ, or the account was deleted in Langflow.", e.Username).
			WithNext("Give both the same LANGFLOW_SECRET_KEY. With the name and password of a Langflow " +
				"superuser, Sluice can detect which of the two it is.")
	}
	root, err := ss.admin.session(ctx)
	if err != nil {
		return err
	}
	err = ss.wire.testSecret(ctx, root.user.ID)
	if err != nil && ss.cfg.Now().Sub(root.signedIn) > superuserDoubt {
		// In another database the superuser has another id, and only a new sign-in reveals it.
		ss.admin.root.CompareAndSwap(root, nil)
		if root, err = ss.admin.session(ctx); err == nil {
			err = ss.wire.testSecret(ctx, root.user.ID)
		}
	}
	if err != nil {
		return err
	}
	return ss.fixUser(ctx, e, root)
}

// refusalGrace is how old a session must be before a 401 casts doubt on it. A younger session is
// not the reason for the 401.
const refusalGrace = 2 * time.Second

// superuserDoubt is how old the superuser's sign-in must be before refused tokens cast doubt on its
// id.
const superuserDoubt = 15 * time.Second

// fixUser reactivates an account that Langflow knows, and creates one again that Langflow has lost.
func (ss *sessions) fixUser(ctx context.Context, e *entry, root *superuser) error {
	u, err := ss.admin.findUser(ctx, root, func(u upstreamUser) bool { return u.ID == e.ID })
	switch {
	case problem.Is(err, problem.NotFound):
		return ss.accounts.lost(ctx, e)
	case err != nil:
		return err
	case u.Active:
		return problem.Newf(problem.Unavailable, "Langflow knows the account %q but does not accept Sluice's "+
			"sign-in.", e.Username).
			WithRetryAfter(5 * time.Second).
			WithNext("See Langflow's log.")
	}
	ss.cfg.Log.Warn(
		"an account was deactivated in Langflow; Sluice activates it again, with a new password",
		"username", e.Username,
	)
	// The new password keeps anyone out who had the account before.
	_, err = ss.admin.patchUser(ctx, root, e.ID, map[string]any{"is_active": true, "password": newPassword()})
	return err
}

// renewExternal signs an assertion and checks which account it opens.
func (ss *sessions) renewExternal(ctx context.Context, e *entry) (*session, error) {
	s, u, err := ss.wire.assertTested(ctx, homeKey{e.Workspace, e.Person}, e.Username)
	if problem.Is(err, problem.Timeout) {
		s.due = s.made.Add(lookAgain)
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if u.ID == e.ID {
		return s, nil
	}
	ss.cfg.Log.Warn(
		"Langflow created an account again: its database was replaced, or the account was deleted; the flows of "+
			"the previous account are missing",
		"username", u.Username,
		"former_id", e.ID,
		"id", u.ID,
		"workspace", e.Workspace,
	)
	if _, err := ss.accounts.keep(ctx, builder.Account{
		ID:        u.ID,
		Username:  u.Username,
		Workspace: e.Workspace,
		Person:    e.Person,
	}, e.ID); err != nil {
		return nil, err
	}
	return nil, problem.Newf(problem.Gone, "Langflow lost the account %q and created it again with the "+
		"id %s.", e.Username, u.ID).
		WithRetryAfter(time.Second)
}

// renewSignIn refreshes a session, or signs the account in. If Sluice does not have the account's
// password, as for adopted ones, the superuser sets a random one; the previous password then no
// longer works in Langflow. The superuser that Sluice itself signs in keeps its password.
func (ss *sessions) renewSignIn(ctx context.Context, e *entry, stale *session) (*session, error) {
	if stale != nil && stale.refresh != "" {
		r, err := ss.wire.do(ctx, call{
			method: http.MethodPost,
			path:   "/api/v1/refresh",
			header: http.Header{"Cookie": {"refresh_token_lf=" + stale.refresh}},
		})
		if err != nil {
			return nil, err
		}
		if s, err := ss.signIns.read(r); r.Status == http.StatusOK && err == nil && ss.signIns.opens(ctx, s, e.ID) {
			return s, nil
		}
	}
	if e.Username == ss.cfg.Access.Superuser && e.Adopted {
		root, err := ss.admin.session(ctx)
		if err != nil || root.user.ID == e.ID {
			return sessionOfRoot(root), err
		}
	}
	if e.Password != "" {
		s, err := ss.signIns.do(ctx, e.Username, e.Password)
		if !problem.Is(err, problem.Unauthenticated) {
			return s, err
		}
	}
	root, err := ss.admin.session(ctx)
	if err != nil {
		return nil, err
	}
	u, err := ss.admin.findUser(ctx, root, func(u upstreamUser) bool { return u.ID == e.ID })
	if problem.Is(err, problem.NotFound) {
		return nil, ss.accounts.lost(ctx, e)
	}
	if err != nil {
		return nil, err
	}
	a := e.Account
	a.Username, a.Password = u.Username, newPassword()
	if _, err := ss.admin.patchUser(ctx, root, a.ID, map[string]any{
		"password":  a.Password,
		"is_active": true,
	}); err != nil {
		return nil, err
	}
	if a, err = ss.accounts.keep(ctx, a, ""); err != nil {
		return nil, err
	}
	return ss.signIns.do(ctx, a.Username, a.Password)
}

func sessionOfRoot(root *superuser) *session {
	if root == nil {
		return nil
	}
	return root.session
}

// nativeSession is a session with one of Langflow's own tokens.
func nativeSession(token string, now time.Time, life time.Duration) *session {
	return &session{
		bearer: []string{"Bearer " + token}, cookie: []string{"access_token_lf=" + token}, token: token,
		made: now, due: now.Add(life * 7 / 10), dead: now.Add(max(life-tokenReserve, life/2)),
	}
}
