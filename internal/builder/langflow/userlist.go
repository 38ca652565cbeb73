package langflow

import (
	"context"
	"sync"

	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// maxCounted is how many users' holdings are counted at a time. For any further users they stay
// unknown.
const maxCounted = 200

// userList shows Langflow's users to the people who may adopt them.
type userList struct {
	cfg      *builder.BridgeConfig
	wire     *wire
	admin    *admin
	accounts *accounts
	sessions *sessions
	contents *contents
}

// all lists Langflow's users. It needs the superuser. Errors: problem.Conflict without one.
func (ul *userList) all(ctx context.Context) ([]builder.User, error) {
	root, err := ul.admin.session(ctx)
	if err != nil {
		return nil, unavailableUsers(err)
	}
	var users []builder.User
	err = ul.admin.eachUser(ctx, root, func(u upstreamUser) bool {
		users = append(users, builder.User{
			ID:        u.ID,
			Username:  u.Username,
			Active:    u.Active,
			Superuser: u.Superuser,
			Flows:     builder.UnknownCount,
			Projects:  builder.UnknownCount,
			Files:     builder.UnknownCount,
		})
		return true
	})
	if err != nil {
		return nil, unavailableUsers(err)
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range users[:min(len(users), maxCounted)] {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ul.count(ctx, root, &users[i])
		})
	}
	group.Wait()
	return users, nil
}

// get is one of Langflow's users, without its holdings. Errors: problem.NotFound.
func (ul *userList) get(ctx context.Context, id string) (builder.User, error) {
	root, err := ul.admin.session(ctx)
	if err != nil {
		return builder.User{}, unavailableUsers(err)
	}
	u, err := ul.admin.findUser(ctx, root, func(u upstreamUser) bool { return u.ID == id })
	if err != nil {
		return builder.User{}, unavailableUsers(err)
	}
	return builder.User{
		ID:        u.ID,
		Username:  u.Username,
		Active:    u.Active,
		Superuser: u.Superuser,
		Flows:     builder.UnknownCount,
		Projects:  builder.UnknownCount,
		Files:     builder.UnknownCount,
	}, nil
}

// unavailableUsers keeps errors that an admin can fix, and hides those that look like a refusal of
// the admin.
func unavailableUsers(err error) error {
	if problem.Is(err, problem.Conflict) {
		return err
	}
	return unavailable(err)
}

// count looks into an account as far as possible without changing it. Unreadable counts stay
// unknown.
func (ul *userList) count(ctx context.Context, root *superuser, u *builder.User) {
	s := ul.peek(ctx, root, *u)
	if s == nil {
		return
	}
	for i, into := range []*int{&u.Flows, &u.Projects, nil, &u.Files} {
		if into == nil {
			continue
		}
		n := 0
		if err := ul.contents.listAs(ctx, s, lists[i].path, lists[i].query, func(listed) { n++ }); err == nil {
			*into = n
		}
	}
}

// peek is a session for reading an account without changing it; nil if that is impossible.
func (ul *userList) peek(ctx context.Context, root *superuser, u builder.User) *session {
	switch e := ul.accounts.dir.Load().byID[u.ID]; {
	case u.ID == root.user.ID:
		return root.session
	case e != nil && (e.Password != "" || ul.cfg.Mode != SignIn):
		s, err := ul.sessions.of(ctx, e)
		if err != nil {
			return nil
		}
		return s
	case ul.cfg.Access.SecretKey != "" && ul.cfg.Mode != SignIn && u.Active:
		return ul.wire.mint(u.ID)
	}
	return nil
}

// superuser is the superuser, and how many flows and files it holds. Projects do not count, because
// every user has one. Errors: problem.Conflict without a superuser.
func (ul *userList) superuser(ctx context.Context) (user builder.User, held int, err error) {
	root, err := ul.admin.session(ctx)
	if err != nil {
		return user, 0, unavailableUsers(err)
	}
	user = builder.User{ID: root.user.ID, Username: root.user.Username, Active: true, Superuser: true}
	for _, list := range lists {
		if list.kind != flow.Chatflow && list.kind != flow.StoredFile {
			continue
		}
		if err := ul.contents.listAs(ctx, root.session, list.path, list.query, func(listed) { held++ }); err != nil {
			return user, 0, err
		}
	}
	return user, held, nil
}
