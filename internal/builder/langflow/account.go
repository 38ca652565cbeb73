package langflow

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// upstreamUser is what Langflow says of a user (its UserRead).
type upstreamUser struct {
	ID        string `json:"id"`
	Username  string `json:"username"`
	Active    bool   `json:"is_active"`
	Superuser bool   `json:"is_superuser"`
}

// whoami asks Langflow whose a session is, and learns the difference of the clocks by the way.
func (b *bridge) whoami(ctx context.Context, h http.Header) (*reply, error) {
	return call{method: http.MethodGet, path: "/api/v1/users/whoami", header: h}.do(ctx, b.client, b.cfg.Now)
}

// clock is how much later Langflow's clock is than Sluice's.
func (b *bridge) clock() time.Duration { return time.Duration(b.skew.Load()) }

// maxSkew is the largest difference of clocks that Sluice makes up for: what it signs for
// Langflow's clock is good for so much longer by others.
const maxSkew = 24 * time.Hour

// adjust takes over the difference of the clocks that an answer tells, and reports whether that
// changed what would be signed.
func (b *bridge) adjust(r *reply) (bool, error) {
	if (r.behind - b.clock()).Abs() < skewNoted {
		return false, nil
	}
	if r.behind.Abs() > maxSkew {
		return false, problem.Newf(problem.Conflict, "Langflow's clock differs from Sluice's by %s; tokens are over before they arrive.", r.behind.Round(time.Minute)).
			WithNext("Set the clocks of both machines right, for example by NTP.")
	}
	b.takeClock(r)
	return true, nil
}

// drifts takes over a difference of the clocks that would end tokens before they are renewed,
// though this one was accepted.
func (b *bridge) drifts(r *reply) bool {
	if (r.behind-b.clock()).Abs() < skewNoted || r.behind.Abs() > maxSkew {
		return false
	}
	b.takeClock(r)
	return true
}

func (b *bridge) takeClock(r *reply) {
	b.skew.Store(int64(r.behind))
	b.cfg.Log.Warn(
		"Langflow's clock differs from Sluice's; tokens are made for its clock",
		"host",
		b.cfg.Base.Host,
		"later_by",
		r.behind.Round(time.Second).String(),
	)
}

// mode is how Sluice gets into an account. External assertions open only accounts that Langflow has
// made for them: neither adopted ones nor those that a superuser has made for Sluice, which have a
// password.
func (b *bridge) mode(a builder.Account) (builder.Mode, error) {
	switch {
	case b.cfg.Mode != External || !a.Adopted && a.Password == "":
		return b.cfg.Mode, nil
	case b.cfg.Access.SecretKey != "":
		return Signed, nil
	case a.Password != "" || b.cfg.Access.Superuser != "" && b.cfg.Access.Password != "":
		return SignIn, nil
	}
	return "", problem.Newf(problem.Conflict, "Sluice cannot get into the Langflow user %q: external authentication opens only the accounts that it has made itself.", a.Username).
		WithNext("Give Sluice LANGFLOW_SECRET_KEY, or the name and password of a Langflow superuser, on the app's page.")
}

// renew gets a new session for an account whose present one is stale. It runs once at a time for
// each account.
func (b *bridge) renew(ctx context.Context, e *entry, stale *session) error {
	if e.session.Load() != stale {
		return nil
	}
	mode, err := b.mode(e.Account)
	if err != nil {
		return err
	}
	var s *session
	switch mode {
	case Signed:
		s, err = b.renewSigned(ctx, e)
	case External:
		s, err = b.renewExternal(ctx, e)
	case SignIn:
		s, err = b.renewSignIn(ctx, e, stale)
	default:
		err = problem.New(problem.Conflict, "Nobody has chosen yet how Sluice gets into Langflow.").
			WithNext("Connect the app on Sluice's apps page.")
	}
	if err != nil {
		return err
	}
	e.session.Store(s)
	if now := b.dir.Load().byID[e.ID]; now != nil && now != e {
		now.session.Store(s)
	}
	return nil
}

// renewSigned signs a token, and tests it: the key may be another one, the clocks may differ, or
// the account may be gone. A Langflow that is busy does not keep people out.
func (b *bridge) renewSigned(ctx context.Context, e *entry) (*session, error) {
	for try := range 3 {
		s := b.mint(e.ID)
		r, err := b.whoami(ctx, s.header())
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
			// A token that was taken is good, whatever the clocks say after two corrections.
			if !b.drifts(r) || try == 2 {
				return s, nil
			}
		case http.StatusUnauthorized, http.StatusForbidden:
			if err := b.mendSigned(ctx, e, r); err != nil {
				return nil, err
			}
		default:
			return nil, r.trouble("asking who an account is")
		}
	}
	return nil, problem.Newf(problem.Unavailable, "Langflow does not accept Sluice's token for %q.", e.Username).
		WithRetryAfter(5 * time.Second).
		WithNext("See Langflow's own log.")
}

// mendSigned finds out why a fresh token was refused; nil means that another try makes sense.
func (b *bridge) mendSigned(ctx context.Context, e *entry, r *reply) error {
	if adjusted, err := b.adjust(r); adjusted || err != nil {
		return err
	}
	if b.cfg.Access.Superuser == "" || b.cfg.Access.Password == "" {
		return problem.Newf(problem.Conflict, "Langflow does not accept Sluice's token for %q: the secret keys differ, or the account was deleted in Langflow.", e.Username).
			WithNext("Give both the same LANGFLOW_SECRET_KEY. With the name and password of a Langflow superuser Sluice finds out which it is.")
	}
	root, err := b.rootOf(ctx)
	if err != nil {
		return err
	}
	err = b.testSecret(ctx, root.user.ID)
	if err != nil && b.cfg.Now().Sub(root.signedIn) > superuserDoubt {
		// In another database the superuser has another id: only a sign-in tells.
		b.root.CompareAndSwap(root, nil)
		if root, err = b.rootOf(ctx); err == nil {
			err = b.testSecret(ctx, root.user.ID)
		}
	}
	if err != nil {
		return err
	}
	return b.mendUser(ctx, e, root)
}

// superuserDoubt is how old the superuser's sign-in may be before its id is doubted, when its
// tokens are refused.
const superuserDoubt = 15 * time.Second

// testSecret tells whether Langflow accepts what the secret key signs, by the superuser's own id.
func (b *bridge) testSecret(ctx context.Context, superuser string) error {
	for range 2 {
		r, err := b.whoami(ctx, b.mint(superuser).header())
		if err != nil {
			return err
		}
		if r.Status == http.StatusOK && r.JSON {
			return nil
		}
		if r.Status != http.StatusUnauthorized && r.Status != http.StatusForbidden {
			return r.trouble("testing the secret key")
		}
		if adjusted, err := b.adjust(r); err != nil {
			return err
		} else if !adjusted {
			break
		}
	}
	return problem.New(problem.Conflict, "The secret keys differ: Langflow does not accept what Sluice signs with LANGFLOW_SECRET_KEY.").
		WithField("secret_key").
		WithNext("Give Sluice the LANGFLOW_SECRET_KEY that Langflow runs with, or the content of the file secret_key in its LANGFLOW_CONFIG_DIR. Langflow's LANGFLOW_ALGORITHM must be HS256.")
}

// mendUser makes an account usable that Langflow knows, and one anew that it has lost.
func (b *bridge) mendUser(ctx context.Context, e *entry, root *superuser) error {
	u, err := b.findUser(ctx, root, func(u upstreamUser) bool { return u.ID == e.ID })
	switch {
	case problem.Is(err, problem.NotFound):
		return b.lost(ctx, e)
	case err != nil:
		return err
	case u.Active:
		return problem.Newf(problem.Unavailable, "Langflow knows the account %q and does not let Sluice in.", e.Username).
			WithRetryAfter(5 * time.Second).
			WithNext("See Langflow's own log.")
	}
	b.cfg.Log.Warn(
		"an account was switched off in Langflow; Sluice switches it on again, with another password",
		"username",
		e.Username,
	)
	// Whoever had it before does not get in again by that.
	_, err = b.patchUser(ctx, root, e.ID, map[string]any{"is_active": true, "password": newPassword()})
	return err
}

// lost is told that Langflow does not know an account any more. Sluice's own ones are made again;
// adopted ones are for a person to decide about.
func (b *bridge) lost(ctx context.Context, e *entry) error {
	if e.Adopted {
		return problem.Newf(problem.Conflict, "The adopted user %q does not exist in Langflow any more.", e.Username).
			WithNext("Undo the adoption on the app's page, or restore Langflow's database.")
	}
	b.cfg.Log.Warn(
		"Langflow does not know an account any more: its database is another one, or the account was deleted there; it is made again, and flows that it held are not there",
		"username",
		e.Username,
		"former_id",
		e.ID,
		"workspace",
		e.Workspace,
	)
	fresh, err := b.create(ctx, homeKey{e.Workspace, e.Person}, e.ID)
	if err != nil {
		return err
	}
	return problem.Newf(problem.Gone, "Langflow has lost the account %q; it was made again with the id %s.", e.Username, fresh.ID).
		WithRetryAfter(time.Second)
}

// renewExternal signs an assertion, and looks into which account it leads.
func (b *bridge) renewExternal(ctx context.Context, e *entry) (*session, error) {
	s, u, err := b.assertTested(ctx, homeKey{e.Workspace, e.Person}, e.Username)
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
	b.cfg.Log.Warn(
		"Langflow has made an account anew: its database is another one, or the account was deleted there; flows that the former one held are not there",
		"username",
		u.Username,
		"former_id",
		e.ID,
		"id",
		u.ID,
		"workspace",
		e.Workspace,
	)
	if _, err := b.keep(ctx, builder.Account{ID: u.ID, Username: u.Username, Workspace: e.Workspace, Person: e.Person}, e.ID); err != nil {
		return nil, err
	}
	return nil, problem.Newf(problem.Gone, "Langflow has lost the account %q; it has made it again with the id %s.", e.Username, u.ID).
		WithRetryAfter(time.Second)
}

// assertTested signs an assertion and asks Langflow whom it takes that for. With a Timeout the
// assertion is good as far as Sluice knows.
func (b *bridge) assertTested(ctx context.Context, home homeKey, username string) (*session, upstreamUser, error) {
	for range 2 {
		s, err := b.assert(home, username)
		if err != nil {
			return nil, upstreamUser{}, err
		}
		r, err := b.whoami(ctx, s.header())
		if err != nil {
			return s, upstreamUser{}, err
		}
		if r.Status != http.StatusUnauthorized && r.Status != http.StatusForbidden {
			var u upstreamUser
			if r.Status != http.StatusOK || !r.decode(&u) || !profile.IsUUID(u.ID) {
				return nil, u, r.trouble("reading Sluice's assertion")
			}
			if b.drifts(r) {
				s, err = b.assert(home, username)
			}
			return s, u, err
		}
		if adjusted, err := b.adjust(r); err != nil {
			return nil, upstreamUser{}, err
		} else if !adjusted {
			return nil, upstreamUser{}, b.assertionRefused(r.Status)
		}
	}
	return nil, upstreamUser{}, b.assertionRefused(http.StatusUnauthorized)
}

func (b *bridge) assertionRefused(status int) error {
	if status == http.StatusForbidden {
		return problem.New(problem.Conflict, "Langflow does not look at Sluice's assertion: its external authentication is off, reads another header, or this version has none (it came with 1.10).").
			WithField("mode").
			WithNext("Set the LANGFLOW_EXTERNAL_AUTH variables as Sluice shows them, and restart Langflow.")
	}
	return problem.New(problem.Conflict, "Langflow sees Sluice's assertion and does not accept it: the JWKS address, the issuer or the audience are not Sluice's, or the account is switched off in Langflow.").
		WithField("mode").
		WithNext("Compare LANGFLOW_EXTERNAL_AUTH_JWKS_URL, _ISSUER and _AUDIENCE with what Sluice shows, and see that Langflow can reach that address.")
}

// makeOwn is the account for a home's new things; it is made if it does not exist, once for all who
// need it.
func (b *bridge) makeOwn(ctx context.Context, home homeKey) (*entry, error) {
	if home.workspace == "" {
		return nil, problem.New(problem.Denied, "You work in no workspace.").WithNext("Choose a workspace first.")
	}
	b.mu.Lock()
	flight := b.making[home]
	if flight == nil {
		flight = &singleFlight{}
		b.making[home] = flight
	}
	b.mu.Unlock()
	err := flight.do(ctx, b, func(ctx context.Context) error {
		if b.dir.Load().own[home] != nil {
			return nil
		}
		_, err := b.create(ctx, home, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	e := b.dir.Load().own[home]
	if e == nil {
		return nil, problem.New(problem.Unavailable, "The workspace's account in Langflow was changed just now.").
			WithRetryAfter(time.Second)
	}
	return e, nil
}

// create makes the account of a home, in Langflow and in Sluice, in place of the one with the id
// gone.
func (b *bridge) create(ctx context.Context, home homeKey, gone string) (builder.Account, error) {
	name, err := b.cfg.Username(ctx, home.workspace, home.person)
	if err != nil {
		return builder.Account{}, fmt.Errorf("naming an account in Langflow: %w", err)
	}
	a := builder.Account{Username: name, Workspace: home.workspace, Person: home.person}
	if b.cfg.Mode == External {
		_, u, err := b.assertTested(ctx, home, name)
		if err != nil {
			return builder.Account{}, err
		}
		a.ID, a.Username = u.ID, u.Username
		return b.keep(ctx, a, gone)
	}
	root, err := b.rootOf(ctx)
	if err != nil {
		return builder.Account{}, err
	}
	made, err := b.createUser(ctx, root, &a)
	if err != nil {
		return builder.Account{}, err
	}
	kept, err := b.keep(ctx, a, gone)
	if err == nil && made && kept.ID != a.ID {
		// Another node was faster, under another name.
		b.deleteUser(ctx, root, a.ID)
	}
	return kept, err
}

// keep stores an account and takes it into use.
func (b *bridge) keep(ctx context.Context, a builder.Account, gone string) (builder.Account, error) {
	kept, err := b.cfg.Keep(ctx, a, gone)
	if err != nil {
		return builder.Account{}, fmt.Errorf("storing an account of Langflow: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dir.Store(b.dir.Load().with(kept, gone))
	return kept, nil
}
