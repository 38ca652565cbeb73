package proxy

import (
	"context"
	"net/http"
	"sync"

	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/problem"
)

// answerInstead gives the answers that Sluice owes in the builder's place: where to sign in, who is
// signed in, or a sign-out.
func (a *reply) answerInstead(ctx context.Context, v *Verdict) {
	p, q := a.req.p, a.req
	whole := sync.OnceValues(func() ([]byte, error) { return a.wholeBody(v) })
	main := q.mainOrigin()
	c := builder.AnswerContext{
		Principal:     *v.requester.who(),
		SignInURL:     q.signInURL(),
		SignedOutURL:  main + "/login",
		SignOut:       func(ctx context.Context) error { return p.cfg.SignOut(ctx, *v.requester.who()) },
		Query:         q.query,
		App:           q.app.ID,
		Param:         v.match.Param,
		Body:          whole,
		Keys:          p.cfg.Keys,
		Fresh:         &p.fresh,
		KeysURL:       main + "/account/keys",
		People:        p.cfg.People,
		Logins:        p.cfg.Logins,
		NewUserActive: p.cfg.NewUserActive,
		May:           v.may,
		AccountURL:    main + "/account",
		ConfirmURL:    main + "/confirm",
		Version:       q.app.Version,
		Now:           p.cfg.Now(),
	}
	if q.app.Bridge != nil {
		c.Upstream = q.app.Bridge.Upstream()
	}
	answer, err := q.app.Kind.Answer(ctx, v.instead, c)
	switch {
	case err != nil:
		a.refuse(err)
	case answer.Read:
		a.readInstead(ctx, v)
	default:
		a.write(answer.Answer)
	}
}

// wholeBody returns the JSON object that the client sent, read and judged like a forwarded one.
func (a *reply) wholeBody(v *Verdict) ([]byte, error) {
	in := intake{body: v.body}
	err := in.inspect(v.Request, v.endpoint(), !v.requester.who().SignedIn())
	a.read = in.body.held
	return in.body.data, err
}

// readInstead answers a request for a change with the builder's current content. It creates a
// second request of the same requester, which is judged like any other.
func (a *reply) readInstead(ctx context.Context, v *Verdict) {
	old := v.Request
	if _, ok := old.app.Profile.Match(http.MethodGet, old.path); !ok {
		a.refuse(problem.New(problem.Denied, "You can see this but not change it.").WithRule("view only"))
		return
	}
	r := old.http.WithContext(ctx)
	r.Method, r.Body, r.ContentLength, r.Header = http.MethodGet, http.NoBody, 0, old.http.Header.Clone()
	for _, name := range [...]string{
		"Content-Type",
		"Content-Length",
		"Content-Encoding",
		"If-Match",
		"If-Unmodified-Since",
	} {
		delete(r.Header, name)
	}
	req := *old
	req.http, req.requester = r, &v.requester
	a.req = &req
	reading, err := Judge(ctx, &req)
	if err != nil {
		a.refuse(err)
		return
	}
	forward(a, &reading)
}

// may reports whether the requester may use a row of the table on an object that is in the map. It
// records nothing: a page asks so that it offers only what is allowed.
func (v *Verdict) may(endpoint, objectID string) bool {
	req := v.Request
	e := req.app.Profile.Endpoint(endpoint)
	workspace, kind, ok := req.up.objects.Owner(objectID)
	if e == nil || e.Blocked != "" || !ok || workspace == "" {
		return false
	}
	r := rights{
		gate:  req.p.cfg.Gate,
		app:   req.app,
		who:   v.requester.who(),
		place: objects.Place{Workspace: workspace, Kind: kind},
	}
	if kind == flow.Chatflow || kind == flow.Agentflow || kind == flow.Assistantflow {
		r.flow = objectID
	}
	return r.use(e) == nil
}
