package authz

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// declaredActions are the constants of type Action in action.go.
func declaredActions(t *testing.T) (list []Action) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "action.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Action" {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Action(text))
		return true
	})
	if len(list) < 30 {
		t.Fatalf("only %d actions were found in action.go", len(list))
	}
	return list
}

// TestActions_AreListedOnce: an action missing from Actions would be in no decision table.
func TestActions_AreListedOnce(t *testing.T) {
	declared, listed := declaredActions(t), Actions()
	slices.Sort(declared)
	slices.Sort(listed)
	if !slices.Equal(declared, listed) {
		t.Errorf("action.go declares %v, Actions lists %v", declared, listed)
	}
}

// TestDescribe_HasWordsForEveryAction: a denial tells actions apart by these words.
func TestDescribe_HasWordsForEveryAction(t *testing.T) {
	unspoken := []Action{AccountSignIn, SetupClaim} // recorded, never refused by a policy
	said := map[string]Action{}
	for _, a := range Actions() {
		words := describe(a)
		if fallback := strings.Contains(words, string(a)); fallback != slices.Contains(unspoken, a) {
			t.Errorf("a denial of %s says: no right to %s", a, words)
		}
		if other, taken := said[words]; taken {
			t.Errorf("%s and %s are both described as %q", a, other, words)
		}
		said[words] = a
	}
	if got := describe("no-such:action"); got != "do this (no-such:action)" {
		t.Errorf("an unknown action is described as %q", got)
	}
}
