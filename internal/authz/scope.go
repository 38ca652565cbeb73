package authz

import "slices"

// keyScope is the policy id in decisions that a scope has refused.
const keyScope = "key-scope"

// Scope limits what an API key can do, in addition to the permissions of its owner: an upper bound
// that policies cannot lift. Values are immutable.
type Scope struct {
	// Workspace is the one that the key works in. The objects of others are out of its reach.
	Workspace string
	// Also are further workspaces within the key's reach. It sees no lists of them.
	Also []string
	// Actions are the actions that the key can take, by class or by fine permission. Empty means
	// everything that the owner may do in the workspace. Dangerous actions, and actions that
	// concern the whole installation, must be named.
	Actions []Action
	// Apps and Flows are lists of ids; empty means all. With Flows the key opens the app's shell
	// and those flows, and nothing else.
	Apps, Flows []string
}

// beyondKeys are actions that no key can take, named or not: a thief must not be able to prolong a
// stolen key, or to become its owner.
var beyondKeys = map[Action]bool{KeyOwn: true, KeyManage: true, AccountUpdate: true, AccountFactors: true}

// Grantable reports whether a key's scope can contain an action or a permission.
func Grantable(a Action) bool {
	if beyondKeys[ClassOf(a)] {
		return false
	}
	decided := a != AccountSignIn && a != SetupClaim && a != KeyUse && a != DataImport
	return IsPermission(string(a)) || slices.Contains(Actions(), a) && decided
}

// Reaches reports whether a workspace is within the scope.
func (s *Scope) Reaches(workspace string) bool {
	return s == nil || s.Workspace == workspace || slices.Contains(s.Also, workspace)
}

// permits reports whether a question is within the scope.
func (s *Scope) permits(a Action, r Resource) bool {
	if s == nil {
		return true
	}
	named := slices.Contains(s.Actions, a) || slices.Contains(s.Actions, ClassOf(a))
	if beyondKeys[ClassOf(a)] {
		return false
	}
	mustBeNamed := dangerous[a] || len(s.Actions) > 0 || r.Workspace == "" && r.Owner == ""
	if mustBeNamed && !named {
		return false
	}
	if r.Workspace != "" && !s.Reaches(r.Workspace) {
		return false
	}
	if len(s.Apps) > 0 && !slices.Contains(s.Apps, r.App) {
		return false
	}
	return len(s.Flows) == 0 || a == AppOpen || r.Type == "Flow" && slices.Contains(s.Flows, r.ID)
}
