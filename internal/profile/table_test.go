package profile

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// load compiles a table that must be valid.
func load(t *testing.T, s Source) *Profile {
	t.Helper()
	p, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestNew_RefusesBadRows: each row is wrong in one way, and the error says in which.
func TestNew_RefusesBadRows(t *testing.T) {
	for name, c := range map[string]struct{ row, says string }{
		"unknown field": {
			`name: a, methods: [GET], path: /a, action: "flow:view", colour: red`,
			"field colour not found",
		},
		"no name": {
			`methods: [GET], path: /a, action: "flow:view"`,
			"name and methods are needed",
		},
		"no methods": {
			`name: a, path: /a, action: "flow:view"`,
			"name and methods are needed",
		},
		"no action": {
			`name: a, methods: [GET], path: /a`,
			"needs an action",
		},
		"unknown action": {
			`name: a, methods: [GET], path: /a, action: "flow:fly"`,
			`action "flow:fly" does not exist`,
		},
		"a method that follows GET": {
			`name: a, methods: [HEAD], path: /a, action: "flow:view"`,
			`method "HEAD" is not allowed`,
		},
		"unknown method": {
			`name: a, methods: [TRACE], path: /a, action: "flow:view"`,
			`method "TRACE" is not allowed`,
		},
		"same row twice": {
			`name: a, methods: [GET], path: /a, action: "flow:view"}, ` +
				`{name: b, methods: [GET], path: /a, action: "flow:view"`,
			"is the row a already",
		},
		"same shape twice": {
			`name: a, methods: [GET], path: "/{a:uuid}", action: "flow:view"}, ` +
				`{name: b, methods: [GET], path: "/{b:uuid}", action: "flow:view"`,
			"is the row a already",
		},
		"same rest twice": {
			`name: a, methods: [GET], path: "/{a...}", action: "flow:view"}, ` +
				`{name: b, methods: [GET], path: "/{b...}", action: "flow:view"`,
			"is the row a already",
		},
		"with and without a slash": {
			`name: a, methods: [GET], path: /a/, action: "flow:view"}, ` +
				`{name: b, methods: [GET], path: /a, action: "flow:view"`,
			"is the row a already",
		},
		"unknown public": {
			`name: a, methods: [GET], path: /a, action: "flow:view", public: sometimes`,
			`public "sometimes"`,
		},
		"unknown upstream": {
			`name: a, methods: [GET], path: /a, action: "flow:view", upstream: password`,
			`upstream "password"`,
		},
		"public without flow": {
			`name: a, methods: [GET], path: /a, action: "flow:view", public: flow`,
			"need the place of the flow's id",
		},
		"flow key without flow": {
			`name: a, methods: [POST], path: /a, action: "flow:run", flow_key: chatflow`,
			"need the place of the flow's id",
		},
		"a place that is none": {
			`name: a, methods: [GET], path: /a, action: "flow:view", flow: [header.x]`,
			`id place "header.x"`,
		},
		"a place without a name": {
			`name: a, methods: [GET], path: /a, action: "flow:view", flow: [query.]`,
			`id place "query."`,
		},
		"a place without a dot": {
			`name: a, methods: [GET], path: /a, action: "flow:view", objects: [query]`,
			`id place "query"`,
		},
		"kind of no object": {
			`name: a, methods: [GET], path: "/{x}", action: "flow:view", objects: [path.x house]`,
			"no such kind of object",
		},
		"optional and open": {
			`name: a, methods: [GET], path: /a, action: "flow:view", optional: x`,
			"an optional row needs the sentence",
		},
		"named without path": {
			`name: a, methods: [POST], path: /a, action: "flow:run", flow: [body.flow], named: true`,
			"named needs the flow's place",
		},
		"named by a job": {
			`name: a, methods: [POST], path: "/{job}", action: "flow:run", flow: [path.job job], named: true`,
			"named needs the flow's place",
		},
		"locked on a write": {
			`name: a, methods: [POST], path: "/{flow}", action: "flow:view", flow: [path.flow], locked: locked`,
			"locked is only for rows that read",
		},
		"denied but public": {
			`name: a, methods: [GET], path: /a, action: "flow:view", public: always, denied: x`,
			"denied is for rows that need a right",
		},
		"denied but blocked": {
			`name: a, methods: [GET], path: /a, blocked: "It is closed.", denied: x`,
			"denied is for rows that need a right",
		},
		"many of nothing": {
			`name: a, methods: [POST], path: /a, action: "flow:edit", many: true`,
			"many needs creates",
		},
		"guarded answer": {
			`name: a, methods: [POST], path: /a, action: "flow:edit", answer: x, guards: [code]`,
			"needs no guards and no upstream",
		},
		"answer and upstream": {
			`name: a, methods: [POST], path: /a, action: "flow:edit", answer: x, upstream: none`,
			"needs no guards and no upstream",
		},
		"creates no object": {
			`name: a, methods: [POST], path: /a, action: "flow:edit", creates: house`,
			`no kind "house"`,
		},
		"list without by": {
			`name: a, methods: [GET], path: /a, action: "flow:view", list: {at: data}`,
			"list: by is needed",
		},
		"list of pages that are none": {
			`name: a, methods: [GET], path: /a, action: "flow:view", list: {by: id, most: 1}`,
			"most needs pages",
		},
		"lesson without by": {
			`name: a, methods: [GET], path: /a, action: "flow:view", learn: {parent: flow}`,
			"by and parent are needed",
		},
		"lesson without parent": {
			`name: a, methods: [GET], path: /a, action: "flow:view", learn: {by: id}`,
			"by and parent are needed",
		},
		"hides no member": {
			`name: a, methods: [GET], path: /a, action: "flow:view", hides: {where: type, is: Secret}`,
			"member, where and is are needed",
		},
		"hides without where": {
			`name: a, methods: [GET], path: /a, action: "flow:view", hides: {member: value, is: Secret}`,
			"member, where and is are needed",
		},
		"hides without is": {
			`name: a, methods: [GET], path: /a, action: "flow:view", hides: {member: value, where: type}`,
			"member, where and is are needed",
		},
		"deletes nothing": {
			`name: a, methods: [DELETE], path: /a, action: "flow:edit", deletes: true`,
			"need the place of an id",
		},
		"renames nothing": {
			`name: a, methods: [PUT], path: /a, action: "flow:edit", renames: true`,
			"need the place of an id",
		},
		"permission of another action": {
			`name: a, methods: [GET], path: /a, action: "flow:edit", permission: ["chatflows:view"]`,
			"is no part of",
		},
		"unknown permission": {
			`name: a, methods: [GET], path: /a, action: "flow:view", permission: ["chatflows:view", "chatflows:fly"]`,
			`permission "chatflows:fly" does not exist`,
		},
		"body permission of another action": {
			`name: a, methods: [POST], path: /a, action: "flow:edit", ` +
				`body: [{keys: [x], action: "flow:publish", permission: ["chatflows:view"]}]`,
			"is no part of",
		},
		"body rule without keys": {
			`name: a, methods: [POST], path: /a, action: "flow:edit", body: [{action: "flow:edit"}]`,
			"keys are needed",
		},
		"body rule of none": {
			`name: a, methods: [GET], path: /a, action: "flow:view", body: [{keys: [x]}]`,
			"either an existing action or refused",
		},
		"body rule of both": {
			`name: a, methods: [GET], path: /a, action: "flow:view", ` +
				`body: [{keys: [x], action: "flow:edit", refused: true}]`,
			"either an existing action or refused",
		},
		"refused for an action that does not exist": {
			`name: a, methods: [GET], path: /a, action: "flow:view", ` +
				`body: [{keys: [x], action: "flow:fly", refused: true}]`,
			"either an existing action or refused",
		},
		"dropped, refused": {
			`name: a, methods: [POST], path: /a, action: "flow:edit", body: [{keys: [x], refused: true, drop: true}]`,
			"only top-level keys that need an action",
		},
		"dropped in a list": {
			`name: a, methods: [POST], path: /a, action: "flow:edit", ` +
				`body: [{in: y, keys: [x], action: "flow:edit", drop: true}]`,
			"only top-level keys that need an action",
		},
		"a mark that is no key": {
			`name: a, methods: [POST], path: /a, action: "flow:edit", ` +
				`body: [{keys: [x], action: "flow:edit", mark: y}]`,
			"the mark is none",
		},
		"a mark in a list": {
			`name: a, methods: [POST], path: /a, action: "flow:edit", ` +
				`body: [{in: y, keys: [x], action: "flow:edit", mark: x}]`,
			"the mark is none",
		},
		"no slash at the start": {
			`name: a, methods: [GET], path: a, action: "flow:view"`,
			"must start with a slash",
		},
		"two slashes": {
			`name: a, methods: [GET], path: "/a//", action: "flow:view"`,
			"has an empty segment",
		},
		"a dot segment": {
			`name: a, methods: [GET], path: "/a/..", action: "flow:view"`,
			"is not a plain segment",
		},
		"a literal with an escape": {
			`name: a, methods: [GET], path: "/a%20b", action: "flow:view"`,
			"is not a plain segment",
		},
		"a literal beyond ASCII": {
			// The lowest byte of this letter is that of "a".
			`name: a, methods: [GET], path: "/š", action: "flow:view"`,
			"is not a plain segment",
		},
		"five placeholders": {
			`name: a, methods: [GET], path: "/{a}/{b}/{c}/{d}/{e}", action: "flow:view"`,
			"one too many",
		},
		"a placeholder twice": {
			`name: a, methods: [GET], path: "/{a}/{a}", action: "flow:view"`,
			"is used twice",
		},
		"a placeholder without a name": {
			`name: a, methods: [GET], path: "/{:uuid}", action: "flow:view"`,
			"is not a placeholder",
		},
		"a placeholder of an unknown class": {
			`name: a, methods: [GET], path: "/{a:int}", action: "flow:view"`,
			"is not a placeholder",
		},
		"a placeholder of an empty class": {
			`name: a, methods: [GET], path: "/{a:}", action: "flow:view"`,
			"is not a placeholder",
		},
		"a rest with a class": {
			`name: a, methods: [GET], path: "/{a:uuid...}", action: "flow:view"`,
			"is not a placeholder",
		},
		"a placeholder that is not closed": {
			`name: a, methods: [GET], path: "/{a", action: "flow:view"`,
			"is not a placeholder",
		},
		"rest and a slash": {
			`name: a, methods: [GET], path: "/{a...}/", action: "flow:view"`,
			"{name...} must be last",
		},
		"rest and more": {
			`name: a, methods: [GET], path: "/{a...}/b", action: "flow:view"`,
			"{name...} must be last",
		},
	} {
		_, err := New(Source{Table: []byte("[{" + c.row + "}]")})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error that says %q", name, err, c.says)
		}
	}
}

func TestNew_SaysWhichRowIsBad(t *testing.T) {
	for what, s := range map[string]Source{
		"a file": {Table: []byte(`[{name: a, methods: [TRACE], path: /a, action: "flow:view"}]`)},
		"rows":   {Rows: []*Endpoint{{Name: "a", Methods: []string{"TRACE"}, Pattern: "/a"}}},
	} {
		_, err := New(s)
		var bad *RowError
		if !errors.As(err, &bad) || bad.Name != "a" || bad.Pattern != "/a" || bad.Unwrap() == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestNew_AnOptionalRowIsClosedUntilItIsOpened(t *testing.T) {
	table := []byte(`[
		{name: a, methods: [GET], path: /a, action: "flow:view", optional: metrics, blocked: " Open it first. "},
		{name: b, methods: [GET], path: /b, action: "flow:view", optional: traces, blocked: "Closed."},
		{name: c, methods: [GET], path: /c, blocked: "Closed for good."},
	]`)
	blocked := func(open ...string) (out []string) {
		for _, e := range load(t, Source{Table: table, Open: open}).Endpoints() {
			out = append(out, e.Blocked)
		}
		return out
	}
	if diff := cmp.Diff([]string{"Open it first.", "Closed.", "Closed for good."}, blocked()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"", "Closed.", "Closed for good."}, blocked("metrics")); diff != "" {
		t.Error(diff)
	}
	_, err := New(Source{Table: table, Open: []string{"metrics", "everything"}})
	if !problem.Is(err, problem.Invalid) || problem.Of(err).Field != "open" {
		t.Errorf("an optional row that does not exist: %v", err)
	}
}

// TestNew_WorksOutWhatIsAskedOnEveryRequest checks the fields that follow from a row.
func TestNew_WorksOutWhatIsAskedOnEveryRequest(t *testing.T) {
	p := load(t, Source{Table: []byte(`[
		{name: path, methods: [GET], path: "/{flow}/{chat}/{tool}", action: "flow:view", flow: [path.flow],
			objects: [path.tool tool, query.chat]},
		{name: body, methods: [POST], path: "/{chat}", action: "flow:edit", objects: [body.tools tool, path.chat]},
		{name: query, methods: [DELETE], path: "/q", action: "flow:edit", objects: [query.tool tool], deletes: true},
		{name: both, methods: [DELETE], path: "/b/{flow}/{tool}", action: "flow:edit", flow: [path.flow],
			objects: [path.tool tool], deletes: true},
		{name: list, methods: [GET], path: "/l", action: "flow:view", list: {by: id}},
		{name: answered, methods: [GET], path: "/o", action: "flow:view", answer: version},
		{name: nothing, methods: [PUT], path: "/n", action: "flow:edit", objects: [body.chat]},
	]`)})
	type follows struct {
		Loose                                  []string
		NamesObjects, NamesInBody, ReadsAnswer bool
	}
	for name, want := range map[string]follows{
		"path":     {Loose: []string{"chat"}, NamesObjects: true},
		"body":     {Loose: []string{"chat"}, NamesObjects: true, NamesInBody: true},
		"query":    {NamesObjects: true, ReadsAnswer: true},
		"both":     {NamesObjects: true, ReadsAnswer: true},
		"list":     {ReadsAnswer: true},
		"answered": {},
		"nothing":  {},
	} {
		e := p.Endpoint(name)
		if e == nil || e.Name != name {
			t.Fatalf("the row %s is %+v", name, e)
		}
		got := follows{e.Loose, e.NamesObjects, e.NamesInBody, e.ReadsAnswer}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if e := p.Endpoint("none"); e != nil {
		t.Errorf("a row that does not exist: %+v", e)
	}
}

func TestNew_AFlowMayBeNamedOnlyInThePath(t *testing.T) {
	p := load(t, Source{Table: []byte(`[
		{name: a, methods: [POST], path: "/{flow}", action: "flow:run", flow: [path.flow, query.flow, path.flow job],
			named: true},
		{name: b, methods: [POST], path: "/b/{flow}", action: "flow:run", flow: [path.flow]},
	]`)})
	want := []IDRef{
		{In: InPath, Name: "flow", Kind: flow.Chatflow, Named: true},
		{In: InQuery, Name: "flow", Kind: flow.Chatflow},
		{In: InPath, Name: "flow", Kind: Job},
	}
	if diff := cmp.Diff(want, p.Endpoint("a").Flow); diff != "" {
		t.Error(diff)
	}
	if p.Endpoint("b").Flow[0].Named {
		t.Error("a row that does not say so takes names")
	}
}

func TestAsks_DependsOnTheKindOfFlow(t *testing.T) {
	both := []authz.Action{"chatflows:view", "agentflows:view"}
	p := load(t, Source{Rows: []*Endpoint{{
		Name:        "a",
		Methods:     []string{"GET"},
		Pattern:     "/a",
		Permissions: both,
		Body:        []BodyRule{{Permissions: both}},
	}}})
	for kind, want := range map[flow.Kind][]authz.Action{
		flow.Agentflow:     {"agentflows:view"},
		flow.Chatflow:      {"chatflows:view"},
		flow.Assistantflow: {"chatflows:view"},
		"":                 both,
	} {
		e := p.Endpoint("a")
		if diff := cmp.Diff(want, e.Asks(kind)); diff != "" {
			t.Errorf("%q: %s", kind, diff)
		}
		if diff := cmp.Diff(want, e.Body[0].Asks(kind)); diff != "" {
			t.Errorf("%q, in the body: %s", kind, diff)
		}
	}
}

func TestReads_WhatTellsOfObjects(t *testing.T) {
	for name, c := range map[string]struct {
		result Result
		want   bool
	}{
		"nothing":                {Result{}, false},
		"what is locked":         {Result{Locked: "locked"}, false},
		"what is created":        {Result{Creates: flow.Tool}, true},
		"what is deleted":        {Result{Deletes: true}, true},
		"what is renamed":        {Result{Renames: true}, true},
		"what is imported":       {Result{Imports: true}, true},
		"a list":                 {Result{List: &Listing{}}, true},
		"what lies in an object": {Result{Learn: &Lesson{}}, true},
		"a secret":               {Result{Hides: &Hiding{}}, true},
	} {
		if got := c.result.Reads(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
