package authz

import (
	"slices"
	"testing"
)

func TestPermissions_AreGroupedAndUnique(t *testing.T) {
	list := Permissions()
	seen, closed := map[Action]bool{}, map[string]bool{}
	for i, p := range list {
		if p.Name == "" || p.Title == "" || p.Group == "" || !slices.Contains(Actions(), p.Class) {
			t.Errorf("incomplete: %+v", p)
		}
		if seen[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		seen[p.Name] = true
		if closed[p.Group] {
			t.Errorf("%s stands apart from its group %s", p.Name, p.Group)
		}
		if i+1 < len(list) && list[i+1].Group != p.Group {
			closed[p.Group] = true
		}
	}
	if list[0].Group != "Builder" || list[len(list)-1].Name != "members:manage" {
		t.Errorf("the list begins with %+v and ends with %+v", list[0], list[len(list)-1])
	}
	tools := slices.IndexFunc(list, func(p Permission) bool { return p.Name == "tools:view" })
	if tools < 0 || list[tools+1].Name != "tools:create" {
		t.Error("within a group the order of the list is not kept")
	}
}

func TestGroupRank_UnknownGroupsComeLast(t *testing.T) {
	if got := groupRank("Builder"); got != 0 {
		t.Errorf("the first group has rank %d", got)
	}
	if got := groupRank("no such group"); got != len(grants) {
		t.Errorf("an unknown group has rank %d, want %d", got, len(grants))
	}
}

func TestClassOf(t *testing.T) {
	for name, want := range map[Action]Action{
		"chatflows:create": FlowEdit,
		"chatflows:run":    FlowRun,
		"tools:create":     BuilderCode,
		"members:manage":   MemberManage,
		FlowRun:            FlowRun,
		"no such thing":    "no such thing",
	} {
		if got := ClassOf(name); got != want {
			t.Errorf("ClassOf(%s) = %s, want %s", name, got, want)
		}
	}
}

func TestIsPermission(t *testing.T) {
	for name, want := range map[string]bool{
		"chatflows:create": true,
		"credential:view":  true,
		"app:open":         true,
		"flow:edit":        false,
		"":                 false,
		"chatflows":        false,
	} {
		if got := IsPermission(name); got != want {
			t.Errorf("IsPermission(%q) = %v", name, got)
		}
	}
}

func TestWholeClass(t *testing.T) {
	for name, want := range map[Action]struct {
		class Action
		whole bool
	}{
		"members:manage":   {MemberManage, true},
		"keys:manage":      {KeyManage, true},
		"chatflows:create": {FlowEdit, false},
		// The permission has the action's own name: there is nothing to put in its place.
		"app:open":        {AppOpen, false},
		"credential:view": {CredentialView, false},
	} {
		if class, whole := wholeClass(name); class != want.class || whole != want.whole {
			t.Errorf("wholeClass(%s) = %s, %v", name, class, whole)
		}
	}
}

func TestGrantable(t *testing.T) {
	for a, want := range map[Action]bool{
		FlowRun: true, "chatflows:create": true, UserDelete: true, SystemView: true,
		AccountSignIn: false, SetupClaim: false, KeyUse: false, DataImport: false,
		KeyOwn: false, KeyManage: false, "keys:manage": false, AccountUpdate: false, AccountFactors: false,
		"no such thing": false, "": false,
	} {
		if got := Grantable(a); got != want {
			t.Errorf("Grantable(%s) = %v, want %v", a, got, want)
		}
	}
}

func TestReaches(t *testing.T) {
	scope := &Scope{Workspace: "w1", Also: []string{"w2"}}
	for workspace, want := range map[string]bool{"w1": true, "w2": true, "w3": false, "": false} {
		if got := scope.Reaches(workspace); got != want {
			t.Errorf("Reaches(%q) = %v", workspace, got)
		}
	}
	if !(*Scope)(nil).Reaches("w3") {
		t.Error("no scope does not reach everything")
	}
	in := Resource{Type: "Flow", ID: "f", Workspace: "w2"}
	if !scope.permits(FlowRun, in) || (&Scope{Workspace: "w1"}).permits(FlowRun, in) {
		t.Error("a further workspace counts where it is not listed, or does not where it is")
	}
}
