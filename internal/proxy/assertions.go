package proxy

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
)

// An assertion is valid for assertionLife and reused for assertionUse. A verifier's clock may be
// assertionSkew behind. Together this leaves an app at least four minutes to use an assertion.
const (
	assertionLife = 5 * time.Minute
	assertionUse  = time.Minute
	assertionSkew = 30 * time.Second
)

// assertionsKept bounds the memory of the assertion cache; one entry is about 2 KiB.
const assertionsKept = 10_000

// claims are the claims of an assertion (RFC 7519 section 4.1; OpenID Connect Core 1.0 section
// 5.1). Key is the id of the API key that a program used; the key's rights stay internal to Sluice.
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

// assertionCache keeps identity headers, because a signature costs a hundred times as much as a
// decision.
type assertionCache struct {
	signing sync.Mutex
	entries *otter.Cache[subject, *assertion]
}

// subject identifies an assertion: the person, session or key that it describes, and the app that
// it is for.
type subject struct{ session, key, person, app string }

// assertion is a set of identity headers, valid for a short time.
type assertion struct {
	names  []string
	values [][]string

	// The other fields are the facts behind the headers, and when reuse stops.
	generation                      uint64
	name, email, display, workspace string
	audience                        string
	until                           time.Time
}

func newAssertionCache() *assertionCache {
	return &assertionCache{entries: otter.Must(&otter.Options[subject, *assertion]{MaximumSize: assertionsKept})}
}

// holds reports whether an assertion still matches the principal and is fresh.
func (s *assertion) holds(p *authz.Principal, audience string, now time.Time) bool {
	return s.generation == p.Generation && s.name == p.Name && s.email == p.Email && s.display == p.DisplayName &&
		s.workspace == p.Workspace && s.audience == audience && now.Before(s.until)
}

// set writes the headers. The values are shared and must not be changed.
func (s *assertion) set(h http.Header) {
	for i, name := range s.names {
		h[name] = s.values[i]
	}
}

// assert returns the identity headers of a principal for the app of a request.
func assert(q *Request, who *authz.Principal) (*assertion, error) {
	key, audience, now := subject{who.SessionID, who.KeyID, who.ID, q.app.ID}, q.appOrigin(), q.start
	cache := q.p.asserted
	if s, ok := cache.entries.GetIfPresent(key); ok && s.holds(who, audience, now) {
		return s, nil
	}
	cache.signing.Lock()
	defer cache.signing.Unlock()
	if s, ok := cache.entries.GetIfPresent(key); ok && s.holds(who, audience, now) {
		return s, nil
	}
	s, err := newAssertion(q.p, *who, audience, now)
	if err != nil {
		return nil, problem.New(problem.Unavailable, "Sluice cannot sign your identity at the moment.").
			WithRule("assertion").WithRetryAfter(5 * time.Second).WithCause(err)
	}
	cache.entries.Set(key, s)
	return s, nil
}

// hiddenAssertion returns the headers that the reverse proxy adds for a principal. The assertion
// itself is a credential, so it is hidden.
func hiddenAssertion(q *Request, who *authz.Principal) map[string][]string {
	h := http.Header{}
	asserted, err := assert(q, who)
	if err != nil {
		return h
	}
	asserted.set(h)
	if h[builder.HeaderAssertion] != nil {
		h[builder.HeaderAssertion] = []string{"(hidden)"}
	}
	return h
}

func newAssertion(p *Proxy, who authz.Principal, audience string, now time.Time) (*assertion, error) {
	s := &assertion{
		generation: who.Generation,
		name:       who.Name,
		email:      who.Email,
		display:    who.DisplayName,
		workspace:  who.Workspace,
		audience:   audience,
		until:      now.Add(assertionUse),
	}
	h := http.Header{}
	builder.SetIdentity(h, who)
	if p.cfg.Sign != nil {
		token, err := p.cfg.Sign(claims{
			Issuer:    p.cfg.MainOrigin(""),
			Audience:  audience,
			Subject:   who.ID,
			Username:  who.Name,
			Email:     who.Email,
			Name:      who.DisplayName,
			Role:      builder.RoleOf(who),
			Session:   sessionMark(who.SessionID),
			Key:       who.KeyID,
			IssuedAt:  now.Unix(),
			NotBefore: now.Add(-assertionSkew).Unix(),
			Expires:   now.Add(assertionLife).Unix(),
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

// sessionMark lets an app distinguish sessions without revealing their ids.
func sessionMark(id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("sluice session mark\n" + id))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
