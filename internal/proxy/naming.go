package proxy

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// naming resolves what a request names (its flow, objects and chat sessions) and from that the
// place of the request.
type naming struct {
	req    *Request
	who    *authz.Principal
	match  profile.Match // a flow's name is already replaced by its id
	intake intake

	flow  string
	job   *flow.Job // the run that the request names
	chats []string
	place objects.Place
}

// lookup resolves the owners of objects, on behalf of the requester.
func (n *naming) lookup() objects.Lookup { return n.req.lookup(n.who) }

// inspect reads and parses the body, once.
func (n *naming) inspect() error {
	return n.intake.inspect(n.req, n.match.Endpoint, !n.who.SignedIn())
}

// readFlow finds the flow that the request is about, if the endpoint has one and the request names
// it. All places that have an id must agree. The body is read only if the endpoint has the id
// there.
func (n *naming) readFlow(ctx context.Context) error {
	if n.flow != "" {
		return nil
	}
	found := ""
	for _, ref := range n.match.Endpoint.Flow {
		id, err := n.idAt(ref)
		if err == nil && id != "" {
			id, err = n.flowAt(ctx, ref, id, found)
		}
		if err != nil {
			return err
		}
		if id != "" && found != "" && id != found {
			return problem.New(problem.Invalid, "The request names two different flows.").
				WithRule("flow.id").WithField(ref.Name)
		}
		if id != "" {
			found = id
		}
	}
	n.flow = found
	return nil
}

// flowAt resolves a text at its place to the id of a flow. The text is replaced by the id, so that
// the builder gets what was judged. hint is the flow that another place has named.
func (n *naming) flowAt(ctx context.Context, ref profile.IDRef, text, hint string) (string, error) {
	switch {
	case ref.Inside():
		return n.parent(ctx, ref, text, hint)
	case !ref.Named:
		return text, nil
	}
	id, err := n.lookup().FlowNamed(ctx, n.place.Workspace, text)
	if err == nil && id != text {
		n.match.SetParam(ref.Name, id)
	}
	return id, err
}

// idAt reads the id at a place.
func (n *naming) idAt(ref profile.IDRef) (string, error) {
	switch ref.In {
	case profile.InPath:
		id := n.match.Param(ref.Name)
		if strings.IndexByte(id, '%') >= 0 {
			return url.PathUnescape(id)
		}
		return id, nil
	case profile.InQuery:
		return n.req.query.Get(ref.Name), nil
	default:
		if err := n.inspect(); err != nil {
			return "", err
		}
		return n.intake.body.textAt(ref.Name)
	}
}

// idsAt reads the ids at a place. Only an inspected body can have a list there.
func (n *naming) idsAt(ref profile.IDRef) ([]string, error) {
	if ref.In == profile.InBody {
		return n.intake.body.textsAt(ref.Name)
	}
	id, err := n.idAt(ref)
	if err != nil || id == "" {
		return nil, err
	}
	return []string{id}, nil
}

// parent returns the object that contains a part: from memory, or from the builder.
func (n *naming) parent(ctx context.Context, ref profile.IDRef, id, hint string) (string, error) {
	parent, job, err := n.lookup().Parent(ctx, n.place.Workspace, ref.Kind, id, hint)
	if job != nil {
		n.job = job
	}
	return parent, err
}

// locate finds the place of a signed-in person's request. Objects of other workspaces, and
// unassigned objects, are reported as not found.
func (n *naming) locate(ctx context.Context) error {
	e := n.match.Endpoint
	if !e.NamesObjects {
		return nil
	}
	if e.NamesInBody {
		if err := n.inspect(); err != nil {
			return err
		}
	}
	if len(e.Flow) > 0 {
		if err := n.readFlow(ctx); err != nil {
			return err
		}
		if n.flow != "" {
			if err := n.add(ctx, profile.IDRef{Kind: flow.Chatflow}, n.flow); err != nil {
				return err
			}
		}
	}
	for _, ref := range e.Objects {
		if ref.Kind == "" || ref.Kind == profile.ChatSession {
			continue
		}
		ids, err := n.idsAt(ref)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := n.add(ctx, ref, id); err != nil {
				return err
			}
		}
	}
	return n.locateChats(ctx)
}

// add adds an object that the request names to its place.
func (n *naming) add(ctx context.Context, ref profile.IDRef, id string) error {
	kind := ref.Kind
	if ref.Inside() {
		parent, err := n.parent(ctx, ref, id, n.flow)
		if ref.Kind == profile.Part && problem.Is(err, problem.NotFound) {
			return n.addUnlisted(id)
		}
		if err != nil {
			return err
		}
		id, kind = parent, flow.Chatflow
		if objects.StandsForFlow(ref.Kind) {
			if n.flow != "" && n.flow != id {
				return objects.NotFound()
			}
			n.flow = id
		}
	}
	lookup := n.lookup()
	found, err := lookup.Owner(ctx, n.place, kind, id)
	if err != nil {
		return err
	}
	if n.place, err = lookup.Join(n.place, found); err != nil {
		return err
	}
	if kind == flow.Chatflow || ref.Kind == profile.Execution {
		n.place.Kind = found.Kind
	}
	return nil
}

// addUnlisted judges the id of a part that was not listed yet: it must not be the id of an object.
func (n *naming) addUnlisted(id string) error {
	if _, _, owned := n.req.up.objects.Owner(id); owned {
		return objects.NotFound()
	}
	return nil
}

// locateChats judges the chat sessions that a request names, after the place is known from
// everything else. A session that another workspace uses is reported as not found. An unused
// session is harmless, because it is empty.
func (n *naming) locateChats(ctx context.Context) error {
	for _, ref := range n.match.Endpoint.Objects {
		if ref.Kind != profile.ChatSession {
			continue
		}
		ids, err := n.idsAt(ref)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if n.place, err = n.lookup().Chat(ctx, n.place, n.flow, id); err != nil {
				return err
			}
		}
		n.chats = append(n.chats, ids...)
	}
	return nil
}

// checkInside makes sure that the parts a stranger names are inside the flow that is open to them,
// and that a run or a chat does not belong to the people who work in it. Runs and chats of other
// strangers are protected by unguessable ids.
func (n *naming) checkInside(ctx context.Context) error {
	for _, ref := range n.match.Endpoint.Objects {
		if !ref.Inside() {
			continue
		}
		if ref.In == profile.InBody {
			if err := n.inspect(); err != nil {
				return err
			}
		}
		ids, err := n.idsAt(ref)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !n.isInside(ctx, ref, id) {
				return objects.NotFound()
			}
		}
	}
	if n.job != nil && n.job.Person != "" && n.job.Person != n.who.ID {
		return objects.NotFound()
	}
	n.keepChats(true)
	return nil
}

// isInside reports whether a part is inside the request's flow, by the rules for strangers.
func (n *naming) isInside(ctx context.Context, ref profile.IDRef, id string) bool {
	if ref.Kind == profile.ChatSession {
		c, known := n.req.p.cfg.Apps.Flows.ChatOf(n.req.app.ID, id)
		n.chats = append(n.chats, id)
		return len(id) <= objects.MaxChat && (!known || c.Public && c.Flow == n.flow)
	}
	parent, err := n.parent(ctx, ref, id, n.flow)
	return err == nil && parent == n.flow
}

// keepChats remembers the sessions that a request uses in a flow.
func (n *naming) keepChats(public bool) {
	if n.flow == "" {
		return
	}
	c := flow.Chat{Workspace: n.place.Workspace, Flow: n.flow, Public: public}
	for _, id := range n.chats {
		n.req.p.cfg.Apps.Flows.LearnChat(n.req.app.ID, id, c)
	}
}

// checkForeign refuses a request that names an object of another workspace anywhere: in a parameter
// that is not an id, in the query, or at any depth of its body. Ids without an owner may be ids of
// nodes or chats, and are accepted.
func (n *naming) checkForeign() error {
	if n.place.Workspace == "" {
		return nil
	}
	foreign := false
	visit := func(id [16]byte) bool {
		workspace, ok := n.req.up.objects.OwnerOf(id)
		foreign = foreign || ok && workspace != n.place.Workspace
		return !foreign
	}
	for _, name := range n.match.Endpoint.Loose {
		if value := n.match.Param(name); len(value) >= 32 {
			objects.ScanUUIDs([]byte(plainText(value)), visit)
		}
	}
	if len(n.req.rawQuery) >= 32 {
		for _, values := range n.req.query {
			for _, v := range values {
				if len(v) >= 32 && !foreign {
					objects.EachUUID([]byte(v), visit)
				}
			}
		}
	}
	if data := n.intake.body.data; !foreign && len(data) >= 32 {
		text, err := searched(n.req.http.Header.Get("Content-Type"), data)
		if err != nil {
			return err
		}
		if objects.EachUUID(text, visit) {
			return problem.New(problem.Invalid, "The body nests escapes too deeply.").
				WithRule("body.escape")
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

// searched returns a body as text that can be searched for ids.
func searched(contentType string, data []byte) ([]byte, error) {
	kind, _, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return data, nil
	}
	plain, err := url.QueryUnescape(string(data))
	if err != nil {
		return nil, problem.New(problem.Invalid, "The form has a broken percent escape.").WithRule("body.form")
	}
	return []byte(plain), nil
}

// named lists the ids of owned objects that the request names.
func (n *naming) named() []string {
	var ids []string
	for _, list := range [...][]profile.IDRef{n.match.Endpoint.Flow, n.match.Endpoint.Objects} {
		for _, ref := range list {
			if ref.Kind == "" || ref.Inside() || ref.In == profile.InBody && !n.intake.body.inspected() {
				continue
			}
			if found, err := n.idsAt(ref); err == nil {
				ids = append(ids, found...)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
