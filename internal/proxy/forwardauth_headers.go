package proxy

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// forwarded is what a reverse proxy says of the request that it asks about. The names of the headers are those of Caddy and Traefik; nginx is configured to use them too.
type forwarded struct{ method, host, uri string }

// maxForwardedHost is the longest host in bytes: a name of DNS (RFC 1035 section 2.3.4) with a port.
const maxForwardedHost = 253 + len(":65535")

// forwardedOf reads the headers of a sub-request. What is missing, stands twice or could be read in two ways is refused, because a proxy that is configured well writes each once.
func forwardedOf(h http.Header) (f forwarded, err error) {
	for _, v := range [...]struct {
		name string
		to   *string
		most int
	}{{"X-Forwarded-Method", &f.method, 20}, {"X-Forwarded-Host", &f.host, maxForwardedHost}, {"X-Forwarded-Uri", &f.uri, 2*profile.MaxTarget + 1}} {
		values := h[v.name]
		if len(values) != 1 || values[0] == "" {
			return f, badForwarded(v.name, "The reverse proxy must say %s once.")
		}
		if len(values[0]) > v.most {
			return f, badForwarded(v.name, "%s is too long.")
		}
		*v.to = values[0]
	}
	switch {
	case !wordOnly(f.method):
		return f, badForwarded("X-Forwarded-Method", "%s must be the method of the request, such as GET.")
	case !hostOnly(f.host):
		return f, badForwarded("X-Forwarded-Host", "%s must be one host name with its port, as the browser's Host header.")
	case f.uri[0] != '/':
		return f, badForwarded("X-Forwarded-Uri", "%s must be the path and the query of the request, as the browser sent them.")
	}
	for name := range h {
		if pretends(name) {
			return f, problem.Newf(problem.Denied, "The request carries %.60q. Only Sluice may say who somebody is.", name).WithField(name).WithRule("identity header")
		}
	}
	return f, nil
}

func badForwarded(name, format string) error {
	return problem.Newf(problem.Denied, format, name).WithField(name).WithRule("forward-auth header").
		WithNext("Use the configuration that the app's page in Sluice shows.")
}

// wordOnly reports whether a method is made of upper-case letters, as all methods that Sluice passes on.
func wordOnly(s string) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return true
}

// hostOnly reports whether a text is nothing but a host and a port: no list, no blank, no user name, no path.
func hostOnly(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f, strings.IndexByte(`,/\@?#"'<>;`, c) >= 0:
			return false
		}
	}
	return true
}

// pretends reports whether a header could be taken for one of builder.IdentityHeaders and is none: CGI-like servers read underscores, and some dots, as dashes, and who knows which names later versions have.
// Those in their canonical spelling are not meant: the reverse proxy replaces them. Names are as net/http writes them.
func pretends(name string) bool {
	const prefix = "X-Sluice-"
	if len(name) < len(prefix) || name[0] != 'X' || !separator(name[1]) || !separator(name[len(prefix)-1]) || !strings.EqualFold(name[2:len(prefix)-1], prefix[2:len(prefix)-1]) {
		return false
	}
	switch name {
	case builder.HeaderUser, builder.HeaderID, builder.HeaderName, builder.HeaderEmail, builder.HeaderRole, builder.HeaderAssertion:
		return false
	}
	return true
}

func separator(c byte) bool { return c == '-' || c == '_' || c == '.' }

// request makes of r the request that the sub-request asks about, as the steps of the data plane see it. It has the client's headers and no body.
func (f forwarded) request(r, sub *http.Request) {
	*r = *sub
	r.Method, r.Host, r.RequestURI = f.method, f.host, f.uri
	r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
	if r.Header["Sec-Websocket-Key"] != nil && r.Header["Upgrade"] == nil {
		// Upgrade concerns one connection only, so that Traefik does not pass it on; the key stays (RFC 6455 section 4.1).
		r.Header = r.Header.Clone()
		r.Header["Upgrade"] = []string{"websocket"}
	}
}

// How long an assertion is good, how long it is given out, and how far the clock of who verifies it may be behind, so that whoever gets one has at least four minutes to use it.
const (
	assertionLife = 5 * time.Minute
	assertionUse  = time.Minute
	assertionSkew = 30 * time.Second
)

// assertionsKept bounds the memory of what was said; one entry is about 2 KiB.
const assertionsKept = 10_000

// claims are those of an assertion (RFC 7519 section 4.1; OpenID Connect Core 1.0 section 5.1). Key is the id of the API key with which a program came; what a key may do is Sluice's matter.
type claims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Subject   string `json:"sub"`
	Username  string `json:"preferred_username"`
	Email     string `json:"email,omitempty"`
	Name      string `json:"name,omitempty"`
	Role      string `json:"role,omitempty"`
	Session   string `json:"sid,omitempty"`
	Key       string `json:"key,omitempty"`
	IssuedAt  int64  `json:"iat"`
	NotBefore int64  `json:"nbf"`
	Expires   int64  `json:"exp"`
}

// sayings keeps what was said of people, because a signature costs a hundred times as much as a decision.
type sayings struct {
	signing sync.Mutex
	cache   *otter.Cache[about, *saying]
}

// about is whom something is said of, and to whom.
type about struct{ session, key, person, app string }

// saying is a set of identity headers as of a moment.
type saying struct {
	names  []string
	values [][]string

	// What it rests on.
	generation                      uint64
	name, email, display, workspace string
	audience                        string
	until                           time.Time
}

func newSayings() *sayings {
	return &sayings{cache: otter.Must(&otter.Options[about, *saying]{MaximumSize: assertionsKept})}
}

// holds reports whether what was said is still true and fresh.
func (s *saying) holds(p authz.Principal, audience string, now time.Time) bool {
	return s.generation == p.Generation && s.name == p.Name && s.email == p.Email && s.display == p.DisplayName && s.workspace == p.Workspace &&
		s.audience == audience && now.Before(s.until)
}

// set writes the headers. The values are shared and must not be changed.
func (s *saying) set(h http.Header) {
	for i, name := range s.names {
		h[name] = s.values[i]
	}
}

// say returns the identity headers of an exchange's person.
func (p *Proxy) say(x *exchange) (*saying, error) {
	key, audience, now := about{x.who.SessionID, x.who.KeyID, x.who.ID, x.app.ID}, x.appOrigin(), x.event.Start
	if s, ok := p.sayings.cache.GetIfPresent(key); ok && s.holds(x.who, audience, now) {
		return s, nil
	}
	p.sayings.signing.Lock()
	defer p.sayings.signing.Unlock()
	if s, ok := p.sayings.cache.GetIfPresent(key); ok && s.holds(x.who, audience, now) {
		return s, nil
	}
	s, err := p.newSaying(x.who, audience, now)
	if err != nil {
		return nil, problem.New(problem.Unavailable, "Sluice cannot sign who you are at the moment.").WithRule("assertion").WithRetryAfter(5 * time.Second).WithCause(err)
	}
	p.sayings.cache.Set(key, s)
	return s, nil
}

// saidHeaders are the headers that the reverse proxy is to add for this person; the assertion is a credential and hidden.
func (x *exchange) saidHeaders() map[string][]string {
	h := http.Header{}
	said, err := x.p.say(x)
	if err != nil {
		return h
	}
	said.set(h)
	if h[builder.HeaderAssertion] != nil {
		h[builder.HeaderAssertion] = []string{"(hidden)"}
	}
	return h
}

func (p *Proxy) newSaying(who authz.Principal, audience string, now time.Time) (*saying, error) {
	s := &saying{
		generation: who.Generation, name: who.Name, email: who.Email, display: who.DisplayName, workspace: who.Workspace,
		audience: audience, until: now.Add(assertionUse),
	}
	h := http.Header{}
	builder.SetIdentity(h, who)
	if p.cfg.Sign != nil {
		token, err := p.cfg.Sign(claims{
			Issuer: p.cfg.MainOrigin(""), Audience: audience, Subject: who.ID, Username: who.Name, Email: who.Email, Name: who.DisplayName, Role: builder.RoleOf(who),
			Session: sessionMark(who.SessionID), Key: who.KeyID, IssuedAt: now.Unix(), NotBefore: now.Add(-assertionSkew).Unix(), Expires: now.Add(assertionLife).Unix(),
		})
		if err != nil {
			return nil, err
		}
		h[builder.HeaderAssertion] = []string{token}
	}
	for _, name := range builder.IdentityHeaders() {
		if v := h[name]; v != nil {
			s.names, s.values = append(s.names, name), append(s.values, v)
		}
	}
	return s, nil
}

// sessionMark tells sessions apart for an app without telling their ids.
func sessionMark(id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("sluice session mark\n" + id))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
