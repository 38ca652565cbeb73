package langflow

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// superuser is a signed-in superuser.
type superuser struct {
	user    upstreamUser
	session *session
	// signedIn is when the superuser signed in with the password.
	signedIn time.Time
}

// admin acts as Langflow's superuser, who creates and changes users there.
type admin struct {
	cfg     *builder.BridgeConfig
	wire    *wire
	signIns *signIns
	work    *worker

	root    atomic.Pointer[superuser]
	rooting singleFlight
}

// session returns a session of the superuser. In signed mode one sign-in is enough for the bridge's
// life, because after it the id is known.
func (ad *admin) session(ctx context.Context) (*superuser, error) {
	root := ad.root.Load()
	if root != nil && ad.cfg.Now().Before(root.session.dead) {
		return root, nil
	}
	err := ad.rooting.do(ctx, ad.work, func(ctx context.Context) error {
		if ad.root.Load() != root {
			return nil
		}
		fresh := ad.sign(ctx, root)
		if fresh == nil {
			var err error
			if fresh, err = ad.signIn(ctx); err != nil {
				return err
			}
		}
		ad.root.Store(fresh)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if root = ad.root.Load(); root == nil {
		return nil, problem.New(problem.Unavailable, "Langflow currently does not accept its superuser's session.").
			WithRetryAfter(time.Second)
	}
	return root, nil
}

// sign signs a token for a superuser whose id is known; nil if Langflow does not accept it.
func (ad *admin) sign(ctx context.Context, previous *superuser) *superuser {
	if previous == nil || ad.cfg.Access.SecretKey == "" {
		return nil
	}
	s := ad.wire.mint(previous.user.ID)
	if r, err := ad.wire.whoami(ctx, s.header()); err != nil || r.Status != http.StatusOK || !r.JSON {
		return nil
	}
	return &superuser{user: previous.user, session: s, signedIn: previous.signedIn}
}

func (ad *admin) signIn(ctx context.Context) (*superuser, error) {
	if ad.cfg.Access.Superuser == "" || ad.cfg.Access.Password == "" {
		return nil, problem.New(problem.Conflict, "Sluice needs a Langflow superuser to create accounts there.").
			WithField("superuser").
			WithNext("Set LANGFLOW_SUPERUSER and LANGFLOW_SUPERUSER_PASSWORD, or enter them on the app's page.")
	}
	s, err := ad.signIns.do(ctx, ad.cfg.Access.Superuser, ad.cfg.Access.Password)
	if problem.Is(err, problem.Unauthenticated) {
		return nil, problem.New(problem.Unauthenticated, "Langflow did not accept the superuser's name and "+
			"password.").
			WithField("superuser_password").
			WithNext("Enter the name and password with which the superuser signs in to Langflow directly. " +
				"Langflow uses LANGFLOW_SUPERUSER_PASSWORD only to create the account at its first start.").
			WithCause(err)
	}
	if err != nil {
		return nil, err
	}
	r, err := ad.wire.whoami(ctx, s.header())
	if err != nil {
		return nil, err
	}
	var u upstreamUser
	switch {
	case r.Status != http.StatusOK || !r.decode(&u) || !profile.IsUUID(u.ID):
		return nil, r.trouble("asking who the superuser is")
	case !u.Superuser:
		return nil, problem.Newf(problem.Unauthenticated, "%s is not a superuser in "+
			"Langflow.", builder.Clip(ad.cfg.Access.Superuser, 40)).
			WithField("superuser").
			WithNext("Enter a Langflow superuser, who may create users.")
	}
	return &superuser{user: u, session: s, signedIn: ad.cfg.Now()}, nil
}

// newPassword creates a password of more than 128 random bits.
func newPassword() string { return rand.Text() + "-aA1" }

// ask makes a call as the superuser. It replaces a session that Langflow no longer accepts, once.
func (ad *admin) ask(ctx context.Context, root *superuser, c call) (*reply, error) {
	for try := 0; ; try++ {
		c.header = root.session.header()
		r, err := ad.wire.do(ctx, c)
		if err != nil || r.Status != http.StatusUnauthorized || try > 0 {
			return r, err
		}
		ad.root.CompareAndSwap(root, nil)
		if root, err = ad.session(ctx); err != nil {
			return nil, err
		}
	}
}

// createUser creates a Langflow user with a random password and activates it. made is false if a
// user with this name already existed. Only Sluice uses such names, so an existing user comes from
// an interrupted attempt or from another node.
func (ad *admin) createUser(ctx context.Context, root *superuser, a *builder.Account) (made bool, err error) {
	a.Password = newPassword()
	r, err := ad.ask(
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
		if u, err = ad.findUser(ctx, root, func(u upstreamUser) bool { return u.Username == name }); problem.Is(
			err,
			problem.NotFound,
		) {
			return false, r.trouble("creating an account")
		}
		if err != nil {
			return false, err
		}
		change["password"] = a.Password
	default:
		return false, r.trouble("creating an account")
	}
	a.ID = u.ID
	u, err = ad.patchUser(ctx, root, a.ID, change)
	if err == nil && !u.Active {
		err = problem.Newf(problem.Conflict, "Langflow does not activate the account %q.", a.Username).
			WithNext("See Langflow's log.")
	}
	return made, err
}

// patchUser changes a user. Errors: problem.NotFound, also if Langflow up to 1.6 sends its page
// because the user does not exist.
func (ad *admin) patchUser(
	ctx context.Context,
	root *superuser,
	id string,
	change map[string]any,
) (upstreamUser, error) {
	r, err := ad.ask(ctx, root, call{method: http.MethodPatch, path: "/api/v1/users/" + id, json: change})
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

// deleteUser removes a user that is not needed. If that fails, the account remains, but its
// password is not stored anywhere.
func (ad *admin) deleteUser(ctx context.Context, root *superuser, id string) {
	r, err := ad.ask(ctx, root, call{method: http.MethodDelete, path: "/api/v1/users/" + id})
	if err != nil || r.Status >= 300 {
		ad.cfg.Log.Warn("an unneeded account remains in Langflow", "id", id)
	}
}

// userPage is how many users are read at a time, and maxUsers how many in total.
const (
	userPage = 100
	maxUsers = 5000
)

// eachUser calls visit for Langflow's users until visit returns false.
func (ad *admin) eachUser(ctx context.Context, root *superuser, visit func(upstreamUser) bool) error {
	seen := map[string]bool{}
	for skip := 0; skip < maxUsers; skip += userPage {
		query := url.Values{"skip": {strconv.Itoa(skip)}, "limit": {strconv.Itoa(userPage)}}
		r, err := ad.ask(ctx, root, call{method: http.MethodGet, path: "/api/v1/users/", query: query.Encode()})
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
func (ad *admin) findUser(
	ctx context.Context,
	root *superuser,
	is func(upstreamUser) bool,
) (found upstreamUser, err error) {
	err = ad.eachUser(ctx, root, func(u upstreamUser) bool {
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
