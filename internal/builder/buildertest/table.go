package buildertest

import (
	"slices"
	"strings"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/profile"
)

// CheckTable checks the rules that every kind's table follows: each row has a unique name, is
// reached by its own path, and says enough to be decided. A row that is open to everyone must not
// carry a session to the builder. The rows named in short are exempt because they tell strangers
// less.
func CheckTable(t *testing.T, k *builder.Kind, short ...string) {
	t.Helper()
	p, err := k.Load(builder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range p.Endpoints() {
		if names[e.Name] {
			t.Errorf("the name %s is used twice", e.Name)
		}
		names[e.Name] = true
		checkPath(t, p, e)
		if e.Blocked == "" && !slices.Contains(authz.Actions(), e.Action) {
			t.Errorf("%s: action %q", e.Name, e.Action)
		}
		if e.Blocked != "" && (!strings.HasSuffix(e.Blocked, ".") || e.Public != profile.PublicNever) {
			t.Errorf("%s: a blocked row needs a sentence and no public access: %q", e.Name, e.Blocked)
		}
		if e.Public == profile.PublicAlways && e.Upstream != profile.UpstreamNone && e.Own.Answer == "" &&
			!slices.Contains(short, e.Name) {
			t.Errorf("%s: it is open to everyone, so it must not carry a session", e.Name)
		}
		for _, ref := range slices.Concat(e.Flow, e.Objects) {
			if ref.In == profile.InPath && !hasParameter(e.Pattern, ref.Name) {
				t.Errorf("%s: the pattern has no {%s}", e.Name, ref.Name)
			}
		}
	}
}

func hasParameter(pattern, name string) bool {
	return slices.ContainsFunc([]string{"}", ":", "..."}, func(end string) bool {
		return strings.Contains(pattern, "{"+name+end)
	})
}

// checkPath checks that a path accepted by a row's pattern reaches that row with each of its
// methods.
func checkPath(t *testing.T, p *profile.Profile, e *profile.Endpoint) {
	t.Helper()
	path, err := profile.Canonical(example(e.Pattern))
	if err != nil {
		t.Errorf("%s: the example path is not canonical: %v", e.Name, err)
		return
	}
	for _, method := range e.Methods {
		m, ok := p.Match(method, path)
		switch {
		case !ok:
			t.Errorf("%s %s reaches no row, want %s", method, path, e.Name)
		case m.Endpoint != e:
			t.Errorf("%s %s reaches the row %s, want %s", method, path, m.Endpoint.Name, e.Name)
		}
	}
}

// example is a path that a pattern accepts.
func example(pattern string) string {
	segs := strings.Split(pattern, "/")
	for i, seg := range segs {
		switch {
		case strings.HasSuffix(seg, ":uuid}"):
			segs[i] = "11111111-1111-4111-8111-111111111111"
		case strings.HasSuffix(seg, "...}"):
			segs[i] = "x/y"
		case strings.HasPrefix(seg, "{"):
			segs[i] = "any-Text.1"
		}
	}
	return strings.Join(segs, "/")
}
