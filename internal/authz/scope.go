package authz

import "slices"

// keyScope stands in decisions that a scope has refused.
const keyScope = "key-scope"

// Scope bounds what somebody may do with one API key, whatever rights they have: an upper bound
// that policies cannot lift. Values are immutable.
type Scope struct {
	// Workspace is the one that the key works in; what lies in others is out of its reach.
	Workspace string
	// Also are further workspaces within its reach, of which it sees no lists.
	Also []string
	// Actions are what the key may do, by class or by fine permission; empty means all that the
	// owner may do in the workspace. What belongs to the whole installation, and what is dangerous,
	// must be named.
	Actions []Action
	// Apps and Flows list ids; empty means all. With Flows the key opens the app's shell and those
	// flows, and nothing else.
	Apps, Flows []string
}

// beyondKeys are what no key may do, named or not: somebody who finds one must not be able to make
// it last, or to become its owner.
var beyondKeys = map[Action]bool{KeyOwn: true, KeyManage: true, AccountUpdate: true, AccountFactors: true}

// Grantable reports whether an action, or a permission, may stand in a key's scope.
func Grantable(a Action) bool {
	if beyondKeys[ClassOf(a)] {
		return false
	}
	decided := a != AccountSignIn && a != SetupClaim && a != KeyUse && a != DataImport
	return IsPermission(string(a)) || slices.Contains(Actions(), a) && decided
}

// Reaches reports whether a workspace lies within the scope.
func (s *Scope) Reaches(workspace string) bool {
	return s == nil || s.Workspace == workspace || slices.Contains(s.Also, workspace)
}

// permits reports whether a question lies within the scope.
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
