package flow

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/maypok86/otter/v2"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/flow"
	"sluice/internal/problem"
)

// Kind is a sort of object. Its text is stored, so it never changes meaning.
type Kind string

// The kinds of object that have an owner.
const (
	// Chatflow is a flow, Agentflow one whose type is AGENTFLOW or MULTIAGENT, Assistantflow the
	// flow behind a custom assistant.
	Chatflow      Kind = "chatflow"
	Agentflow     Kind = "agentflow"
	Assistantflow Kind = "assistantflow"
	Credential    Kind = "credential"
	Tool          Kind = "tool"
	Variable      Kind = "variable"
	DocumentStore Kind = "documentstore"
	Assistant     Kind = "assistant"
	APIKey        Kind = "apikey"
	Template      Kind = "template"
	MCPServer     Kind = "mcpserver"
	Dataset       Kind = "dataset"
	Evaluator     Kind = "evaluator"
	Evaluation    Kind = "evaluation"
	// Project is a folder of flows, StoredFile a file that belongs to no flow.
	Project    Kind = "project"
	StoredFile Kind = "storedfile"
)

// ChangeKind is the kind of changes to objects (db.Tx.Changed); the item is app id, slash, object
// id.
const ChangeKind = "object"

// Config is the configuration of a Library.
type Config struct {
	DB   *db.DB
	Gate *authz.Gate
	// Now is the clock.
	Now func() time.Time
	// Log receives failures to follow changes.
	Log *slog.Logger
}

// Library maintains the ownership map of all apps.
type Library struct {
	cfg     Config
	apps    sync.Map // app id -> *Objects
	derived *otter.Cache[inner, string]
	jobs    *otter.Cache[inner, Job]
	chats   *otter.Cache[inner, Chat]
}

// inner identifies something inside an object.
type inner struct{ app, id string }

// derivedKept bounds how many parents are remembered; each costs about 200 bytes.
const derivedKept = 100_000

// New loads the map and follows changes.
func New(ctx context.Context, c Config) (*Library, error) {
	derived, err := otter.New(&otter.Options[inner, string]{MaximumSize: derivedKept})
	if err != nil {
		return nil, fmt.Errorf("creating the table of parents: %w", err)
	}
	jobs, err := otter.New(&otter.Options[inner, Job]{MaximumSize: jobsKept})
	if err != nil {
		return nil, fmt.Errorf("creating the table of jobs: %w", err)
	}
	chats, err := newChats()
	if err != nil {
		return nil, fmt.Errorf("creating the table of chats: %w", err)
	}
	l := &Library{cfg: c, derived: derived, jobs: jobs, chats: chats}
	c.Gate.NameFlows(l.nameOf)
	// Subscribing first means that a change during the load is applied after it, never lost.
	c.DB.Subscribe(ChangeKind, func(item string) {
		appID, id, _ := strings.Cut(item, "/")
		if err := l.refresh(context.Background(), appID, id); err != nil {
			c.Log.Error("an object could not be read again; it is closed until "+
				"it can", "app", appID, "object", id, "error", err)
			l.Of(appID).remove(id)
		}
	})
	rows, err := q.New(c.DB.Read()).AllObjects(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the ownership map: %w", err)
	}
	for _, r := range rows {
		l.Of(r.AppID).put(r.ObjectID, r.WorkspaceID, r.UpstreamID, Kind(r.Kind))
	}
	return l, nil
}

func (l *Library) refresh(ctx context.Context, appID, id string) error {
	row, err := q.New(l.cfg.DB.Read()).GetObject(ctx, q.GetObjectParams{AppID: appID, ObjectID: id})
	if err := db.Found(err, "gone"); problem.Is(err, problem.NotFound) {
		l.Of(appID).remove(id)
		return nil
	}
	if err != nil {
		return err
	}
	l.Of(appID).put(id, row.WorkspaceID, row.UpstreamID, Kind(row.Kind))
	return nil
}

// Of is the map of an app. It stays the same for the app's life, so callers may keep it.
func (l *Library) Of(appID string) *Objects {
	if v, ok := l.apps.Load(appID); ok {
		return v.(*Objects)
	}
	v, _ := l.apps.LoadOrStore(appID, newObjects())
	return v.(*Objects)
}

// Owner is Of(appID).Owner(id).
func (l *Library) Owner(appID, id string) (workspace string, kind Kind, ok bool) {
	return l.Of(appID).Owner(id)
}

// Learn remembers that something is inside an object, such as an execution in its flow. Parents
// that are forgotten, after a restart or because there are too many, are learned again.
func (l *Library) Learn(appID, id, parent string) { l.derived.Set(inner{appID, id}, parent) }

// Parent is the object around something, if it is remembered.
func (l *Library) Parent(appID, id string) (parent string, ok bool) {
	return l.derived.GetIfPresent(inner{appID, id})
}

// Object is an object of a builder.
type Object struct {
	// App and ID identify it; ID is the builder's own.
	App, ID string
	Kind    Kind
	// Workspace is the object's workspace. Owner is the person who created or adopted it, and may
	// be empty.
	Workspace, Owner string
	// Account is the builder account that holds it. It is empty if the builder has no accounts, or
	// only one.
	Account string
	// Name is its name for people. It may be empty, and is cut to 200 characters.
	Name                 string
	CreatedAt, UpdatedAt time.Time
	// Public reports that a flow was created with the builder's own mark that opens it to
	// strangers. Only Create reads it.
	Public bool
}

// nameKept is how many characters of a name are stored.
const nameKept = 200

// cleanName makes a builder's text fit to be stored and shown.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > nameKept {
		s = string([]rune(s)[:nameKept])
	}
	return s
}

// maxID is the longest id that is recorded, in bytes.
const maxID = 256

// Claim records created or adopted objects, all or none, with the Workspace and Owner of each.
// Objects that already belong to their workspace are unchanged, except that an unknown account is
// added. Claim checks no permission, because the caller that allowed the creation already did.
// Errors: problem.Conflict if one belongs to another workspace.
func (l *Library) Claim(ctx context.Context, objects ...Object) error {
	if len(objects) == 0 {
		return nil
	}
	return l.cfg.DB.System(ctx, "ownership", func(tx *db.Tx) error {
		_, err := l.claim(ctx, tx, objects)
		return err
	})
}

// claim records objects and returns those that were unassigned before.
func (l *Library) claim(ctx context.Context, tx *db.Tx, objects []Object) (fresh []Object, err error) {
	for _, o := range objects {
		if o.ID == "" || len(o.ID) > maxID || o.Workspace == "" {
			return nil, problem.New(problem.Invalid, "An object needs an id and a workspace.").WithField("id")
		}
		made, err := q.New(tx).ClaimObject(ctx, q.ClaimObjectParams{
			AppID:       o.App,
			ObjectID:    o.ID,
			Kind:        string(o.Kind),
			WorkspaceID: o.Workspace,
			OwnerID:     o.Owner,
			UpstreamID:  o.Account,
			Name:        cleanName(o.Name),
			CreatedAt:   l.cfg.Now().UnixMilli(),
		})
		if err != nil {
			return nil, fmt.Errorf("recording an object: %w", err)
		}
		if made > 0 {
			fresh = append(fresh, o)
		} else if bound, err := l.bindKnown(ctx, tx, o); err != nil || !bound {
			if err != nil {
				return nil, err
			}
			continue
		}
		if err := tx.Changed(ChangeKind, o.App+"/"+o.ID); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

// bindKnown records the account of an object whose row has none, and reports whether it did. An
// object of another workspace is a Conflict.
func (l *Library) bindKnown(ctx context.Context, tx *db.Tx, o Object) (bound bool, err error) {
	row, err := q.New(tx).GetObject(ctx, q.GetObjectParams{AppID: o.App, ObjectID: o.ID})
	if err != nil {
		return false, fmt.Errorf("reading an object: %w", err)
	}
	if row.WorkspaceID != o.Workspace {
		return false, problem.New(problem.Conflict, "This object belongs to another "+
			"workspace.").WithRule("object owned")
	}
	if o.Account == "" || row.UpstreamID != "" {
		return false, nil
	}
	_, err = q.New(tx).BindObject(ctx, q.BindObjectParams{AppID: o.App, ObjectID: o.ID, UpstreamID: o.Account})
	if err != nil {
		return false, fmt.Errorf("recording the account of an object: %w", err)
	}
	return true, nil
}

// Bind records which account of the builder holds an object that already has an owner.
func (l *Library) Bind(ctx context.Context, appID, id, account string) error {
	return l.cfg.DB.System(ctx, "ownership", func(tx *db.Tx) error {
		n, err := q.New(tx).BindObject(ctx, q.BindObjectParams{AppID: appID, ObjectID: id, UpstreamID: account})
		if err != nil {
			return fmt.Errorf("recording the account of an object: %w", err)
		}
		if n == 0 {
			return nil
		}
		return tx.Changed(ChangeKind, appID+"/"+id)
	})
}

// HandOver gives all objects of one person to another, in the caller's transaction, because the
// first person is about to be removed.
func HandOver(ctx context.Context, tx *db.Tx, fromID, toID string) error {
	if _, err := q.New(tx).HandOverObjects(ctx, q.HandOverObjectsParams{
		FromAccount: fromID,
		ToAccount:   toID,
	}); err != nil {
		return fmt.Errorf("handing over: %w", err)
	}
	return nil
}

// ForgetProjects removes the projects of a workspace that is about to be deleted, in the caller's
// transaction.
func ForgetProjects(ctx context.Context, tx *db.Tx, workspaceID string) error {
	if err := q.New(tx).ForgetProjectsOfWorkspace(ctx, workspaceID); err != nil {
		return fmt.Errorf("forgetting empty projects: %w", err)
	}
	return nil
}

// Forget removes objects from the map because the builder has deleted them.
func (l *Library) Forget(ctx context.Context, appID string, ids ...string) error {
	return l.cfg.DB.System(ctx, "ownership", func(tx *db.Tx) error { return l.ForgetIn(ctx, tx, appID, ids...) })
}

// ForgetIn is Forget within the caller's transaction.
func (l *Library) ForgetIn(ctx context.Context, tx *db.Tx, appID string, ids ...string) error {
	for _, id := range ids {
		n, err := q.New(tx).ForgetObject(ctx, q.ForgetObjectParams{AppID: appID, ObjectID: id})
		if err != nil {
			return fmt.Errorf("forgetting an object: %w", err)
		}
		if n == 0 {
			continue
		}
		if err := tx.Changed(ChangeKind, appID+"/"+id); err != nil {
			return err
		}
	}
	return nil
}

// Filter narrows a list of flows.
type Filter struct {
	// Workspace is the one whose flows are listed; "" means the one that the actor works in.
	Workspace string
	// Query is a part of a name; empty lists all.
	Query string
	// Limit is 1 to 200, 0 means 50. Offset skips rows.
	Limit, Offset int
}

// List returns the flows of a workspace from all apps, most recently changed first, and their total
// number. It needs FlowView there.
func (l *Library) List(ctx context.Context, actor authz.Principal, f Filter) ([]Object, int, error) {
	if f.Workspace == "" {
		f.Workspace = actor.Workspace
	}
	if err := l.cfg.Gate.Check(ctx, actor, authz.FlowView, authz.Resource{
		Type:      "Flow",
		Workspace: f.Workspace,
	}); err != nil {
		return nil, 0, err
	}
	if f.Limit <= 0 || f.Limit > 200 {
		f.Limit = 50
	}
	pattern := likePattern(f.Query)
	total, err := q.New(l.cfg.DB.Read()).CountFlowsOfWorkspace(ctx, q.CountFlowsOfWorkspaceParams{
		WorkspaceID: f.Workspace,
		Pattern:     pattern,
	})
	if err != nil {
		return nil, 0, fmt.Errorf("counting flows: %w", err)
	}
	rows, err := q.New(l.cfg.DB.Read()).FlowsOfWorkspace(ctx, q.FlowsOfWorkspaceParams{
		WorkspaceID: f.Workspace,
		Pattern:     pattern,
		RowLimit:    int32(f.Limit),
		RowOffset:   int32(min(max(f.Offset, 0), 1<<30)),
	})
	if err != nil {
		return nil, 0, fmt.Errorf("listing flows: %w", err)
	}
	list := make([]Object, len(rows))
	for i, r := range rows {
		list[i] = object(r)
	}
	return list, int(total), nil
}

// NamesOfOthers lists the names of an app's objects of a kind that belong to other workspaces. It
// is for internal use: the names must not be shown to anyone.
func (l *Library) NamesOfOthers(ctx context.Context, appID string, kind Kind, workspaceID string) ([]string, error) {
	names, err := q.New(l.cfg.DB.Read()).NamesOfOthers(ctx, q.NamesOfOthersParams{
		AppID:       appID,
		Kind:        string(kind),
		WorkspaceID: workspaceID,
	})
	if err != nil {
		return nil, fmt.Errorf("listing names: %w", err)
	}
	return names, nil
}

// OfApp lists all objects of an app. It needs ObjectAdopt.
func (l *Library) OfApp(ctx context.Context, actor authz.Principal, appID string) ([]Object, error) {
	if err := l.cfg.Gate.Check(ctx, actor, authz.ObjectAdopt, authz.Resource{Type: "App", ID: appID}); err != nil {
		return nil, err
	}
	rows, err := q.New(l.cfg.DB.Read()).ObjectsOfApp(ctx, appID)
	if err != nil {
		return nil, fmt.Errorf("listing objects: %w", err)
	}
	list := make([]Object, len(rows))
	for i, r := range rows {
		list[i] = object(r)
	}
	return list, nil
}

func object(r q.Object) Object {
	return Object{
		App:       r.AppID,
		ID:        r.ObjectID,
		Kind:      Kind(r.Kind),
		Workspace: r.WorkspaceID,
		Owner:     r.OwnerID,
		Account:   r.UpstreamID,
		Name:      r.Name,
		CreatedAt: time.UnixMilli(r.CreatedAt).UTC(),
		UpdatedAt: time.UnixMilli(r.UpdatedAt).UTC(),
	}
}

// likePattern turns a typed query into a LIKE pattern, escaped with "!"; "" stays "".
func likePattern(query string) string {
	query = strings.ToLower(strings.TrimSpace(query))
	if query == "" {
		return ""
	}
	if len(query) > 200 {
		query = strings.ToValidUTF8(query[:200], "")
	}
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(query) + "%"
}

// Adopt gives unassigned objects to a workspace and to the owner that each names. It needs
// ObjectAdopt there. Objects that already have a row are left alone. It returns how many were
// adopted.
func (l *Library) Adopt(
	ctx context.Context,
	actor authz.Principal,
	appID, workspaceID string,
	objects []Object,
) (adopted int, err error) {
	res := authz.Resource{Type: "App", ID: appID, Workspace: workspaceID}
	err = l.cfg.Gate.DoDetail(ctx, actor, authz.ObjectAdopt, res, fmt.Sprintf("adopted up to %d "+
		"objects", len(objects)), func(tx *db.Tx) error {
		for _, o := range objects {
			o.App, o.Workspace = appID, workspaceID
			_, err := q.New(tx).GetObject(ctx, q.GetObjectParams{AppID: appID, ObjectID: o.ID})
			if err == nil {
				continue
			}
			if !problem.Is(db.Found(err, "none"), problem.NotFound) {
				return fmt.Errorf("reading an object: %w", err)
			}
			if _, err := l.claim(ctx, tx, []Object{o}); err != nil {
				return err
			}
			adopted++
		}
		return nil
	})
	if err != nil {
		adopted = 0
	}
	return adopted, err
}

// Move gives objects that are already assigned to another workspace and owner. It needs ObjectAdopt
// in that workspace and in theirs.
func (l *Library) Move(
	ctx context.Context,
	actor authz.Principal,
	appID string,
	ids []string,
	workspaceID, ownerID string,
) error {
	for _, id := range ids {
		from, _, ok := l.Owner(appID, id)
		if err := l.cfg.Gate.Check(ctx, actor, authz.ObjectAdopt, authz.Resource{
			Type:      "App",
			ID:        appID,
			Workspace: from,
		}); err != nil {
			return err
		}
		if !ok {
			return problem.New(problem.NotFound, "There is no such object.").WithField("id")
		}
	}
	res := authz.Resource{Type: "App", ID: appID, Workspace: workspaceID}
	return l.cfg.Gate.DoDetail(
		ctx,
		actor,
		authz.ObjectAdopt,
		res,
		fmt.Sprintf("moved %d objects", len(ids)),
		func(tx *db.Tx) error {
			for _, id := range ids {
				n, err := q.New(tx).MoveObject(ctx, q.MoveObjectParams{
					AppID:       appID,
					ObjectID:    id,
					WorkspaceID: workspaceID,
					OwnerID:     ownerID,
					UpdatedAt:   l.cfg.Now().UnixMilli(),
				})
				if err != nil {
					return fmt.Errorf("moving an object: %w", err)
				}
				if n == 0 {
					return problem.New(problem.NotFound, "There is no such object.").WithField("id")
				}
				if err := tx.Changed(ChangeKind, appID+"/"+id); err != nil {
					return err
				}
			}
			return nil
		},
	)
}

// Place records the owner of an object from before Sluice, in the caller's transaction. If the
// object is in the workspace from and has no owner, like everything adopted when its app was
// connected, it moves to its own workspace; "" moves nothing. Place checks no permission and leaves
// objects with an owner alone. It reports whether it changed anything.
func (l *Library) Place(ctx context.Context, tx *db.Tx, o Object, from string) (placed bool, err error) {
	if o.ID == "" || len(o.ID) > maxID || o.Workspace == "" {
		return false, problem.New(problem.Invalid, "An object needs an id and a workspace.").WithField("id")
	}
	now := l.cfg.Now().UnixMilli()
	n, err := q.New(tx).ClaimObject(ctx, q.ClaimObjectParams{
		AppID:       o.App,
		ObjectID:    o.ID,
		Kind:        string(o.Kind),
		WorkspaceID: o.Workspace,
		OwnerID:     o.Owner,
		UpstreamID:  o.Account,
		Name:        cleanName(o.Name),
		CreatedAt:   now,
	})
	if err == nil && n == 0 && from != "" {
		n, err = q.New(tx).PlaceObject(ctx, q.PlaceObjectParams{
			AppID:           o.App,
			ObjectID:        o.ID,
			WorkspaceID:     o.Workspace,
			OwnerID:         o.Owner,
			UpstreamID:      o.Account,
			FormerWorkspace: from,
			Now:             now,
		})
	}
	if err != nil {
		return false, fmt.Errorf("recording an object: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	return true, tx.Changed(ChangeKind, o.App+"/"+o.ID)
}

// Chat is where a chat session is used.
type Chat struct {
	// Workspace is the one that used it first, and Flow the flow that it was seen with, or "" if
	// unknown.
	Workspace, Flow string
	// Public reports that a person who was not signed in used it first.
	Public bool
}

// chatsKept bounds how many sessions are remembered, and chatAge how long after their last use.
// Forgotten sessions are looked up in the builder.
const (
	chatsKept = 100_000
	chatAge   = 24 * time.Hour
)

func newChats() (*otter.Cache[inner, Chat], error) {
	return otter.New(&otter.Options[inner, Chat]{
		MaximumSize:      chatsKept,
		ExpiryCalculator: otter.ExpiryAccessing[inner, Chat](chatAge),
	})
}

// LearnChat remembers that a session, identified by its text, is used in a workspace. People choose
// these texts, and some builders find messages by nothing else. So the workspace that used one
// first keeps it, and no other may name it while it is remembered.
func (l *Library) LearnChat(appID, session string, c Chat) {
	key := inner{appID, session}
	if old, ok := l.chats.GetIfPresent(key); ok && (old.Workspace != c.Workspace || old.Flow != "") {
		return
	}
	l.chats.ComputeIfPresent(key, func(old Chat) (Chat, otter.ComputeOp) {
		if old.Workspace != c.Workspace || old.Flow != "" {
			return old, otter.CancelOp
		}
		return c, otter.WriteOp
	})
	l.chats.SetIfAbsent(key, c)
}

// ChatOf is where a session is used, if it is remembered.
func (l *Library) ChatOf(appID, session string) (Chat, bool) {
	return l.chats.GetIfPresent(inner{appID, session})
}
