package problem_test

import (
	"encoding/json"
	"testing"

	"sluice/internal/problem"
)

func TestOpt_AbsentNullAndValue(t *testing.T) {
	type change struct {
		Name problem.Opt[string] `json:"name"`
		On   problem.Opt[bool]   `json:"on"`
	}
	for text, want := range map[string]change{
		`{}`:                              {},
		`{"name":null}`:                   {Name: problem.Opt[string]{Set: true, Null: true}},
		`{"name":""}`:                     {Name: problem.Some("")},
		`{"name":"Ann","on":false}`:       {Name: problem.Some("Ann"), On: problem.Some(false)},
		`{"on":true,"name": "Ann\u00e9"}`: {Name: problem.Some("Anné"), On: problem.Some(true)},
	} {
		var got change
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	var got change
	if err := json.Unmarshal([]byte(`{"on":"yes"}`), &got); err == nil {
		t.Errorf("a text for a switch was accepted: %+v", got)
	}
}

func TestOpt_Or(t *testing.T) {
	for _, c := range []struct {
		opt  problem.Opt[string]
		want string
	}{
		{problem.Opt[string]{}, "before"},
		{problem.Opt[string]{Set: true, Null: true}, ""},
		{problem.Some("after"), "after"},
		{problem.Maybe[string](nil), "before"},
		{problem.Maybe(new(string)), ""},
	} {
		if got := c.opt.Or("before"); got != c.want {
			t.Errorf("%+v: %q, want %q", c.opt, got, c.want)
		}
	}
}
