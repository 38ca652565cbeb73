package authz

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestDecision_ReasonNamesThePolicies(t *testing.T) {
	for want, d := range map[string]Decision{
		"Permitted by own-keys, role-user.": {Allowed: true, Policies: []string{"own-keys", "role-user"}},
		"Permitted by superuser.":           {Allowed: true, Policies: []string{"superuser"}},
		"Forbidden by second-factor.":       {Policies: []string{"second-factor"}},
		"No policy permits it.":             {},
	} {
		if got := d.Reason(); got != want {
			t.Errorf("%+v: %q, want %q", d, got, want)
		}
	}
}

// policyFiles are policy files as they are embedded: name and text by turns.
func policyFiles(pairs ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i := 0; i+1 < len(pairs); i += 2 {
		files["policies/"+pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return files
}

// TestEvaluate_APolicyThatFailsDenies: what another policy permits stays closed while one policy
// cannot be evaluated, and the decision tells which.
func TestEvaluate_APolicyThatFailsDenies(t *testing.T) {
	const everybody = `@id("everybody") permit (principal, action, resource);`
	const broken = `@id("broken") permit (principal, action, resource) when { principal.height > 2 };`
	ann := Principal{Kind: Person, ID: "ann"}
	for _, c := range []struct {
		name    string
		files   fstest.MapFS
		allowed bool
		names   []string
	}{
		{"sound", policyFiles("a.cedar", everybody), true, []string{"everybody"}},
		{
			"one fails",
			policyFiles("a.cedar", everybody, "b.cedar", broken),
			false,
			[]string{"broken (error)", "everybody"},
		},
		{"no policy", policyFiles(), false, nil},
	} {
		set, err := loadPolicies(c.files)
		if err != nil {
			t.Fatal(err)
		}
		d := evaluate(&ruleset{set: set}, ann, FlowView, Resource{Type: "Flow", ID: "f1"})
		if d.Allowed != c.allowed || !slices.Equal(d.Policies, c.names) {
			t.Errorf("%s: %+v, want %v by %v", c.name, d, c.allowed, c.names)
		}
	}
}

func TestLoadPolicies_RefusesWhatCannotBeTold(t *testing.T) {
	const named = `@id("same") permit (principal, action, resource);`
	for want, files := range map[string]fstest.MapFS{
		"every policy needs an @id":    policyFiles("a.cedar", `permit (principal, action, resource);`),
		`the id "same" is used twice`:  policyFiles("a.cedar", named, "b.cedar", named),
		"policy file policies/a.cedar": policyFiles("a.cedar", `permit (principal`),
	} {
		if _, err := loadPolicies(files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
