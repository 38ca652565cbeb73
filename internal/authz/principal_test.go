package authz

import "testing"

func TestPrincipal_SignedIn(t *testing.T) {
	for _, c := range []struct {
		name string
		who  Principal
		want bool
	}{
		{"a person", Principal{Kind: Person, ID: "ann"}, true},
		{"nobody", Principal{}, false},
		{"the command line", SystemPrincipal("cli"), false},
	} {
		if got := c.who.SignedIn(); got != c.want {
			t.Errorf("%s: signed in %v, want %v", c.name, got, c.want)
		}
	}
}

func TestPrincipal_Role(t *testing.T) {
	ann := Principal{Kind: Person, Memberships: []Membership{{"w1", RoleViewer}, {"w2", RoleAdmin}}}
	for workspace, want := range map[string]string{"w1": RoleViewer, "w2": RoleAdmin, "w3": "", "": ""} {
		if got := ann.Role(workspace); got != want {
			t.Errorf("in %q: %q, want %q", workspace, got, want)
		}
	}
	if got := (Principal{}).Role("w1"); got != "" {
		t.Errorf("nobody has the role %q", got)
	}
}
