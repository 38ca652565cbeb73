package proxy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/guard"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// checkBody applies the endpoint's rules on the keys of the body, and refuses requests with ids or
// names of other workspaces.
func (j *judge) checkBody(ctx context.Context) error {
	e, fallback := j.match.Endpoint, j.req.app.Kind.Fallback
	if limit := j.req.maxBody(e); j.req.http.ContentLength > limit {
		return tooLarge(limit)
	}
	if e.Own.Answer != "" || j.instead != "" {
		return nil
	}
	wanted, err := j.wantsInspection()
	if err != nil {
		return err
	}
	if wanted {
		if err := j.inspect(); err != nil {
			return err
		}
	} else if j.req.http.ContentLength != 0 && !fallback {
		if err := j.intake.hold(j.req, j.req.maxBody(e)); err != nil {
			return err
		}
	}
	if !fallback {
		if err := j.checkForeign(); err != nil {
			return err
		}
		if err := j.checkSharedNames(ctx); err != nil {
			return err
		}
	}
	if !wanted {
		return nil
	}
	if err := j.applyRules(ctx); err != nil || j.instead != "" {
		return err
	}
	if err := j.readFlow(ctx); err != nil {
		return err
	}
	return j.checkFlowType(ctx)
}

// wantsInspection reports whether the body must be judged: the endpoint has rules on it, a stranger
// sends it, or it is short JSON, which costs next to nothing. The bodies of apps that Sluice knows
// nothing about are not inspected.
func (j *judge) wantsInspection() (bool, error) {
	e, kind := j.match.Endpoint, j.req.app.Kind
	if len(e.Body) > 0 || refersToBody(e) {
		return true, nil
	}
	if j.req.http.ContentLength == 0 || kind.Fallback {
		return false, nil
	}
	if j.req.http.Header["Content-Encoding"] != nil {
		return false, compressed()
	}
	form, _, _ := strings.Cut(j.req.http.Header.Get("Content-Type"), ";")
	switch form = strings.ToLower(strings.TrimSpace(form)); {
	case form == "application/json":
		return true, nil
	case form == "multipart/form-data", j.delegated && kind.BuiltIn:
		return false, nil
	case j.delegated && form != "application/x-www-form-urlencoded":
		return false, nil
	}
	return false, problem.New(problem.Invalid, "The body must be application/json or multipart/form-data.").
		WithRule("body.type").WithField("Content-Type")
}

// applyRules judges the keys of the body. It removes optional keys that the sender has no right to
// set.
func (j *judge) applyRules(ctx context.Context) error {
	e, r := j.match.Endpoint, j.rights()
	var dropped []string
	for _, f := range j.intake.body.fields {
		key := string(f.key)
		for i := range e.Body {
			rule := &e.Body[i]
			switch {
			case !rule.Needs(key, f.value):
			case rule.Drop && !r.set(rule):
				dropped = append(dropped, key)
			case j.mayAnswerInstead() && !r.set(rule):
				j.answerInstead("body.key " + key)
				return nil
			default:
				if err := checkKey(ctx, r, rule, key); err != nil {
					return err
				}
			}
		}
	}
	if dropped == nil {
		return nil
	}
	// A sender of forbidden content is refused although it would be removed. If the builder cannot
	// answer the guards' questions, the content does no harm once it is removed.
	err := j.guard(ctx)
	if problem.Is(err, problem.Denied) || problem.Is(err, problem.Invalid) {
		return err
	}
	j.intake.body = j.intake.body.without(dropped)
	return nil
}

// checkKey judges a key that a rule covers. It records a refusal.
func checkKey(ctx context.Context, r rights, rule *profile.BodyRule, key string) error {
	if rule.Action == "" {
		why := cmp.Or(rule.Why, "The body sets a value that only the builder itself can set.")
		return problem.New(problem.Denied, why).WithField(key).WithRule("body.key")
	}
	if !r.who.SignedIn() {
		return needSignIn()
	}
	if err := r.checkAny(ctx, rule.Action, rule.Asks(r.place.Kind)); err != nil {
		return problem.Of(err).WithField(key)
	}
	return nil
}

// checkFlowType requires the permission for the type of a new flow, if the body gives the type.
func (j *judge) checkFlowType(ctx context.Context) error {
	e, b := j.match.Endpoint, j.intake.body
	if e.Result.Creates != flow.Chatflow || len(e.Permissions) == 0 || !b.inspected() {
		return nil
	}
	flowType, err := b.textAt("type")
	if err != nil {
		return err
	}
	j.place.Kind = j.req.app.Kind.FlowKind(flow.Chatflow, flowType)
	return j.rights().checkAny(ctx, e.Action, e.Asks(j.place.Kind))
}

// checkSharedNames separates objects that flows refer to by name instead of id, in a builder with
// one set of names for all workspaces. A flow must not name an object of another workspace, or read
// all of them, and no two workspaces can have an object with the same name.
func (j *judge) checkSharedNames(ctx context.Context) error {
	shared, b := j.req.app.Kind.Shared, j.intake.body
	if shared == nil || !b.held || j.place.Workspace == "" {
		return nil
	}
	naming := givesName(j.match.Endpoint, shared.Kind)
	if !naming && !shared.Mentions(b.data) {
		return nil
	}
	others, err := j.req.p.cfg.Apps.Flows.NamesOfOthers(ctx, j.req.app.ID, shared.Kind, j.place.Workspace)
	if err != nil || len(others) == 0 {
		return err
	}
	if naming {
		name, err := b.textAt("name")
		if err != nil {
			return err
		}
		if slices.Contains(others, name) {
			return problem.New(problem.Conflict, "This name is taken.").WithField("name").WithRule("variable name").
				WithNext(shared.Taken)
		}
	}
	if shared.Foreign(b.data, others) {
		return problem.New(problem.NotFound, "There is no such variable here.").WithRule("variable").
			WithNext(shared.Form)
	}
	return nil
}

// givesName reports whether a request to an endpoint names an object of a kind.
func givesName(e *profile.Endpoint, kind flow.Kind) bool {
	if e.Result.Creates == kind {
		return true
	}
	return e.Result.Renames && len(e.Objects) == 1 && e.Objects[0].Kind == kind
}

// guardTimeout bounds how long the builder may take to answer a guard's questions.
const guardTimeout = 30 * time.Second

// guard runs the endpoint's guards in order. It records a refusal like one of the Gate.
func (j *judge) guard(ctx context.Context) error {
	e := j.match.Endpoint
	if len(e.Guards) == 0 || e.Own.Answer != "" || j.instead != "" {
		return nil
	}
	if j.req.http.ContentLength != 0 {
		if j.req.http.Header["Content-Encoding"] != nil {
			return compressed()
		}
		if err := j.intake.hold(j.req, j.req.maxBody(e)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, guardTimeout)
	defer cancel()
	seen := j.guarded()
	for _, name := range e.Guards {
		if err := j.req.app.Kind.Guards[name](ctx, seen); err != nil {
			if p := problem.Of(err); p.Kind == problem.Denied {
				resource, said := j.rights().resource(), p.Rule+": "+p.Detail
				j.req.p.cfg.Gate.RecordLater(*j.who, authz.BuilderCode, resource, audit.Denied, said)
			}
			return err
		}
	}
	return nil
}

// guarded returns the request in the form that guards see.
func (j *judge) guarded() *guard.Request {
	app, stranger := j.req.app, !j.delegated
	who, rights := *j.who, j.rights()
	rights.who = &who // a check may outlive the judge if several requests wait for one answer
	r := &guard.Request{
		Now:      j.req.p.cfg.Now,
		App:      app.ID,
		AppName:  app.Name,
		Version:  app.Version,
		Flow:     j.flow,
		Account:  j.guardedAccount(),
		Stranger: stranger,
		MayCode:  func() bool { return !stranger && rights.either(authz.BuilderCode, "code:run") },
		MayServe: func() bool { return !stranger && rights.either(authz.BuilderCode, "mcp-servers:manage") },
		Body:     j.intake.body.data,
	}
	if !stranger || r.Account != "" {
		r.Get = j.asker()
	}
	if kinds := j.req.http.Header["Content-Type"]; len(kinds) == 1 {
		r.ContentType = kinds[0]
	}
	if name := j.match.Param("name"); name != "" {
		r.Plain = append(r.Plain, plainText(name))
	}
	r.Plain = append(r.Plain, j.req.query["name"]...)
	return r
}

// guardedAccount returns the builder account that the request goes into. For a stranger it is the
// account that holds the published flow.
func (j *judge) guardedAccount() string {
	if !j.delegated {
		return j.req.up.objects.Account(j.flow)
	}
	if j.place.Account != "" {
		return j.place.Account
	}
	if accounts := j.req.accounts(); accounts != nil {
		if ids := accounts.Of(behalfOf(j.req, j.who, true, j.place)); len(ids) > 0 {
			return ids[0]
		}
	}
	return ""
}

// asker returns a function that reads from the builder in the account that the request goes into.
// Strangers have no account, so theirs is the one that holds the published flow. From its answers
// they learn only whether the builder knows the content that they send.
func (j *judge) asker() func(ctx context.Context, path string, limit int64) (int, []byte, error) {
	req := j.req
	behalf := behalfOf(req, j.who, j.delegated, j.place)
	if !j.delegated && j.place.Workspace != "" {
		behalf.Principal, behalf.Account = authz.SystemPrincipal("guard"), req.up.objects.Account(j.flow)
		behalf = req.atHome(behalf)
	}
	return func(ctx context.Context, path string, limit int64) (int, []byte, error) {
		return ask(ctx, req, behalf, path, limit)
	}
}

// maxGraph bounds a stored flow that is inserted into a request, in bytes.
const maxGraph = 8 << 20

// addStoredFlow inserts the stored flow into a public run that lacks one, for builders that run
// only the flow in the request. The client's version was removed, because it could be any code. The
// flow is read as strangers read it.
func (j *judge) addStoredFlow(ctx context.Context) error {
	key, stored, b := j.match.Endpoint.Adds.Flow, j.req.app.Kind.Stored, j.intake.body
	if key == "" || j.instead != "" || !b.held || !stored.Needed(j.req.app.Version) ||
		!bytes.HasPrefix(bytes.TrimSpace(b.data), []byte("{")) {
		return nil
	}
	switch value := b.valueAt(key); {
	case string(value) == "null":
		b = b.without([]string{key})
	case value != nil:
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, objects.ResolveTimeout)
	defer cancel()
	status, answer, err := j.asker()(ctx, stored.Path(j.flow), maxGraph)
	var graph struct{ Data json.RawMessage }
	if err != nil || status != http.StatusOK || json.Unmarshal(answer, &graph) != nil || len(graph.Data) == 0 {
		return problem.Newf(
			problem.Unavailable,
			"%s did not return the stored flow, which this version needs to run it for other people.",
			j.req.app.Name,
		).WithRule("flow unreadable").WithCause(err)
	}
	if err := j.req.memory.take(int64(len(graph.Data))); err != nil {
		return err
	}
	j.intake.body = b.with(key, graph.Data)
	return nil
}
