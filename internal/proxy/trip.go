package proxy

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/authn"
	"sluice/internal/builder"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// trip carries requests of one Verdict to the builder. It sets the headers that only Sluice may
// set, adds the builder's session, and renews the session once if the builder refuses it. It is the
// transport of one exchange.
type trip struct {
	req      *Request
	endpoint *profile.Endpoint
	shown    *authn.Credential
	behalf   builder.OnBehalf
	place    objects.Place
	flow     string
	renewed  *bool // the builder has refused the session; shared with trips into other accounts
}

func newTrip(v *Verdict, renewed *bool) trip {
	return trip{
		req:      v.Request,
		endpoint: v.endpoint(),
		shown:    &v.requester.shown,
		behalf:   v.behalf(),
		place:    v.place,
		flow:     v.flow,
		renewed:  renewed,
	}
}

// in returns a trip of the same request into another account.
func (t *trip) in(account string) *trip {
	other := *t
	other.behalf.Workspace, other.behalf.Account = t.place.Workspace, account
	other.behalf = t.req.atHome(other.behalf)
	return &other
}

// bridged reports whether the request goes into a session that the builder could have forgotten.
func (t *trip) bridged() bool {
	return t.behalf.SignedIn() && t.endpoint.Upstream != profile.UpstreamNone && t.req.app.Profile.HoldsSession()
}

// RoundTrip adds the builder's session. If the builder has forgotten the session (after a restart,
// say), RoundTrip renews it and sends the request again. A 401, or a 403 to a key, means that the
// builder did nothing, so any method can be repeated.
func (t *trip) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.attach(req); err != nil {
		return nil, err
	}
	res, err := t.req.up.transport.RoundTrip(req)
	if err != nil || !t.refusesSession(res.StatusCode) || !t.bridged() {
		return res, err
	}
	return t.renew(req, res)
}

// refusesSession reports whether a status may mean that the builder does not know the session or
// key that the bridge attached.
func (t *trip) refusesSession(status int) bool {
	return status == http.StatusUnauthorized ||
		status == http.StatusForbidden && t.endpoint.Upstream == profile.UpstreamKey
}

func (t *trip) attach(req *http.Request) error {
	bridge := t.req.app.Bridge
	if bridge == nil {
		if !t.bridged() {
			return nil
		}
		return problem.Newf(problem.Unavailable, "Sluice has no account of %s yet.", t.req.app.Name).
			WithRule("no owner account").WithNext("An admin can give it one on Sluice's apps page.")
	}
	if err := t.attachFlowKey(req); err != nil {
		return err
	}
	return bridge.Attach(req.Context(), req.Header, t.behalf, t.endpoint)
}

// attachFlowKey adds the builder's own key of a flow that requires one, if the person who runs it
// has a right to the flow. Strangers get exactly what the builder gives strangers.
func (t *trip) attachFlowKey(req *http.Request) error {
	kind, bridge := t.endpoint.Adds.FlowKey, t.req.app.Bridge
	if kind == "" || bridge.FlowKey == nil || !t.behalf.SignedIn() {
		return nil
	}
	key, err := bridge.FlowKey(req.Context(), kind, t.flow)
	if err != nil || key == "" {
		return err
	}
	req.Header["Authorization"] = []string{"Bearer " + key}
	return nil
}

// renew renews the session and sends the request again if possible: only a body that is held in
// memory can be sent twice.
func (t *trip) renew(req *http.Request, refused *http.Response) (*http.Response, error) {
	renewed := t.req.app.Bridge.Rejected(req.Context(), req.Header)
	if !renewed && refused.StatusCode == http.StatusForbidden {
		return refused, nil // the 403 is about the object, not about the key
	}
	discard(refused)
	streamed := req.Body != nil && req.Body != http.NoBody && req.GetBody == nil
	if !renewed || streamed {
		return nil, t.noSession()
	}
	*t.renewed = true
	again := req.Clone(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		again.Body = body
	}
	t.rewriteHeader(again.Header)
	if err := t.attach(again); err != nil {
		return nil, err
	}
	res, err := t.req.up.transport.RoundTrip(again)
	if err == nil && res.StatusCode == http.StatusUnauthorized {
		discard(res)
		return nil, t.noSession()
	}
	return res, err
}

// noSession replaces a 401 of the builder that cannot be fixed now. The 401 must not reach the
// browser: the builder's pages would believe that the person's own session is over, and redirect
// them in a loop.
func (t *trip) noSession() error {
	return problem.Newf(problem.Unavailable, "%s does not accept Sluice's session at the moment.", t.req.app.Name).
		WithRule("builder's session").WithRetryAfter(2 * time.Second).
		WithNext("Try again in a few seconds. If it keeps failing, ask an admin to check Sluice's apps page.")
}

// discard reads the rest of a short answer, so that its connection can be used again.
func discard(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
	_ = res.Body.Close()
}

// target writes the judged path and query into u. Opaque makes net/http send exactly these bytes.
func (t *trip) target(u *url.URL, path, rawQuery string) {
	base := t.req.app.Upstream
	u.Scheme, u.Host = base.Scheme, base.Host
	u.Opaque = path
	if base.Path != "" && base.Path != "/" {
		u.Opaque = strings.TrimSuffix(base.EscapedPath(), "/") + path
	}
	u.Path, u.RawPath, u.RawQuery, u.ForceQuery = "", "", rawQuery, false
}

// rewriteHeader removes headers that the client must not set, and sets Sluice's. The bridge adds
// the builder's session later.
func (t *trip) rewriteHeader(h http.Header) {
	q := t.req
	q.app.Profile.CleanRequest(h)
	dropOwnCookies(h)
	if !q.app.Kind.Fallback {
		// An app that Sluice knows nothing about may have its own sign-in. All others get only the
		// bridge's credential.
		delete(h, "Authorization")
		delete(h, "X-Api-Key")
	} else {
		t.shown.Strip(h)
	}
	delete(h, "Expect")
	delete(h, "Http2-Settings")
	v := [...]string{q.peer, q.scheme(), q.http.Host, q.id}
	h["X-Forwarded-For"], h["X-Forwarded-Proto"] = v[0:1:1], v[1:2:2]
	h["X-Forwarded-Host"], h["X-Request-Id"] = v[2:3:3], v[3:4:4]
	if o := h["Origin"]; len(o) == 1 && strings.EqualFold(o[0], q.appOrigin()) {
		// The builder sees its own address in Host, so its same-origin checks need that address in
		// Origin too.
		h["Origin"] = []string{q.app.Upstream.Scheme + "://" + q.app.Upstream.Host}
	}
}

// dropOwnCookies removes all Sluice cookies from the Cookie header. The others are unchanged.
func dropOwnCookies(h http.Header) {
	lines := h["Cookie"]
	if len(lines) == 0 {
		return
	}
	if len(lines) == 1 && strings.IndexByte(lines[0], ';') < 0 {
		if ownCookie(lines[0]) {
			delete(h, "Cookie")
		}
		return
	}
	var keep []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			if part = strings.TrimSpace(part); part != "" && !ownCookie(part) {
				keep = append(keep, part)
			}
		}
	}
	if len(keep) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = []string{strings.Join(keep, "; ")}
}

// ownCookie reports whether "name=value" is a Sluice cookie.
func ownCookie(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	name = strings.TrimSpace(name)
	name = strings.TrimPrefix(strings.TrimPrefix(name, "__Host-"), "__Secure-")
	return len(name) >= len(ownCookiePrefix) && strings.EqualFold(name[:len(ownCookiePrefix)], ownCookiePrefix)
}

// ownCookiePrefix begins the names of all Sluice cookies, such as authn.CookieName.
const ownCookiePrefix = "sluice_"

// readsItself is the endpoint for Sluice's own requests to a builder.
var readsItself = &profile.Endpoint{
	Name:     "guard",
	Methods:  []string{http.MethodGet},
	Upstream: profile.UpstreamSession,
}

// ask reads at most limit bytes from a path of the builder, in one of its accounts. The session is
// renewed once if necessary.
func ask(ctx context.Context, req *Request, b builder.OnBehalf, path string, limit int64) (int, []byte, error) {
	status, body, again, err := askOnce(ctx, req, b, path, limit)
	if again {
		status, body, _, err = askOnce(ctx, req, b, path, limit)
	}
	return status, body, err
}

func askOnce(
	ctx context.Context,
	q *Request,
	b builder.OnBehalf,
	path string,
	limit int64,
) (status int, body []byte, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://builder/", http.NoBody)
	if err != nil {
		return 0, nil, false, err
	}
	base, bridge := q.app.Upstream, q.app.Bridge
	req.URL = &url.URL{Scheme: base.Scheme, Host: base.Host}
	req.URL.Path, req.URL.RawQuery, _ = strings.Cut(strings.TrimSuffix(base.Path, "/")+path, "?")
	req.Host = ""
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip")
	if bridge != nil {
		if err := bridge.Attach(ctx, req.Header, b, readsItself); err != nil {
			return 0, nil, false, err
		}
	}
	res, err := q.up.transport.RoundTrip(req)
	if err != nil {
		return 0, nil, false, err
	}
	defer q.up.distrust(res.StatusCode)
	defer discard(res)
	if res.StatusCode == http.StatusUnauthorized && bridge != nil {
		return res.StatusCode, nil, bridge.Rejected(ctx, req.Header), nil
	}
	body, err = readPlain(res, limit)
	return res.StatusCode, body, false, err
}

// readPlain reads an answer whether it is compressed or not, because some builders compress answers
// unasked.
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
