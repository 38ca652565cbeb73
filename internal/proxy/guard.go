package proxy

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/guard"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// guardTimeout bounds how long the builder may take to tell what it knows.
const guardTimeout = 30 * time.Second

// inspectGuarded takes the request through the guards that its endpoint names. A refusal is recorded like one of the gate.
func (x *exchange) inspectGuarded() error {
	e := x.match.Endpoint
	if e == nil || len(e.Guards) == 0 || e.Own.Answer != "" || x.instead != "" {
		return nil
	}
	if x.r.ContentLength != 0 {
		if x.r.Header["Content-Encoding"] != nil {
			return compressed()
		}
		if err := x.hold(x.maxBody()); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), guardTimeout)
	defer cancel()
	err := x.passGuards(ctx)
	if err == nil {
		return nil
	}
	if p := problem.Of(err); p.Kind == problem.Denied {
		x.p.cfg.Gate.RecordLater(x.who, authz.BuilderCode, x.resource(), audit.Denied, p.Rule+": "+p.Detail)
	}
	return err
}

// passGuards takes the request through its guards, in the order in which the endpoint names them.
func (x *exchange) passGuards(ctx context.Context) error {
	r := x.guarded()
	for _, name := range x.match.Endpoint.Guards {
		if err := x.app.Kind.Guards[name](ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// judgeDropped takes a body through the guards before something is taken out of it: who sends what they may not bring is refused. Where the builder cannot say what it
// knows, what is taken out does no harm.
func (x *exchange) judgeDropped() error {
	err := x.inspectGuarded()
	if problem.Is(err, problem.Denied) || problem.Is(err, problem.Invalid) {
		return err
	}
	return nil
}

// guarded is the request as the guards see it.
func (x *exchange) guarded() *guard.Request {
	r := &guard.Request{
		Now: x.p.cfg.Now, App: x.app.ID, AppName: x.app.Name, Version: x.app.Version, Flow: x.flow, Account: x.guardedAccount(),
		MayCode:  func() bool { return x.mayEither(authz.BuilderCode, "code:run") },
		MayServe: func() bool { return x.mayEither(authz.BuilderCode, "mcp-servers:manage") },
	}
	if r.Stranger = !x.lend.SignedIn(); r.Stranger {
		r.Account = x.up.objects.Account(x.flow)
	}
	if !r.Stranger || r.Account != "" {
		r.Get = x.askBuilder
	}
	if x.body != nil {
		r.Body = x.body.data
	}
	if kinds := x.r.Header["Content-Type"]; len(kinds) == 1 {
		r.ContentType = kinds[0]
	}
	if name := x.match.Param("name"); name != "" {
		r.Plain = append(r.Plain, plainText(name))
	}
	r.Plain = append(r.Plain, x.query["name"]...)
	return r
}

// mayEither asks for a permission, or for the whole action, without recording anything.
func (x *exchange) mayEither(action, permission authz.Action) bool {
	if !x.lend.SignedIn() {
		return false
	}
	gate, res := x.p.cfg.Gate, x.resource()
	return gate.Decide(x.who, permission, res).Allowed || gate.Decide(x.who, action, res).Allowed
}

// guardedAccount is the builder's account that the request goes into.
func (x *exchange) guardedAccount() string {
	if x.at.Account != "" {
		return x.at.Account
	}
	if accounts := x.accounts(); accounts != nil && x.lend.SignedIn() {
		if ids := accounts.Of(x.lent()); len(ids) > 0 {
			return ids[0]
		}
	}
	return ""
}

// readsItself is the endpoint of Sluice's own questions to a builder.
var readsItself = &profile.Endpoint{Name: "guard", Methods: []string{http.MethodGet}, Upstream: profile.UpstreamSession}

// askBuilder reads from the builder in the account that the request goes into.
func (x *exchange) askBuilder(ctx context.Context, path string, limit int64) (int, []byte, error) {
	status, body, again, err := x.askOnce(ctx, path, limit)
	if again {
		status, body, _, err = x.askOnce(ctx, path, limit)
	}
	return status, body, err
}

// asking says in which account Sluice asks. Strangers have none: then it is the one that holds the published flow, and they learn nothing of the answer but whether the
// builder knows what they send.
func (x *exchange) asking() builder.OnBehalf {
	l := x.lent()
	if !l.SignedIn() && x.at.Workspace != "" {
		l.Principal, l.Account = authz.SystemPrincipal("guard"), x.up.objects.Account(x.flow)
	}
	return x.atHome(l)
}

func (x *exchange) askOnce(ctx context.Context, path string, limit int64) (status int, body []byte, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://builder/", http.NoBody)
	if err != nil {
		return 0, nil, false, err
	}
	base := x.app.Upstream
	req.URL = &url.URL{Scheme: base.Scheme, Host: base.Host}
	req.URL.Path, req.URL.RawQuery, _ = strings.Cut(strings.TrimSuffix(base.Path, "/")+path, "?")
	req.Host = ""
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip")
	if x.app.Bridge != nil {
		if err := x.app.Bridge.Attach(ctx, req.Header, x.asking(), readsItself); err != nil {
			return 0, nil, false, err
		}
	}
	res, err := x.up.transport.RoundTrip(req)
	if err != nil {
		return 0, nil, false, err
	}
	defer x.up.distrust(res.StatusCode)
	defer discard(res)
	if res.StatusCode == http.StatusUnauthorized && x.app.Bridge != nil {
		return res.StatusCode, nil, x.app.Bridge.Rejected(ctx, req.Header), nil
	}
	body, err = readPlain(res, limit)
	return res.StatusCode, body, false, err
}

// readPlain reads an answer whether it is compressed or not: some builders compress whatever they are asked for.
func readPlain(res *http.Response, limit int64) ([]byte, error) {
	from := io.Reader(res.Body)
	if strings.EqualFold(res.Header.Get("Content-Encoding"), "gzip") {
		z, err := gzip.NewReader(res.Body)
		if err != nil {
			return nil, err
		}
		from = z
	}
	body, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err == nil && int64(len(body)) > limit {
		return nil, problem.Newf(problem.Upstream, "The builder's answer is larger than %s.", size(limit))
	}
	return body, err
}
