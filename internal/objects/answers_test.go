package objects

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
	"sluice/internal/profile"
)

func TestNewest_IsNobodysAndTheLast(t *testing.T) {
	list := []Created{
		{ID: "a", KeyName: "wanted", UpdatedDate: "3"},
		{ID: "b", KeyName: "wanted", UpdatedDate: "1"},
		{ID: "c", Name: "wanted", UpdatedDate: "2"},
		{ID: "d", Name: "another", UpdatedDate: "4"},
	}
	taken := func(id string) bool { return id == "a" }
	if got := Newest(list, "wanted", taken); got.ID != "c" {
		t.Errorf("got %q, want c", got.ID)
	}
	if got := Newest(list, "", taken); got.ID != "d" {
		t.Errorf("without a title: got %q, want d", got.ID)
	}
	if got := Newest(list[:1], "", taken); got.ID != "" {
		t.Errorf("got %q, which is somebody's", got.ID)
	}
}

func TestNewest_IsTheLastWhereverItStands(t *testing.T) {
	for name, c := range map[string]struct {
		list []Created
		want string
	}{
		"first":            {[]Created{{ID: "a", UpdatedDate: "2"}, {ID: "b", UpdatedDate: "1"}}, "a"},
		"last":             {[]Created{{ID: "a", UpdatedDate: "1"}, {ID: "b", UpdatedDate: "2"}}, "b"},
		"two at once":      {[]Created{{ID: "a", UpdatedDate: "1"}, {ID: "b", UpdatedDate: "1"}}, "a"},
		"without any date": {[]Created{{ID: "a"}, {ID: "b"}}, "a"},
	} {
		if got := Newest(c.list, "", func(string) bool { return false }); got.ID != c.want {
			t.Errorf("%s: got %q, want %q", name, got.ID, c.want)
		}
	}
}

func TestTitle_StandsInDetails(t *testing.T) {
	for want, c := range map[string]Created{
		"plain":  {Name: "plain", Details: `{"name":"inner"}`},
		"inner":  {Details: `{"name":"inner"}`},
		"by key": {KeyName: "by key"},
		"":       {Details: `{`},
	} {
		if got := c.Title(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLessonIDs(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		lesson profile.Lesson
		want   []string
	}{
		"a list of objects":  {`[{"id":"a"},{"id":"b"},{"id":1}]`, profile.Lesson{By: "id"}, []string{"a", "b"}},
		"a list of texts":    {`["a","b"]`, profile.Lesson{By: "."}, []string{"a", "b"}},
		"the answer itself":  {`{"job_id":"j"}`, profile.Lesson{At: ".", By: "job_id"}, []string{"j"}},
		"a member":           {`{"items":[{"id":"a"}]}`, profile.Lesson{At: "items", By: "id"}, []string{"a"}},
		"no list":            {`{"items":{}}`, profile.Lesson{At: "items", By: "id"}, nil},
		"no JSON":            {`{`, profile.Lesson{At: "items", By: "id"}, nil},
		"a list of nothing":  {`[]`, profile.Lesson{By: "id"}, []string{}},
		"what has no member": {`[{"x":"a"}]`, profile.Lesson{By: "id"}, []string{}},
	} {
		if diff := cmp.Diff(c.want, LessonIDs([]byte(c.body), &c.lesson)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSetTrue_LeavesWhatIsNoObject(t *testing.T) {
	if got := string(SetTrue([]byte(`{"b":1,"locked":false}`),
		"locked readonly")); got != `{"b":1,"locked":true,"readonly":true}` {
		t.Error(got)
	}
	for _, body := range []string{`[1]`, `null`, `{`} {
		if got := string(SetTrue([]byte(body), "locked")); got != body {
			t.Errorf("%s became %s", body, got)
		}
	}
}

func TestListCut(t *testing.T) {
	for name, c := range map[string]struct {
		body, at string
		keep     []string
		page     Page
		want     string
	}{
		"a bare list":     {`[1,2,3]`, "", []string{"1", "3"}, Page{}, `[1,3]`},
		"a page of it":    {`[1,2,3]`, "", []string{"1", "3"}, Page{2, 1}, `{"data":[3],"total":2}`},
		"behind the end":  {`[1,2,3]`, "", []string{"1"}, Page{9, 10}, `{"data":[],"total":1}`},
		"with its length": {`{"data":[1,2],"total":2}`, "", []string{"2"}, Page{}, `{"data":[2],"total":1}`},
		"a page of a list": {`{"x":{"items":[1,2],"total":2,"pages":1,"size":2}}`, "x", []string{"1"}, Page{},
			`{"x":{"items":[1],"pages":1,"size":2,"total":2}}`},
		"more pages than are told": {`{"x":{"items":[1,2],"total":3,"pages":0,"size":2}}`, "x", []string{"1"}, Page{},
			`{"x":{"items":[1],"pages":2,"size":2,"total":3}}`},
		"pages of no size": {`{"x":{"items":[1],"total":1,"pages":0,"size":0}}`, "x", []string{"1"}, Page{},
			`{"x":{"items":[1],"pages":0,"size":0,"total":1}}`},
		"a size without pages": {`{"x":{"items":[1],"total":1,"size":2}}`, "x", []string{"1"}, Page{},
			`{"x":{"items":[1],"size":2,"total":1}}`},
	} {
		l, ok := OpenList([]byte(c.body), c.at)
		if !ok {
			t.Errorf("%s: no list is found", name)
			continue
		}
		kept := []json.RawMessage{}
		for _, el := range c.keep {
			kept = append(kept, json.RawMessage(el))
		}
		if got := string(l.Cut(kept, c.page)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestListNumber_IsACountBesideTheList(t *testing.T) {
	l, ok := OpenList([]byte(`{"data":[],"total":7,"pages":null,"size":"2"}`), "")
	if !ok || l.Bare() {
		t.Fatal("the list beside counts is not found")
	}
	for name, want := range map[string]int{"total": 7, "pages": -1, "size": -1, "page": -1} {
		if got := l.Number(name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if l, ok := OpenList([]byte(` []`), ""); !ok || !l.Bare() || l.Number("total") != -1 {
		t.Error("a list that is the answer has nothing beside it")
	}
}

func TestOpenList_FindsNoneInOtherAnswers(t *testing.T) {
	for _, body := range []string{``, `1`, `"text"`, `null`, `[1`, `{}`, `{"data":1}`, `{"data":{"items":1}}`,
		`{"data":{}}`} {
		if _, ok := OpenList([]byte(body), ""); ok {
			t.Errorf("a list is found in %s", body)
		}
	}
}

func TestBelongsTo(t *testing.T) {
	member := authz.Principal{ID: "p", Memberships: []authz.Membership{{Workspace: "a"}}}
	if !BelongsTo(&member, "a") || BelongsTo(&member, "b") {
		t.Error("a member belongs to their workspaces, and to no other")
	}
	if !BelongsTo(&authz.Principal{ID: "s", Superuser: true}, "b") {
		t.Error("a superuser belongs to all workspaces")
	}
	root := authz.Principal{ID: "s", Superuser: true, Scope: &authz.Scope{Workspace: "a"}}
	if !BelongsTo(&root, "a") || BelongsTo(&root, "b") {
		t.Error("a key reaches its own workspace only, whoever has it")
	}
}
