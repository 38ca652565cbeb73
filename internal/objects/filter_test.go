package objects_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/profile"
)

const (
	mine      = "11111111-1111-4111-8111-111111111111"
	others    = "22222222-2222-4222-8222-222222222222"
	plainMine = "plain-mine"
)

// filter keeps what belongs to the workspace here; learned gets what it remembers.
func filter(t testing.TB, learned map[string]string) objects.Filter {
	t.Helper()
	l := newLibrary(t)
	record(t, l,
		flow.Object{ID: mine, Workspace: here},
		flow.Object{ID: plainMine, Workspace: here},
		flow.Object{ID: others, Workspace: there},
	)
	return objects.Filter{
		Owners:    l.Of(appID),
		Workspace: here,
		Learn:     func(inner, parent string) { learned[inner] = parent },
	}
}

func TestFilterKeep_IsWhatBelongsToTheWorkspace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		by         string
		kept, left []string
		learned    map[string]string
	}{
		"objects": {
			by:   "id",
			kept: []string{`{"id":"` + mine + `"}`, `{"id":"` + strings.ToUpper(mine) + `"}`, `{"id":"plain-mine"}`},
			left: []string{
				`{"id":"` + others + `"}`,
				`{"id":"` + nowhere + `"}`,
				`{"id":7}`,
				`{}`,
				`"` + mine + `"`,
			},
		},
		"what lies in objects": {
			by: "flow",
			kept: []string{
				`{"id":"run-1","flow":"` + mine + `"}`,
				`{"id":"","flow":"` + mine + `"}`,
				`{"flow":"` + mine + `"}`,
			},
			left:    []string{`{"id":"run-2","flow":"` + others + `"}`, `{"id":"` + mine + `"}`},
			learned: map[string]string{"run-1": mine},
		},
		"choices": {
			by: profile.ByOptions,
			kept: []string{
				`{"name":"gpt"}`,
				`{"name":"a name of forty characters, which is no id"}`,
				`{"name":"` + mine + `"}`,
				`{"name":"` + mine + `:my store"}`,
				`{"id":"` + mine + `","name":"x"}`,
				`{"id":"` + mine[1:] + `"}`,
				`"region"`,
				`7`,
			},
			left: []string{
				`{"name":"` + others + `"}`,
				`{"name":"x","description":"see ` + others + `"}`,
				`{"name":"` + mine + `","id":"` + others + `"}`,
				`{"name":"x","both":"` + others + ` ` + mine + `"}`,
				`{"name":"` + nowhere + `"}`,
				`{"id":"` + nowhere + `:gone"}`,
				`"` + others + `"`,
			},
		},
		"files": {
			by: profile.ByPath,
			kept: []string{
				`{"path":"/org/` + mine + `/chat/a.txt"}`,
				`{"path":"` + nowhere + `/` + mine + `"}`,
				`{"path":"` + mine + `/` + nowhere + `"}`,
			},
			left: []string{
				`{"path":"` + others + `/a.txt"}`,
				`{"path":"` + mine + `/` + others + `"}`,
				`{"path":"` + others + `/` + mine + `"}`,
				`{"path":"` + nowhere + `"}`,
				`{"path":"a.txt"}`,
				`{"name":"` + mine + `"}`,
				`"` + mine + `"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			learned := map[string]string{}
			f := filter(t, learned)
			for _, el := range append(c.kept, c.left...) {
				want := 0
				for _, k := range c.kept {
					if k == el {
						want = 1
					}
				}
				if got := f.Keep([]json.RawMessage{json.RawMessage(el)}, c.by); len(got) != want {
					t.Errorf("%d kept of %s, want %d", len(got), el, want)
				}
			}
			if c.learned == nil {
				c.learned = map[string]string{}
			}
			if diff := cmp.Diff(c.learned, learned); diff != "" {
				t.Errorf("learned: %s", diff)
			}
		})
	}
}

func TestFilterExport_HoldsTheWorkspacesObjectsOnly(t *testing.T) {
	t.Parallel()
	f := filter(t, nil)
	for name, c := range map[string]struct {
		body, want string
		ok         bool
	}{
		"objects": {
			body: `{"ChatFlow":[{"id":"` + mine + `"},{"id":"` + others + `"},{"id":"` + nowhere + `"},{"name":"x"}]}`,
			want: `{"ChatFlow":[{"id":"` + mine + `"}]}`,
			ok:   true,
		},
		"what lies in objects": {
			body: `{"ChatMessage":[{"id":"1","chatflowid":"` + mine + `"},{"id":"2","chatflowid":"` + others + `"}],` +
				`"Execution":[{"agentflowId":"` + mine + `"},{"id":"` + mine + `","agentflowId":"` + others + `"}],` +
				`"DocumentStoreFileChunk":[{"storeId":"` + others + `"},{"chatflowid":"","storeId":"plain-mine"}]}`,
			want: `{"ChatMessage":[{"chatflowid":"` + mine + `","id":"1"}],` +
				`"DocumentStoreFileChunk":[{"chatflowid":"","storeId":"plain-mine"}],` +
				`"Execution":[{"agentflowId":"` + mine + `"}]}`,
			ok: true,
		},
		"lists of something else": {
			body: `{"Tool":["` + mine + `"]}`,
			want: `{"Tool":[]}`,
			ok:   true,
		},
		"an object is no list": {
			body: `{"Settings": {"id":"` + mine + `"},"Version":"3"}`,
			want: `{"Version":"3"}`,
			ok:   true,
		},
		"no export": {body: `[]`},
		"no JSON":   {body: `{`},
	} {
		got, ok, err := f.Export([]byte(c.body))
		if err != nil || ok != c.ok || string(got) != c.want {
			t.Errorf("%s: %s, %v, %v; want %s", name, got, ok, err, c.want)
		}
	}
}
