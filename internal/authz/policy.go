package authz

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"sort"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

//go:embed policies/*.cedar
var builtin embed.FS

// Decision is the answer to one question.
type Decision struct {
	// Allowed is the answer.
	Allowed bool
	// Policies are the ids of the policies that decided: the permits of an allowed request, the
	// forbids of a refused one. Empty means that no policy permits it.
	Policies []string
}

// Reason explains the decision in one sentence.
func (d Decision) Reason() string {
	names := strings.Join(d.Policies, ", ")
	if d.Allowed {
		return "Permitted by " + names + "."
	}
	if names == "" {
		return "No policy permits it."
	}
	return "Forbidden by " + names + "."
}

// loadPolicies parses every policy file. Each policy must carry an @id; ids are unique.
func loadPolicies(files fs.FS) (*cedar.PolicySet, error) {
	names, err := fs.Glob(files, "policies/*.cedar")
	if err != nil {
		return nil, err
	}
	set := cedar.NewPolicySet()
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		list, err := cedar.NewPolicyListFromBytes(path.Base(name), text)
		if err != nil {
			return nil, fmt.Errorf("policy file %s: %w", name, err)
		}
		for _, p := range list {
			id := cedar.PolicyID(p.Annotations()["id"])
			if id == "" {
				return nil, fmt.Errorf("policy file %s: every policy needs an @id", name)
			}
			if !set.Add(id, p) {
				return nil, fmt.Errorf("policy file %s: the id %q is used twice", name, id)
			}
		}
	}
	return set, nil
}

// CustomRole is a role that the installation has composed from permissions.
type CustomRole struct {
	// ID is the role's name in memberships.
	ID string
	// Permissions are names that IsPermission accepts; others are ignored.
	Permissions []string
}

// compile returns the policy of a custom role, or nil if the role permits nothing.
func (r CustomRole) compile() (*cedar.Policy, error) {
	var actions []string
	for _, name := range r.Permissions {
		if IsPermission(name) {
			actions = append(actions, "Action::"+strconv.Quote(name))
			if class, whole := wholeClass(Action(name)); whole {
				actions = append(actions, "Action::"+strconv.Quote(string(class)))
			}
		}
	}
	if len(actions) == 0 {
		return nil, nil
	}
	text := "permit (principal, action in [" + strings.Join(
		actions,
		", ",
	) + "], resource)\nwhen { resource has workspace && " +
		"principal.memberships.contains({\"workspace\": resource.workspace, \"role\": " + strconv.Quote(
		r.ID,
	) + "}) };"
	var p cedar.Policy
	if err := p.UnmarshalCedar([]byte(text)); err != nil {
		return nil, fmt.Errorf("role %s: %w", r.ID, err)
	}
	return &p, nil
}

// evaluate asks the policies. It takes microseconds; Gate caches the answers.
func evaluate(rules *ruleset, p Principal, a Action, r Resource) Decision {
	if p.Kind == Anonymous {
		return Decision{}
	}
	if !p.Scope.permits(a, r) {
		return Decision{Policies: []string{keyScope}}
	}
	principal, resource := entity("User", p.ID), entity(r.Type, r.ID)
	entities := types.EntityMap{resource: {UID: resource, Attributes: types.NewRecord(rules.resourceAttributes(r))}}
	attributes := principalAttributes(p)
	if principal == resource {
		// The person acts on their own account: one entity with the attributes of both.
		maps.Copy(attributes, rules.resourceAttributes(r))
	}
	entities[principal] = types.Entity{UID: principal, Attributes: types.NewRecord(attributes)}
	action := entity("Action", string(a))
	if class := ClassOf(a); class != a {
		entities[action] = types.Entity{UID: action, Parents: types.NewEntityUIDSet(entity("Action", string(class)))}
	}
	request := cedar.Request{Principal: principal, Action: action, Resource: resource, Context: types.NewRecord(nil)}
	verdict, diagnostic := cedar.Authorize(rules.set, entities, request)
	d := Decision{Allowed: verdict == cedar.Allow && len(diagnostic.Errors) == 0}
	for _, reason := range diagnostic.Reasons {
		d.Policies = append(d.Policies, string(reason.PolicyID))
	}
	for _, e := range diagnostic.Errors {
		// A policy that cannot be evaluated denies: when in doubt, access is closed.
		d.Policies = append(d.Policies, string(e.PolicyID)+" (error)")
	}
	sort.Strings(d.Policies)
	return d
}

func entity(kind, id string) types.EntityUID {
	return types.NewEntityUID(types.EntityType(kind), types.String(id))
}

func principalAttributes(p Principal) types.RecordMap {
	memberships, workspaces := make([]types.Value, len(p.Memberships)), make([]types.Value, len(p.Memberships))
	for i, m := range p.Memberships {
		workspaces[i] = types.String(m.Workspace)
		memberships[i] = types.NewRecord(
			types.RecordMap{"workspace": types.String(m.Workspace), "role": types.String(m.Role)},
		)
	}
	return types.RecordMap{
		"superuser":   types.Boolean(p.Superuser),
		"strong":      types.Boolean(p.Strong),
		"memberships": types.NewSet(memberships...),
		"workspaces":  types.NewSet(workspaces...),
	}
}

func (rules *ruleset) resourceAttributes(r Resource) types.RecordMap {
	attributes := types.RecordMap{}
	if r.Workspace != "" {
		attributes["workspace"] = types.String(r.Workspace)
	}
	if rules.strict[r.Workspace] {
		attributes["strict"] = types.Boolean(true)
	}
	if r.Owner != "" {
		attributes["owner"] = entity("User", r.Owner)
	}
	return attributes
}
