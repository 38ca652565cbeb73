package profile

import (
	"context"
	"sync"

	"sluice/internal/flow"
	"sluice/internal/problem"
)

// UnknownCount is the number of objects in an account that Sluice cannot look into.
const UnknownCount = -1

// LangflowUser is a user of a Langflow, with what it holds.
type LangflowUser struct {
	// ID and Username are Langflow's own.
	ID, Username      string
	Active, Superuser bool
	// Flows, Projects and Files are how many it holds; UnknownCount where Sluice cannot look into the account without changing its password.
	Flows, Projects, Files int
}

// maxLangflowCounted is how many users' holdings are counted at a time; of more the rest is unknown.
const maxLangflowCounted = 200

// Users lists Langflow's users. It needs the superuser. Errors: problem.Conflict without one.
func (b *LangflowBridge) Users(ctx context.Context) ([]LangflowUser, error) {
	root, err := b.rootOf(ctx)
	if err != nil {
		return nil, unavailableUsers(err)
	}
	var users []LangflowUser
	err = b.eachUser(ctx, root, func(u langflowUser) bool {
		users = append(users, LangflowUser{
			ID: u.ID, Username: u.Username, Active: u.Active, Superuser: u.Superuser, Flows: UnknownCount, Projects: UnknownCount, Files: UnknownCount,
		})
		return true
	})
	if err != nil {
		return nil, unavailableUsers(err)
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, langflowAtOnce)
	for i := range users[:min(len(users), maxLangflowCounted)] {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			b.count(ctx, root, &users[i])
		})
	}
	group.Wait()
	return users, nil
}

// User is one of Langflow's users, without what it holds. Errors: problem.NotFound.
func (b *LangflowBridge) User(ctx context.Context, id string) (LangflowUser, error) {
	root, err := b.rootOf(ctx)
	if err != nil {
		return LangflowUser{}, unavailableUsers(err)
	}
	u, err := b.findUser(ctx, root, func(u langflowUser) bool { return u.ID == id })
	if err != nil {
		return LangflowUser{}, unavailableUsers(err)
	}
	return LangflowUser{ID: u.ID, Username: u.Username, Active: u.Active, Superuser: u.Superuser, Flows: UnknownCount, Projects: UnknownCount, Files: UnknownCount}, nil
}

// unavailableUsers keeps what an admin can mend, and nothing that looks like a refusal of the admin.
func unavailableUsers(err error) error {
	if problem.Is(err, problem.Conflict) {
		return err
	}
	return unavailableLangflow(err)
}

// count looks into an account as far as that is possible without changing it. What cannot be read stays unknown.
func (b *LangflowBridge) count(ctx context.Context, root *langflowRoot, u *LangflowUser) {
	s := b.peek(ctx, root, *u)
	if s == nil {
		return
	}
	for i, into := range []*int{&u.Flows, &u.Projects, nil, &u.Files} {
		if into == nil {
			continue
		}
		n := 0
		if err := b.listAs(ctx, s, langflowLists[i].path, langflowLists[i].query, func(langflowObject) { n++ }); err == nil {
			*into = n
		}
	}
}

// peek is a session of an account that changes nothing there; nil if there is none.
func (b *LangflowBridge) peek(ctx context.Context, root *langflowRoot, u LangflowUser) *langflowSession {
	switch e := b.dir.Load().byID[u.ID]; {
	case u.ID == root.user.ID:
		return root.session
	case e != nil && (e.Password != "" || b.cfg.Mode != BridgeSignIn):
		s, err := b.sessionOf(ctx, e)
		if err != nil {
			return nil
		}
		return s
	case b.cfg.SecretKey != "" && b.cfg.Mode != BridgeSignIn && u.Active:
		return b.mint(u.ID)
	}
	return nil
}

// SuperuserHoldings is what the superuser holds that Sluice knows, without the project that every user has; and its id. Errors: problem.Conflict without a superuser.
func (b *LangflowBridge) SuperuserHoldings(ctx context.Context) (user LangflowUser, held int, err error) {
	root, err := b.rootOf(ctx)
	if err != nil {
		return user, 0, unavailableUsers(err)
	}
	user = LangflowUser{ID: root.user.ID, Username: root.user.Username, Active: true, Superuser: true}
	for _, list := range langflowLists {
		if list.kind != flow.Chatflow && list.kind != flow.StoredFile {
			continue
		}
		if err := b.listAs(ctx, root.session, list.path, list.query, func(langflowObject) { held++ }); err != nil {
			return user, 0, err
		}
	}
	return user, held, nil
}
