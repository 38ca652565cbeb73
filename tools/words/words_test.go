package main

import "testing"

func TestRules(t *testing.T) {
	if len(rules) > 60 {
		t.Errorf("%d rules, at most 60", len(rules))
	}
	for _, r := range rules {
		if !r.pattern.MatchString(r.bad) {
			t.Errorf("%s does not match %q", r.name, r.bad)
		}
		if m := r.pattern.FindString(r.good); m != "" {
			t.Errorf("%s matches %q in %q", r.name, m, r.good)
		}
	}
}
