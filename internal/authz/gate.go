package authz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/maypok86/otter/v2"

	"sluice/internal/audit"
	"sluice/internal/db"
	"sluice/internal/problem"
)

// Gate is the one place where permissions are decided and recorded.
type Gate struct {
	db       *db.DB
	now      func() time.Time
	rules    atomic.Pointer[ruleset]
	changing sync.Mutex
	stepUp   time.Duration
	cache    *otter.Cache[question, Decision]
	recorder *recorder
}

type ruleset struct {
	set     *cedar.PolicySet
	version uint64
	strict  map[string]bool // workspaces that require a second factor
}

// question holds everything that a decision depends on. A change of a person's permissions changes
// their generation, and a change of policy changes the version.
type question struct {
	kind       Kind
	strong     bool
	superuser  bool
	scope      *Scope
	id         string
	generation uint64
	rules      uint64
	action     Action
	resource   Resource
}

// decisionsKept bounds the memory of the decision cache; one entry is about 300 bytes.
const decisionsKept = 20_000

// Config configures a Gate.
type Config struct {
	// DB stores the audit entries.
	DB *db.DB
	// StepUp is how long a proof of identity is good for dangerous actions; 0 means for the whole
	// session (SLUICE_STEP_UP_MINUTES).
	StepUp time.Duration
	// Now is the clock.
	Now func() time.Time
	// Log gets entries that could not be recorded.
	Log *slog.Logger
}

// NewGate loads the built-in policies and starts the recorder of refusals. Close it before the
// database.
func NewGate(c Config) (*Gate, error) {
	set, err := loadPolicies(builtin)
	if err != nil {
		return nil, fmt.Errorf("loading the built-in policies: %w", err)
	}
	cache, err := otter.New(&otter.Options[question, Decision]{MaximumSize: decisionsKept})
	if err != nil {
		return nil, fmt.Errorf("creating the decision cache: %w", err)
	}
	g := &Gate{db: c.DB, now: c.Now, stepUp: c.StepUp, cache: cache, recorder: startRecorder(c)}
	g.rules.Store(&ruleset{set: set, version: 1})
	return g, nil
}

// Close writes the pending refusals and counted entries.
func (g *Gate) Close(ctx context.Context) { g.recorder.stop(ctx) }

// Flush writes the pending refusals and counted entries. It is for tests and for pages that show
// the record.
func (g *Gate) Flush(ctx context.Context) { g.recorder.flushAll(ctx) }

// Decide answers from memory and records nothing. Use Check or Do, unless only the shape of a page
// depends on the answer.
func (g *Gate) Decide(p Principal, a Action, r Resource) Decision {
	rules := g.rules.Load()
	r.Name = ""
	key := question{
		kind:       p.Kind,
		strong:     p.Strong,
		superuser:  p.Superuser,
		scope:      p.Scope,
		id:         p.ID,
		generation: p.Generation,
		rules:      rules.version,
		action:     a,
		resource:   r,
	}
	if d, ok := g.cache.GetIfPresent(key); ok {
		return d
	}
	d := evaluate(rules, p, a, r)
	g.cache.Set(key, d)
	return d
}

// SetRoles replaces the custom roles.
func (g *Gate) SetRoles(roles []CustomRole) error {
	set, err := loadPolicies(builtin)
	if err != nil {
		return fmt.Errorf("loading the built-in policies: %w", err)
	}
	for _, r := range roles {
		policy, err := r.compile()
		if err != nil {
			return err
		}
		if policy != nil {
			set.Add(cedar.PolicyID("role:"+r.ID), policy)
		}
	}
	g.change(func(r *ruleset) { r.set = set })
	return nil
}

// SetStrict replaces the set of workspaces that require a second factor.
func (g *Gate) SetStrict(workspaces map[string]bool) {
	g.change(func(r *ruleset) { r.strict = workspaces })
}

// change puts new rules in force. The new version makes all cached decisions obsolete.
func (g *Gate) change(fn func(*ruleset)) {
	g.changing.Lock()
	defer g.changing.Unlock()
	next := *g.rules.Load()
	fn(&next)
	next.version++
	g.rules.Store(&next)
}

// Check decides whether p may take a on r, for reads and for traffic. It does no I/O; a refusal is
// recorded shortly after.
func (g *Gate) Check(_ context.Context, p Principal, a Action, r Resource) error {
	d := g.Decide(p, a, r)
	if d.Allowed {
		return nil
	}
	g.recorder.add(g.entry(p, a, r, audit.Denied, d, ""))
	return g.refusal(p, a, r, d)
}

// Do decides whether p may take a on r, runs fn in a transaction, and commits the audit entry with
// it. It records a refusal as Denied, and an error from fn as Failed after rollback. No change
// commits without its entry.
func (g *Gate) Do(ctx context.Context, p Principal, a Action, r Resource, fn func(*db.Tx) error) error {
	return g.DoDetail(ctx, p, a, r, "", fn)
}

// DoDetail is Do with a short safe text for the entry, such as which fields changed.
func (g *Gate) DoDetail(
	ctx context.Context,
	p Principal,
	a Action,
	r Resource,
	detail string,
	fn func(*db.Tx) error,
) error {
	return g.DoAll(ctx, p, Step{Action: a, Resource: r, Detail: detail, Change: fn})
}

// Step is one of several changes in one transaction, with its own question and its own audit entry.
type Step struct {
	Action   Action
	Resource Resource
	// Detail is a short safe text for the entry.
	Detail string
	// Change makes the change within the transaction.
	Change func(*db.Tx) error
}

// DoAll is Do for several changes in one transaction: all of them commit, or none. Only the first
// step that is refused or fails is recorded.
func (g *Gate) DoAll(ctx context.Context, p Principal, steps ...Step) error {
	decisions := make([]Decision, len(steps))
	for i, s := range steps {
		d := g.Decide(p, s.Action, s.Resource)
		if !d.Allowed {
			if err := g.append(ctx, g.entry(p, s.Action, s.Resource, audit.Denied, d, s.Detail)); err != nil {
				return err
			}
			return g.refusal(p, s.Action, s.Resource, d)
		}
		decisions[i] = d
	}
	for _, s := range steps {
		if dangerous[s.Action] || p.Automatic && beyondKeys[ClassOf(s.Action)] {
			if err := g.Fresh(p); err != nil {
				return err
			}
		}
	}
	failed := 0
	err := g.db.Gated(ctx, func(tx *db.Tx) error {
		for i, s := range steps {
			failed = i
			if err := s.Change(tx); err != nil {
				return err
			}
			if err := audit.Append(ctx, tx,
				g.entry(p, s.Action, s.Resource, audit.Done, decisions[i], s.Detail)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil || len(steps) == 0 {
		return err
	}
	s := steps[failed]
	entry := g.entry(p, s.Action, s.Resource, audit.Failed, decisions[failed], failure(err))
	return errors.Join(err, g.append(context.WithoutCancel(ctx), entry))
}

// Record writes an entry within the caller's transaction for an event that no policy decides, such
// as a sign-in.
func (g *Gate) Record(
	ctx context.Context,
	tx *db.Tx,
	p Principal,
	a Action,
	r Resource,
	o audit.Outcome,
	detail string,
) error {
	return audit.Append(ctx, tx, g.entry(p, a, r, o, Decision{}, detail))
}

// RecordLater hands an entry to the bounded recorder. It is for entries of which there may be many,
// such as failed sign-ins.
func (g *Gate) RecordLater(p Principal, a Action, r Resource, o audit.Outcome, detail string) {
	g.recorder.add(g.entry(p, a, r, o, Decision{}, detail))
}

// Count hands an event to the recorder to be counted: equal events within CountFor, of one
// principal and one resource, become one entry. It does no I/O, and a kill loses the pending
// entries. So it is for frequent events, and never for events that must be in the record, such as a
// change of permissions. If r has no name, the name of the flow is looked up before the entry is
// written.
func (g *Gate) Count(p Principal, a Action, r Resource, o audit.Outcome, detail string) {
	g.recorder.count(g.entry(p, a, r, o, Decision{}, detail), r.App)
}

// NameCounted supplies the name of a resource that is about to be deleted, for pending counted
// entries.
func (g *Gate) NameCounted(r Resource) { g.recorder.name(r) }

// NameFlows sets how the names of flows are looked up (by Resource.App and ID) for counted entries.
// It is called once, before the first event.
func (g *Gate) NameFlows(look func(context.Context, Resource) string) {
	g.recorder.mu.Lock()
	defer g.recorder.mu.Unlock()
	g.recorder.nameFlow = look
}

func (g *Gate) append(ctx context.Context, e audit.Entry) error {
	return g.db.Gated(ctx, func(tx *db.Tx) error { return audit.Append(ctx, tx, e) })
}

func (g *Gate) entry(p Principal, a Action, r Resource, o audit.Outcome, d Decision, detail string) audit.Entry {
	return audit.Entry{
		At: g.now(), ActorKind: p.Kind.String(), ActorID: p.ID, ActorName: p.Name, IP: p.IP, Action: string(a),
		ResourceType: r.Type, ResourceID: r.ID, ResourceName: r.Name, Workspace: r.Workspace,
		Outcome: o, Times: 1, Policies: strings.Join(d.Policies, ","), Detail: detail,
	}
}

// failure is the safe text of an error: the detail of its problem, never its cause.
func failure(err error) string {
	var e *problem.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return "internal error"
}

func (g *Gate) refusal(p Principal, a Action, r Resource, d Decision) error {
	if p.Kind == Anonymous {
		return problem.New(problem.Unauthenticated, "Sign in to do this.")
	}
	rule := "no policy permits " + string(a)
	if len(d.Policies) > 0 {
		rule = strings.Join(d.Policies, ",")
	}
	if slices.Contains(d.Policies, secondFactor) {
		return problem.New(problem.Denied, "This workspace requires a session with a second factor.").WithRule(rule).
			WithNext("Set up a second factor on your account page; if you have one, sign out and sign in with it.")
	}
	if slices.Contains(d.Policies, keyScope) {
		return problem.Newf(problem.Denied, "This API key cannot %s here.", describe(ClassOf(a))).WithRule(rule).
			WithNext("Use a key whose scope has it; its owner sees the scope on the keys page.")
	}
	if p.Automatic && !p.Superuser {
		return problem.Newf(problem.Denied, "An automatic sign-in does not have permission to %s here.",
			describe(ClassOf(a))).
			WithRule(rule).
			WithNext("The API gives no superuser permissions to an automatic sign-in. Sign in with your password, " +
				"or use an API key.")
	}
	next := "Only a superuser can do this."
	if roles := g.RolesAllowing(a, r); len(roles) > 0 {
		next = "This needs the role " + strings.Join(roles, " or ") + ". Ask an admin of the workspace."
	}
	return problem.Newf(problem.Denied, "You do not have permission to %s here.", describe(ClassOf(a))).
		WithRule(rule).
		WithNext(next)
}

// RolesAllowing lists the display names of the built-in roles that would permit an action on a
// resource, from least to most.
func (g *Gate) RolesAllowing(a Action, r Resource) []string {
	if r.Workspace == "" {
		return nil
	}
	var names []string
	for _, role := range []string{RoleViewer, RoleUser, RoleAdmin} {
		probe := Principal{
			Kind:        Person,
			Strong:      true,
			ID:          "role:" + role,
			Memberships: []Membership{{Workspace: r.Workspace, Role: role}},
		}
		if g.Decide(probe, a, Resource{Type: r.Type, Workspace: r.Workspace}).Allowed {
			names = append(names, RoleTitle(role))
		}
	}
	return names
}

// RoleTitle is the display name of a role.
func RoleTitle(role string) string {
	switch role {
	case RoleAdmin:
		return "Admin"
	case RoleUser:
		return "User"
	case RoleViewer:
		return "Viewer"
	case "":
		return "No role"
	}
	return role
}

// String is the kind's name in audit entries.
func (k Kind) String() string {
	switch k {
	case Person:
		return "person"
	case System:
		return "system"
	}
	return "anonymous"
}
