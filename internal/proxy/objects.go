package proxy

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// locate finds the place of a signed-in person's request. What belongs to a workspace that is not theirs is not found, and neither is what nobody owns.
func (x *exchange) locate() error {
	e := x.match.Endpoint
	if !e.NamesObjects {
		return nil
	}
	if e.NamesInBody {
		if err := x.inspect(); err != nil {
			return err
		}
	}
	if len(e.Flow) > 0 {
		id, err := x.flowID()
		if err != nil {
			return err
		}
		if id != "" {
			if err := x.belongs(profile.IDRef{Kind: flow.Chatflow}, id); err != nil {
				return err
			}
		}
	}
	for _, ref := range e.Objects {
		if ref.Kind == "" || ref.Kind == profile.ChatSession {
			continue
		}
		ids, err := x.idsAt(ref)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := x.belongs(ref, id); err != nil {
				return err
			}
		}
	}
	return x.locateChats()
}

// belongs adds an object that the request names to its place.
func (x *exchange) belongs(ref profile.IDRef, id string) error {
	kind := ref.Kind
	if ref.Inside() {
		parent, err := x.parent(ref, id)
		if ref.Kind == profile.Part && problem.Is(err, problem.NotFound) {
			return x.unlistedPart(id)
		}
		if err != nil {
			return err
		}
		id, kind = parent, flow.Chatflow
		if objects.StandsForFlow(ref.Kind) {
			if x.flow != "" && x.flow != id {
				return objects.NotFound()
			}
			x.flow, x.event.Flow = id, id
		}
	}
	lookup := x.lookup()
	found, err := lookup.Owner(x.r.Context(), x.at, kind, id)
	if err != nil {
		return err
	}
	if x.at, err = lookup.Join(x.at, found); err != nil {
		return err
	}
	if kind == flow.Chatflow || ref.Kind == profile.Execution {
		x.at.Kind = found.Kind
	}
	return nil
}

// unlistedPart judges the id of something that was not listed yet: it is no object's.
func (x *exchange) unlistedPart(id string) error {
	if _, _, owned := x.up.objects.Owner(id); owned {
		return objects.NotFound()
	}
	return nil
}

// maxNamed bounds how many objects a request may name in one list.
const maxNamed = 1000

// idsAt reads the ids at a place; a list only in a body.
func (x *exchange) idsAt(ref profile.IDRef) ([]string, error) {
	if ref.In == profile.InBody {
		return x.body.textsAt(ref.Name)
	}
	id, err := x.idAt(ref)
	if err != nil || id == "" {
		return nil, err
	}
	return []string{id}, nil
}

// textsAt is the string, or the strings of the list, at a top-level key.
func (b *heldBody) textsAt(key string) ([]string, error) {
	value := b.valueAt(key)
	if len(value) > 0 && value[0] == '[' {
		var list []string
		if err := json.Unmarshal(value, &list); err != nil || len(list) > maxNamed {
			return nil, problem.Newf(problem.Invalid, "This must be a list of at most %d texts.", maxNamed).WithField(key).WithRule("object.id")
		}
		return list, nil
	}
	one, err := textIn(value, key)
	if err != nil || one == "" {
		return nil, err
	}
	return []string{one}, nil
}

// checkUsed refuses an app that is not used in the workspace.
func (x *exchange) checkUsed() error {
	if x.at.Workspace == "" || x.app.UsedIn(x.at.Workspace) {
		return nil
	}
	return problem.Newf(problem.NotFound, "%s is not used in the workspace that you work in.", x.app.Name).WithRule("app not in workspace").
		WithNext("Switch to another workspace in Sluice, or ask an admin to add the app to this one.")
}

// allowed asks for one of the endpoint's permissions, without recording anything.
func (x *exchange) allowed(res authz.Resource) bool {
	e := x.match.Endpoint
	asked := e.Asks(x.at.Kind)
	if len(asked) == 0 {
		return x.p.cfg.Gate.Decide(x.who, e.Action, res).Allowed
	}
	for _, a := range asked {
		if x.p.cfg.Gate.Decide(x.who, a, res).Allowed {
			return true
		}
	}
	return false
}

// checkAny asks for one of several permissions, or for their action if there are none. It records a refusal.
func (x *exchange) checkAny(action authz.Action, asked []authz.Action) error {
	res := x.resource()
	for _, a := range asked {
		if x.p.cfg.Gate.Decide(x.who, a, res).Allowed {
			return nil
		}
	}
	if len(asked) > 0 {
		action = asked[0]
	}
	return x.check(action)
}

// checkForeign refuses a request that names an object of another workspace anywhere: in a parameter that is no id, in the query, or at any depth of its body. Ids that
// nobody has claimed may be those of nodes or chats, and pass.
func (x *exchange) checkForeign() error {
	if x.at.Workspace == "" {
		return nil
	}
	foreign := false
	visit := func(id [16]byte) bool {
		workspace, ok := x.up.objects.OwnerOf(id)
		foreign = foreign || ok && workspace != x.at.Workspace
		return !foreign
	}
	for _, name := range x.match.Endpoint.Loose {
		if value := x.match.Param(name); len(value) >= 32 {
			objects.ScanUUIDs([]byte(plainText(value)), visit)
		}
	}
	if len(x.rawQuery) >= 32 {
		for _, values := range x.query {
			for _, v := range values {
				if len(v) >= 32 && !foreign {
					objects.EachUUID([]byte(v), visit)
				}
			}
		}
	}
	if !foreign && x.body != nil && len(x.body.data) >= 32 {
		text, err := x.searched()
		if err != nil {
			return err
		}
		if objects.EachUUID(text, visit) {
			return problem.New(problem.Invalid, "The body has escapes inside escapes deeper than Sluice follows.").WithRule("body.escape")
		}
	}
	if foreign {
		return objects.NotFound()
	}
	return nil
}

func plainText(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// searched is the body as text in which ids can be found.
func (x *exchange) searched() ([]byte, error) {
	kind, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		plain, err := url.QueryUnescape(string(x.body.data))
		if err != nil {
			return nil, problem.New(problem.Invalid, "The form has a broken percent escape.").WithRule("body.form")
		}
		return []byte(plain), nil
	}
	return x.body.data, nil
}

// checkFlowType asks for the permission of the type that a new flow has, where that stands in the body.
func (x *exchange) checkFlowType() error {
	e := x.match.Endpoint
	if e.Result.Creates != flow.Chatflow || len(e.Permissions) == 0 || x.body == nil || x.body.fields == nil {
		return nil
	}
	flowType, err := x.body.textAt("type")
	if err != nil {
		return err
	}
	x.at.Kind = x.app.Kind.FlowKind(flow.Chatflow, flowType)
	return x.checkAny(e.Action, e.Asks(x.at.Kind))
}

// named lists the ids of owned objects that the request names.
func (x *exchange) named() []string {
	var ids []string
	for _, list := range [...][]profile.IDRef{x.match.Endpoint.Flow, x.match.Endpoint.Objects} {
		for _, ref := range list {
			if ref.Kind == "" || ref.Inside() || ref.In == profile.InBody && (x.body == nil || x.body.fields == nil) {
				continue
			}
			found, err := x.idsAt(ref)
			if err == nil {
				ids = append(ids, found...)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
