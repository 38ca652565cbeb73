package objects

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

const (
	// ResolveTimeout bounds how long the builder may take to name the object that contains a part.
	ResolveTimeout = 10 * time.Second
	// RecordTimeout bounds how long it may take to record a created or discovered object.
	RecordTimeout = 10 * time.Second
	// maxFlowName is the longest endpoint name of a flow that is searched for, in bytes.
	maxFlowName = 255
	// maxHomes is in how many other workspaces' accounts an endpoint name is searched for.
	maxHomes = 10
)

// Lookup resolves the owners of one app's objects, on behalf of one person. It is a value: the
// person and the app do not change while a request is judged.
type Lookup struct {
	// App is the connected app, Owners its part of the map, and Flows everything that Sluice
	// remembers about flows.
	App    *app.App
	Owners *flow.Objects
	Flows  *flow.Library
	// Finder bounds the queries to the builder.
	Finder *Finder
	// The person on whose behalf objects are looked up.
	Who *authz.Principal
	// Now is the clock.
	Now func() time.Time
}

// Accounts returns the accounts of the app's builder; nil if it has none. Each workspace works in
// accounts of such a builder, and every object is in one of them. The map knows the account, and
// the request goes there.
func (l Lookup) Accounts() *builder.Accounts {
	if l.App.Bridge == nil {
		return nil
	}
	return l.App.Bridge.Accounts
}

// inWorkspace identifies the person and the workspace of a lookup, before any session is used.
func (l Lookup) inWorkspace(workspace string) builder.OnBehalf {
	return builder.OnBehalf{Principal: *l.Who, Workspace: workspace}
}

// Owner finds the workspace that owns an object. On a builder with accounts it also finds the
// account, and records unassigned objects that it finds in accounts of the workspace of at. Errors:
// problem.NotFound, problem.Limited.
func (l Lookup) Owner(ctx context.Context, at Place, kind flow.Kind, id string) (Place, error) {
	workspace, known, ok := l.Owners.Owner(id)
	accounts := l.Accounts()
	if accounts == nil {
		if !ok {
			return Place{}, NotFound()
		}
		return Place{Workspace: workspace, Kind: known}, nil
	}
	if !ok {
		return l.discover(ctx, accounts, at.Workspace, kind, id)
	}
	if !BelongsTo(l.Who, workspace) {
		return Place{}, NotFound()
	}
	found := Place{Workspace: workspace, Kind: known, Account: l.Owners.Account(id)}
	if found.Account == "" {
		account, _, err := l.find(ctx, accounts, workspace, known, id)
		if err != nil {
			return Place{}, err
		}
		found.Account = account
		if err := l.Flows.Bind(ctx, l.App.ID, id, account); err != nil {
			return Place{}, err
		}
	}
	if !l.enters(accounts, found.Account) {
		return Place{}, NotFound()
	}
	return found, nil
}

// Join adds an object's place to the place of a request. All objects that a request names must be
// in one workspace and in one account.
func (l Lookup) Join(at, found Place) (Place, error) {
	differs := found.Workspace != at.Workspace || found.Account != at.Account
	if at.Named && differs || !BelongsTo(l.Who, found.Workspace) {
		return at, NotFound()
	}
	at.Workspace, at.Account, at.Named = found.Workspace, found.Account, true
	return at, nil
}

// enters reports whether the bridge may take the person into an account: the account must be one of
// those that the person has in its home workspace. An account may hold objects of other workspaces
// (they were moved, or a project was imported as a separate workspace). Their owners are in the
// map, which was checked before.
func (l Lookup) enters(accounts *builder.Accounts, account string) bool {
	home := accounts.HomeOf(account)
	return home != "" && slices.Contains(accounts.Of(l.inWorkspace(home)), account)
}

// Reached lists the accounts that lists are combined from: those that o may use, and others that
// hold objects of the workspace.
func (l Lookup) Reached(accounts *builder.Accounts, workspace string, o builder.OnBehalf) []string {
	list := accounts.Of(o)
	for _, account := range l.Owners.AccountsIn(workspace) {
		if !slices.Contains(list, account) && l.enters(accounts, account) {
			list = append(slices.Clip(list), account)
		}
	}
	return list
}

// discover searches for an unassigned object, and records it for the workspace whose account holds
// it.
func (l Lookup) discover(ctx context.Context, accounts *builder.Accounts, workspace string,
	kind flow.Kind, id string) (Place, error) {
	account, found, err := l.find(ctx, accounts, workspace, kind, id)
	if err != nil {
		return Place{}, err
	}
	if home := accounts.HomeOf(account); home != workspace {
		return Place{}, NotFound()
	}
	if found.Kind == "" {
		found.Kind = kind
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RecordTimeout)
	defer cancel()
	err = l.Flows.Found(ctx, l.App.ID, flow.Object{
		App:       l.App.ID,
		ID:        id,
		Name:      found.Name,
		Kind:      found.Kind,
		Workspace: workspace,
		Account:   account,
	})
	if problem.Is(err, problem.Conflict) {
		return Place{}, NotFound() // another request was faster
	}
	return Place{Workspace: workspace, Kind: found.Kind, Account: account}, err
}

// find asks the builder which account of a workspace holds an object, within bounds.
func (l Lookup) find(ctx context.Context, accounts *builder.Accounts, workspace string, kind flow.Kind,
	id string) (account string, found builder.FoundObject, err error) {
	if !PlainUUID(id) || workspace == "" {
		return "", found, NotFound()
	}
	asked := wanted{workspace: workspace, person: l.Who.ID, kind: kind, id: id}
	if err := l.Finder.begin(asked, l.Now()); err != nil {
		return "", found, err
	}
	ctx, cancel := context.WithTimeout(ctx, ResolveTimeout)
	defer cancel()
	account, found, err = accounts.Find(ctx, l.inWorkspace(workspace), kind, id)
	if problem.Is(err, problem.NotFound) {
		l.Finder.miss(asked, l.Now())
		return "", found, NotFound()
	}
	return account, found, err
}

// FlowNamed resolves a text in the place of a flow to the flow's id. The text is an id in any
// spelling that the builder understands, or the endpoint name of a flow in the accounts of the
// workspace. Errors: problem.NotFound.
func (l Lookup) FlowNamed(ctx context.Context, workspace, text string) (string, error) {
	if id, ok := ReadUUID(text); ok {
		return id, nil
	}
	accounts := l.Accounts()
	if accounts == nil || !l.Who.SignedIn() || workspace == "" || len(text) > maxFlowName {
		return "", NotFound()
	}
	ctx, cancel := context.WithTimeout(ctx, ResolveTimeout)
	defer cancel()
	for _, home := range l.homes(accounts, workspace) {
		id, err := accounts.FlowNamed(ctx, l.inWorkspace(home), text)
		if err == nil && PlainUUID(id) {
			return strings.ToLower(id), nil
		}
		if err != nil && !problem.Is(err, problem.NotFound) {
			return "", err
		}
	}
	return "", NotFound()
}

// homes lists the workspace, and the workspaces whose accounts hold some of its objects. The map
// then determines the owner of a flow that is found there.
func (l Lookup) homes(accounts *builder.Accounts, workspace string) []string {
	list := []string{workspace}
	for _, account := range l.Owners.AccountsIn(workspace) {
		home := accounts.HomeOf(account)
		if home != "" && !slices.Contains(list, home) && len(list) <= maxHomes {
			list = append(list, home)
		}
	}
	return list
}

// Parent returns the object that contains a part of a kind: from memory, or from the builder. hint
// is the flow that the request also names. For a run it also returns the job, with the person who
// started it. Errors: problem.NotFound.
func (l Lookup) Parent(
	ctx context.Context,
	workspace string,
	kind flow.Kind,
	id, hint string,
) (string, *flow.Job, error) {
	switch kind {
	case profile.File:
		parent, err := l.folder(id)
		return parent, nil, err
	case profile.Job:
		return l.jobFlow(ctx, id)
	}
	if known, ok := l.Flows.Parent(l.App.ID, id); ok {
		return known, nil, nil
	}
	found, err := l.askParent(ctx, workspace, kind, id, hint)
	if problem.Is(err, problem.NotFound) {
		return "", nil, NotFound()
	}
	if err != nil {
		return "", nil, err
	}
	l.Flows.Learn(l.App.ID, id, found)
	return found, nil, nil
}

// askParent asks the builder which object contains a part.
func (l Lookup) askParent(ctx context.Context, workspace string, kind flow.Kind, id, hint string) (string, error) {
	if l.tellsFlows() && kind == profile.Message {
		return l.messageFlow(ctx, workspace, id)
	}
	if l.App.Bridge == nil || l.App.Bridge.Parent == nil {
		return "", NotFound()
	}
	ctx, cancel := context.WithTimeout(ctx, ResolveTimeout)
	defer cancel()
	return l.App.Bridge.Parent(ctx, kind, id, hint)
}

// folder returns the object whose folder contains a file.
func (l Lookup) folder(path string) (string, error) {
	owner := ""
	EachUUID([]byte(path), func(id [16]byte) bool {
		if _, ok := l.Owners.OwnerOf(id); ok {
			owner = uuid.UUID(id).String()
		}
		return owner == ""
	})
	if owner == "" {
		return "", NotFound()
	}
	return owner, nil
}

// jobFlow returns the flow of a background run, as it was recorded when the run began.
func (l Lookup) jobFlow(ctx context.Context, id string) (string, *flow.Job, error) {
	j, err := l.Flows.Job(ctx, l.App.ID, id)
	if problem.Is(err, problem.NotFound) {
		var known bool
		if j.Flow, known = l.Flows.Parent(l.App.ID, id); !known {
			return "", nil, NotFound()
		}
		err = nil // a list from the builder revealed the flow, but not the person who started it
	}
	if err != nil {
		return "", nil, err
	}
	return j.Flow, &j, nil
}

// tellsFlows reports whether the builder can name the flows of a message or a chat.
func (l Lookup) tellsFlows() bool { return l.App.Bridge != nil && l.App.Bridge.FlowsOf != nil }

// messageFlow asks the builder which flow contains a message.
func (l Lookup) messageFlow(ctx context.Context, workspace, id string) (string, error) {
	if !PlainUUID(id) {
		return "", NotFound()
	}
	flows, err := l.liesIn(ctx, workspace, profile.Message, id)
	if err != nil {
		return "", err
	}
	if len(flows) != 1 {
		return "", NotFound()
	}
	return flows[0], nil
}

// liesIn asks the builder which flows contain a part, within bounds.
func (l Lookup) liesIn(ctx context.Context, workspace string, kind flow.Kind, id string) ([]string, error) {
	asked := wanted{workspace: workspace, person: l.Who.ID, kind: kind, id: id}
	if err := l.Finder.begin(asked, l.Now()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, ResolveTimeout)
	defer cancel()
	flows, err := l.App.Bridge.FlowsOf(ctx, l.inWorkspace(workspace), kind, id)
	if err == nil && len(flows) == 0 && kind == profile.Message {
		l.Finder.miss(asked, l.Now())
	}
	return flows, err
}

// Chat judges a chat session that a request names, after the place is known from everything else,
// and returns the place with the session added. flowID is the flow of the request, if it has one. A
// session that another workspace uses is reported as not found. An unused session is harmless,
// because it is empty.
func (l Lookup) Chat(ctx context.Context, at Place, flowID, id string) (Place, error) {
	if len(id) > MaxChat {
		return at, NoChat()
	}
	c, ok := l.Flows.ChatOf(l.App.ID, id)
	if !ok && flowID == "" {
		// Only the session determines the place of the request.
		var err error
		if c, ok, err = l.askChat(ctx, at, id); err != nil {
			return at, err
		}
	}
	switch {
	case !ok:
		return at, nil
	case c.Workspace != at.Workspace:
		return at, NoChat()
	case c.Flow != "" && !at.Named:
		found, err := l.Owner(ctx, at, flow.Chatflow, c.Flow)
		if err != nil {
			return at, err
		}
		return l.Join(at, found)
	}
	return at, nil
}

// askChat asks the builder which flows contain a session. All of them must belong to the workspace.
func (l Lookup) askChat(ctx context.Context, at Place, id string) (c flow.Chat, ok bool, err error) {
	if !l.tellsFlows() {
		return c, false, nil
	}
	flows, err := l.liesIn(ctx, at.Workspace, profile.ChatSession, id)
	if err != nil || len(flows) == 0 {
		return c, false, err
	}
	for _, f := range flows {
		found, err := l.Owner(ctx, at, flow.Chatflow, f)
		if problem.Is(err, problem.NotFound) || err == nil && found.Workspace != at.Workspace {
			return c, false, NoChat()
		}
		if err != nil {
			return c, false, err
		}
	}
	c = flow.Chat{Workspace: at.Workspace, Flow: flows[0]}
	l.Flows.LearnChat(l.App.ID, id, c)
	return c, true, nil
}
