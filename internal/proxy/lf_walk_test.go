package proxy_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sluice/internal/authn"
	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/profile"
)

// plainKey is a key without limits of its own.
var plainKey = authn.NewAPIKey{}

// lfIDs are the ids that a walk through Langflow's table puts into requests: one of each kind that
// is ours, or theirs.
type lfIDs struct {
	flow, project, variable, file, message, job, chat, part string
}

// of is the id of a kind; foreign ones of kinds that have no owner are the flow's.
func (ids lfIDs) of(kind flow.Kind) string {
	switch kind {
	case flow.Project:
		return ids.project
	case flow.Variable:
		return ids.variable
	case flow.StoredFile:
		return ids.file
	case profile.Message:
		return ids.message
	case profile.Job:
		return ids.job
	case profile.ChatSession:
		return ids.chat
	case profile.Part:
		return ids.part
	case profile.File:
		return ids.flow + "/name.txt"
	}
	return ids.flow
}

// lfFill creates a request from a row with our ids everywhere except in the bad place.
func lfFill(e *profile.Endpoint, places []idPlace, bad int, ours, theirs lfIDs) call {
	c := call{target: e.Pattern, body: map[string]any{}}
	query := url.Values{}
	for i, p := range places {
		value := ours.of(p.ref.Kind)
		if i == bad {
			value = theirs.of(p.ref.Kind)
		}
		switch {
		case p.in == profile.InPath && p.ref.Kind == "" && i != bad &&
			!strings.Contains(e.Pattern, "{"+p.name+":uuid}"):
			value = "word"
			fallthrough
		case p.in == profile.InPath:
			for _, spelling := range []string{":uuid}", ":token}", "...}", "}"} {
				c.target = strings.Replace(c.target, "{"+p.name+spelling, url.PathEscape(value), 1)
			}
		case p.in == profile.InQuery:
			query.Set(p.name, value)
		case p.name == profile.Whole:
			c.list = append(c.list, ours.of(p.ref.Kind), value)
		default:
			outer, inner, nested := strings.Cut(p.name, ".")
			if nested {
				c.body[outer] = map[string]any{inner: value}
			} else {
				c.body[outer] = value
			}
		}
	}
	if len(query) > 0 {
		c.target += "?" + query.Encode()
	}
	return c
}

// lfSend sends a request of a walk as an admin's page, with something else in its body.
func (w *lfWorld) lfSend(method string, c call, extra string) answer {
	var body any = c.list
	if c.list == nil {
		members := map[string]any{}
		for k, v := range c.body {
			members[k] = v
		}
		if extra != "" {
			members["anything"] = extra
		}
		body = members
	}
	if method == http.MethodGet || method == http.MethodDelete && c.list == nil && len(c.body) == 0 {
		return w.call("admin", method, c.target, "")
	}
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.call("admin", method, c.target, string(text))
}

// TestWalk_LangflowForeignIDs walks Langflow's whole table: whatever a row calls an id, and
// any text in its path, query or body that is the id of another workspace's object, is not found,
// and Langflow never hears of it.
func TestWalk_LangflowForeignIDs(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	fill := func(u *lfUser, flowID, chat, role, message string) lfIDs {
		ids := lfIDs{
			flow:    flowID,
			project: u.Things["projects"][0].ID,
			chat:    chat,
			message: message,
			part:    "c" + message[1:],
		}
		w.apps.Flows.Learn(w.app.ID, ids.part, flowID)
		w.f.With(func() {
			ids.variable, ids.file = u.Put("variables", &lfThing{Name: "v"}).ID, u.Put("files", &lfThing{Name: "f"}).ID
			u.Messages = append(u.Messages, lfMessage{ID: message, Flow: flowID, Session: chat, Text: "x"})
		})
		for _, list := range []string{"/api/v1/flows/", "/api/v1/projects/", "/api/v1/variables/", "/api/v2/files",
			"/api/v1/monitor/messages", "/api/v1/monitor/messages/sessions?flow_id=" + flowID} {
			if got := w.call(role, "GET", list, ""); got.status != 200 {
				t.Fatalf("%s: %d %s", list, got.status, got.body)
			}
		}
		ids.job = w.start(role, flowID)
		return ids
	}
	ours := fill(w.own, w.ownFlow, "our chat", "admin", "a0a0a0a0-a0a0-40a0-80a0-a0a0a0a0a0a0")
	theirs := fill(w.theirs, w.flow, "their chat", "other", "b0b0b0b0-b0b0-40b0-80b0-b0b0b0b0b0b0")
	unknown := lfIDs{nobodys, nobodys, nobodys, nobodys, nobodys, nobodys, nobodys, nobodys}
	tried, reached := 0, 0
	for _, e := range w.app.Profile.Endpoints() {
		if e.Blocked != "" || e.Own.Answer != "" || e.Public == profile.PublicAlways || e.Upgrade || e.Shared {
			continue
		}
		places := idPlaces(e)
		for _, method := range e.Methods {
			w.clock.advance(objects.FindAgain) // lookups of unknown ids in Langflow are limited
			for i, p := range places {
				for _, bad := range []lfIDs{theirs, unknown} {
					if bad == unknown &&
						(p.ref.Kind == "" || p.ref.Kind == profile.ChatSession || p.ref.Kind == profile.Part) {
						continue // a component, a chat, a trigger that was not listed yet: nothing that has an owner
					}
					w.f.Take()
					got := w.lfSend(method, lfFill(e, places, i, ours, bad), "")
					tried++
					for _, g := range w.f.Take() {
						t.Errorf("%s %s: Langflow got the id in %s: %s %s", method, e.Name, p.name, g.Method, g.Target)
					}
					if got.status != http.StatusNotFound && (got.status != http.StatusBadRequest || len(e.Flow) < 2) {
						t.Errorf(
							"%s %s: %s = %s: %d %s",
							method,
							e.Name,
							p.name,
							bad.of(p.ref.Kind),
							got.status,
							got.body,
						)
					}
				}
			}
			own := lfFill(e, places, -1, ours, theirs)
			if method != http.MethodGet && own.list == nil && (method != http.MethodDelete || len(own.body) > 0) {
				for _, text := range []string{theirs.flow, `{"a":[{"b":"` + theirs.project + `"}]}`,
					`{"a":"{\"b\":\"` + theirs.variable +
						`\"}"}`, strings.ToUpper(theirs.file), strings.ReplaceAll(theirs.flow, "-", "")} {
					if got := w.lfSend(method, own, text); got.status != http.StatusNotFound || len(w.f.Take()) > 0 {
						t.Errorf("%s %s: a body with %s: %d %s", method, e.Name, text, got.status, got.body)
					}
				}
			}
			w.f.Take()
			if !strings.Contains(own.target, "?") {
				got := w.lfSend(
					method,
					call{target: own.target + "?x=" + theirs.flow, body: own.body, list: own.list},
					"",
				)
				if got.status != http.StatusNotFound || len(w.f.Take()) > 0 {
					t.Errorf(
						"%s %s: an unknown parameter with a foreign id: %d %s",
						method,
						e.Name,
						got.status,
						got.body,
					)
				}
			}
			if e.Result.Deletes {
				continue
			}
			w.f.Take()
			w.lfSend(method, own, "")
			for _, g := range w.f.Take() {
				reached++
				if g.Account != "" && g.Account != w.own.Username && g.Account != "veteran" {
					t.Errorf("%s %s: a request of ours went into %s", method, e.Name, g.Account)
				}
			}
		}
	}
	if tried < 150 || reached < 120 {
		t.Errorf("only %d foreign ids were tried, and %d requests about own objects reached Langflow", tried, reached)
	}
	t.Logf("%d foreign ids, %d own requests", tried, reached)
}
