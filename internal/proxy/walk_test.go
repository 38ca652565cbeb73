package proxy_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sluice/internal/identity"
	"sluice/internal/profile"
)

const (
	ownObject   = "33333333-3333-4333-8333-333333333333"
	ownPart     = "0a0a0a0a-0a0a-4a0a-8a0a-0a0a0a0a0a0a" // is in ownObject
	foreign     = "f0f0f0f0-f0f0-40f0-80f0-f0f0f0f0f0f0"
	foreignPart = "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f" // is in foreign
	nobodys     = "0badcafe-0bad-4bad-8bad-0badcafebad0"
)

// idPlace is a place of a row that takes an id, or any text from the client.
type idPlace struct {
	in   profile.In
	name string
	ref  profile.IDRef
}

// idPlaces lists all of a row: the placeholders of its path, and what it names in query and body.
func idPlaces(e *profile.Endpoint) []idPlace {
	var out []idPlace
	refs := append(append([]profile.IDRef{}, e.Flow...), e.Objects...)
	for seg := range strings.SplitSeq(e.Pattern, "/") {
		if !strings.HasPrefix(seg, "{") {
			continue
		}
		name, _, _ := strings.Cut(strings.Trim(seg, "{}."), ":")
		p := idPlace{in: profile.InPath, name: name}
		for _, ref := range refs {
			if ref.In == profile.InPath && ref.Name == name {
				p.ref = ref
			}
		}
		out = append(out, p)
	}
	for _, ref := range refs {
		if ref.In != profile.InPath {
			out = append(out, idPlace{ref.In, ref.Name, ref})
		}
	}
	return out
}

// call is a request that is built from a row with chosen ids.
type call struct {
	target string
	body   map[string]any
	list   []string // the body, if it is a list
}

// fill creates a request from a row, with own ids everywhere except in the bad place.
func fill(e *profile.Endpoint, places []idPlace, bad int, id, part string) call {
	c := call{target: e.Pattern, body: map[string]any{}}
	query := url.Values{}
	for i, p := range places {
		value := ownObject
		switch {
		case i == bad && p.ref.Inside() && p.ref.Kind != profile.File:
			value = part
		case i == bad:
			value = id
		case p.ref.Inside() && p.ref.Kind != profile.File:
			value = ownPart
		}
		switch {
		case p.in == profile.InPath:
			for _, spelling := range []string{"{" + p.name + ":uuid}", "{" + p.name + ":token}", "{" + p.name + "...}",
				"{" + p.name + "}"} {
				c.target = strings.Replace(c.target, spelling, value, 1)
			}
		case p.in == profile.InQuery:
			query.Set(p.name, value)
		case strings.HasSuffix(p.name, "ds"):
			c.body[p.name] = []string{ownPart, value}
		default:
			c.body[p.name] = value
		}
	}
	if len(query) > 0 {
		c.target += "?" + query.Encode()
	}
	return c
}

func (w *world) send(method string, c call, cookie string, extra string) answer {
	h := with("Cookie: "+cookie, "Origin: "+appOrigin, "x-request-from: internal")
	if method == http.MethodGet || method == http.MethodDelete && len(c.body) == 0 {
		return w.do(method, c.target, h, "")
	}
	body := map[string]any{}
	for k, v := range c.body {
		body[k] = v
	}
	if extra != "" {
		body["anything"] = extra
	}
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	h.Set("Content-Type", "application/json")
	return w.do(method, c.target, h, string(text))
}

// TestWalk_ForeignIDs walks the whole table: whatever a row calls an id, and any text in its
// path, query or body that is the id of another workspace's object, is not found, and the builder
// never hears of it.
func TestWalk_ForeignIDs(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	w.person("other")
	w.own(w.app.ID, w.other, foreign)
	w.apps.Flows.Learn(w.app.ID, ownPart, ownObject)
	w.apps.Flows.Learn(w.app.ID, foreignPart, foreign)
	cookie := w.cookie("admin")
	tried, reached := 0, 0
	for _, e := range w.app.Profile.Endpoints() {
		if e.Blocked != "" || e.Own.Answer != "" || e.Public == profile.PublicAlways {
			continue
		}
		places := idPlaces(e)
		for _, method := range e.Methods {
			for i, p := range places {
				for _, ids := range [][2]string{{foreign, foreignPart}, {nobodys, nobodys}} {
					if ids[0] == nobodys && p.ref.Kind == "" {
						continue // a chat or a node, not an object of Flowise
					}
					f.take()
					got := w.send(method, fill(e, places, i, ids[0], ids[1]), cookie, "")
					tried++
					if log := f.take(); len(log) > 0 {
						t.Errorf("%s %s: the builder got the id in %s: %s", method, e.Name, p.name, log[0].raw)
					}
					twoFlows := got.status == http.StatusBadRequest && len(e.Flow) > 1
					if got.status != http.StatusNotFound && !twoFlows {
						t.Errorf("%s %s: %s = %s: %d %s", method, e.Name, p.name, ids[0], got.status, got.body)
					}
				}
			}
			own := fill(e, places, -1, "", "")
			if method != http.MethodGet && (method != http.MethodDelete || len(own.body) > 0) {
				for _, text := range []string{foreign, `{"a":[{"b":"` + foreign + `"}]}`,
					`{"a":"{\"b\":\"` + foreign + `\"}"}`, `\u0066` + foreign[1:], strings.ToUpper(foreign)} {
					if got := w.send(method, own, cookie, text); got.status != http.StatusNotFound ||
						len(f.take()) > 0 {
						t.Errorf("%s %s: a body with %s: %d %s", method, e.Name, text, got.status, got.body)
					}
				}
			}
			if !strings.Contains(own.target, "?") {
				if got := w.send(method, call{target: own.target + "?x=" + foreign, body: own.body}, cookie,
					""); got.status != http.StatusNotFound ||
					len(f.take()) > 0 {
					t.Errorf(
						"%s %s: an unknown parameter with a foreign id: %d %s",
						method,
						e.Name,
						got.status,
						got.body,
					)
				}
			}
			w.send(method, own, cookie, "")
			reached += len(f.take())
			w.own(w.app.ID, identity.DefaultWorkspace, ownObject) // it may have been deleted
		}
	}
	if tried < 200 || reached < 150 {
		t.Errorf(
			"only %d foreign ids were tried, and %d requests about own objects reached the builder",
			tried,
			reached,
		)
	}
	t.Logf("%d foreign ids, %d own requests", tried, reached)
}

// TestWalk_Strangers is the same for people who are not signed in: a published
// flow of one workspace opens nothing else.
func TestWalk_Strangers(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	w.person("other")
	w.own(w.app.ID, w.other, foreign)
	w.apps.Flows.Learn(w.app.ID, foreignPart, foreign)
	h := with("Content-Type: application/json")
	for what, c := range map[string]struct{ method, target, body string }{
		"another workspace's id in an override": {"POST", "/api/v1/prediction/" + publicFlow,
			`{"question":"x","overrideConfig":{"a":"` + foreign + `"}}`},
		"another flow's feedback": {"PUT", "/api/v1/feedback/" + foreignPart,
			`{"chatflowid":"` + publicFlow + `","rating":"THUMBS_UP"}`},
		"feedback that does not exist": {"PUT", "/api/v1/feedback/" + nobodys,
			`{"chatflowid":"` + publicFlow + `","rating":"THUMBS_UP"}`},
	} {
		if got := w.do(c.method, c.target, h, c.body); got.status != http.StatusNotFound || len(f.take()) > 0 {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if got := w.do("POST", "/api/v1/prediction/"+publicFlow, h, `{"question":"x"}`); got.status != http.StatusOK {
		t.Errorf("the flow itself: %d %s", got.status, got.body)
	}
	if err := w.apps.Manager.Withdraw(t.Context(), systemPrincipal, w.app.ID, identity.DefaultWorkspace); err != nil {
		t.Fatal(err)
	}
	if got := w.do("POST", "/api/v1/prediction/"+publicFlow, h,
		`{"question":"x"}`); got.status != http.StatusUnauthorized {
		t.Errorf("a flow of a workspace that does not use the app any more: %d %s", got.status, got.body)
	}
}
