package langflow

import (
	"context"
	"sync"

	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// maxCounted is how many users' holdings are counted at a time; of more the rest is unknown.
const maxCounted = 200

// users lists Langflow's users. It needs the superuser. Errors: problem.Conflict without one.
func (b *bridge) users(ctx context.Context) ([]builder.User, error) {
	root, err := b.rootOf(ctx)
	if err != nil {
		return nil, unavailableUsers(err)
	}
	var users []builder.User
	err = b.eachUser(ctx, root, func(u upstreamUser) bool {
		users = append(users, builder.User{
			ID: u.ID, Username: u.Username, Active: u.Active, Superuser: u.Superuser, Flows: builder.UnknownCount, Projects: builder.UnknownCount, Files: builder.UnknownCount,
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
			b.count(ctx, root, &users[i])
		})
	}
	group.Wait()
	return users, nil
}

// user is one of Langflow's users, without what it holds. Errors: problem.NotFound.
func (b *bridge) user(ctx context.Context, id string) (builder.User, error) {
	root, err := b.rootOf(ctx)
	if err != nil {
		return builder.User{}, unavailableUsers(err)
	}
	u, err := b.findUser(ctx, root, func(u upstreamUser) bool { return u.ID == id })
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

// unavailableUsers keeps what an admin can mend, and nothing that looks like a refusal of the
// admin.
func unavailableUsers(err error) error {
	if problem.Is(err, problem.Conflict) {
		return err
	}
	return unavailable(err)
}

// count looks into an account as far as that is possible without changing it. What cannot be read
// stays unknown.
func (b *bridge) count(ctx context.Context, root *superuser, u *builder.User) {
	s := b.peek(ctx, root, *u)
	if s == nil {
		return
	}
	for i, into := range []*int{&u.Flows, &u.Projects, nil, &u.Files} {
		if into == nil {
			continue
		}
		n := 0
		if err := b.listAs(ctx, s, lists[i].path, lists[i].query, func(listed) { n++ }); err == nil {
			*into = n
		}
	}
}

// peek is a session of an account that changes nothing there; nil if there is none.
func (b *bridge) peek(ctx context.Context, root *superuser, u builder.User) *session {
	switch e := b.dir.Load().byID[u.ID]; {
	case u.ID == root.user.ID:
		return root.session
	case e != nil && (e.Password != "" || b.cfg.Mode != SignIn):
		s, err := b.sessionOf(ctx, e)
		if err != nil {
			return nil
		}
		return s
	case b.cfg.Access.SecretKey != "" && b.cfg.Mode != SignIn && u.Active:
		return b.mint(u.ID)
	}
	return nil
}

// superuserHoldings is what the superuser holds that Sluice knows, without the project that every
// user has; and its id. Errors: problem.Conflict without a superuser.
func (b *bridge) superuserHoldings(ctx context.Context) (user builder.User, held int, err error) {
	root, err := b.rootOf(ctx)
	if err != nil {
		return user, 0, unavailableUsers(err)
	}
	user = builder.User{ID: root.user.ID, Username: root.user.Username, Active: true, Superuser: true}
	for _, list := range lists {
		if list.kind != flow.Chatflow && list.kind != flow.StoredFile {
			continue
		}
		if err := b.listAs(ctx, root.session, list.path, list.query, func(listed) { held++ }); err != nil {
			return user, 0, err
		}
	}
	return user, held, nil
}
