package authn

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"sluice/internal/problem"
)

// CredentialKind is the kind of credential by which a principal was recognized.
type CredentialKind uint8

const (
	// CredentialNone is a request without a credential.
	CredentialNone CredentialKind = iota
	// CredentialSession is a browser session. Browsers send its cookie automatically, so Sluice
	// must distinguish requests that come from other sites.
	CredentialSession
	// CredentialAccess is an access token of a program that has signed in.
	CredentialAccess
	// CredentialKey is a Sluice API key.
	CredentialKey
)

// Credential is the credential of a request and the principal behind it.
type Credential struct {
	// Principal is the zero value for strangers.
	Principal Principal
	// Kind is CredentialNone for strangers.
	Kind CredentialKind
	// KeyPrefix is the beginning of the API key, to recognize it by. It is empty for other kinds.
	KeyPrefix string
	// Limits are the key's rate limits and how much of them is left, even if they are used up.
	Limits Limits
}

// Place is where a request came in, as far as that matters for credentials.
type Place struct {
	// Audience is what a session cookie must have been issued for: AudienceMain or an app's id.
	Audience string
	// Secure reports whether the origin is https, where only the __Host- cookie is accepted.
	Secure bool
	// From is the address of the client. Keys can be bound to networks.
	From netip.Addr
	// OwnSignIn reports whether the app may have credentials of its own. Header values that Sluice
	// did not issue are then left to the app.
	OwnSignIn bool
}

// ErrForeign means that Sluice did not issue a bearer token. A Sluice token that is no longer valid
// is a different error.
var ErrForeign = errors.New("not a Sluice token")

// Credentials is the one place where a request becomes a principal.
type Credentials struct {
	// Sessions looks up session cookies.
	Sessions *Sessions
	// Keys looks up API keys. Nil turns them off.
	Keys *Keys
	// Access returns the person of an access token: ErrForeign if Sluice did not issue the token,
	// problem.Unauthenticated if the token is not valid. Nil turns access tokens off.
	Access func(token string) (Principal, error)
}

// Authenticate determines the principal of a request: by "Authorization: Bearer" (an API key or an
// access token, RFC 6750), by "X-Api-Key" (an API key), or else by the session cookie. A request
// without a credential belongs to a stranger, which is not an error. A credential that is not valid
// is problem.Unauthenticated, or problem.Denied if it is valid but not here. Another credential
// never makes up for it. Authenticate never reads credentials in the URL, because URLs end up in
// logs.
func (c *Credentials) Authenticate(r *http.Request, at Place) (Credential, error) {
	offered, err := offeredToken(r.Header, at.OwnSignIn)
	switch {
	case err != nil:
		return Credential{}, err
	case offered.value != "":
		found, err := c.token(r.Context(), offered, at)
		if !at.OwnSignIn || !errors.Is(err, ErrForeign) {
			return found, unless(err, ErrForeign)
		}
	}
	if r.Header["Cookie"] == nil {
		return Credential{}, nil
	}
	p, err := c.Sessions.Authenticate(r, at.Audience, at.Secure)
	if err != nil || !p.SignedIn() {
		return Credential{}, err
	}
	return Credential{Principal: p, Kind: CredentialSession}, nil
}

// unless turns the foreign sentinel into the problem that a client gets.
func unless(err, foreign error) error {
	if errors.Is(err, foreign) {
		return badToken()
	}
	return err
}

// token finds the principal of an offered token.
func (c *Credentials) token(ctx context.Context, o offer, at Place) (Credential, error) {
	if o.key {
		if o.other != "" && c.Access != nil {
			if _, err := c.Access(o.other); !errors.Is(err, ErrForeign) {
				return Credential{}, twoCredentials()
			}
		}
		return c.key(ctx, o.value, at)
	}
	if c.Access == nil {
		return Credential{}, ErrForeign
	}
	p, err := c.Access(o.value)
	if err != nil {
		return Credential{}, err
	}
	return Credential{Principal: p, Kind: CredentialAccess}, nil
}

// key finds the principal of an API key and counts the request. A request waits for the database
// only if its key has limits and the booked portion is used up.
func (c *Credentials) key(ctx context.Context, text string, at Place) (Credential, error) {
	if c.Keys == nil {
		return Credential{}, badToken()
	}
	if strings.HasPrefix(text, importedStart) && !c.Keys.brought(text) {
		return Credential{}, ErrForeign
	}
	p, h, err := c.Keys.lookup(text, at.From)
	if err != nil {
		return Credential{}, err
	}
	found := Credential{Principal: p, Kind: CredentialKey, KeyPrefix: text[:keyPrefix]}
	if h.perMinute > 0 || h.perDay > 0 {
		found.Limits, err = c.Keys.budgets.take(ctx, h.id, [len(spans)]int64{int64(h.perMinute), int64(h.perDay)})
	}
	return found, err
}

// Strip removes Sluice credentials from headers that are about to be forwarded.
func (c *Credential) Strip(h http.Header) {
	if c.Kind == CredentialAccess || mentionsKey(h["Authorization"]) || c.shownIn(h["Authorization"]) {
		delete(h, "Authorization")
	}
	if mentionsKey(h["X-Api-Key"]) || c.shownIn(h["X-Api-Key"]) {
		delete(h, "X-Api-Key")
	}
}

// Challenge is the value of WWW-Authenticate for a 401 response (RFC 6750 section 3). err is the
// reason, nil if the request offered no credential.
func Challenge(err error) string {
	if TokenTrouble(err) {
		return `Bearer realm="Sluice", error="invalid_token"`
	}
	return `Bearer realm="Sluice"`
}

// Problems about credentials carry these rules; TokenTrouble recognizes them.
const (
	credentialRule = "credential"
	keyRules       = "key "
)

// TokenTrouble reports whether a request was refused because of its key or token. The holder of one
// is a program and needs to know the reason.
func TokenTrouble(err error) bool {
	rule := problem.Of(err).Rule
	return err != nil && (rule == credentialRule || strings.HasPrefix(rule, keyRules))
}

// ContainsKey reports whether a text contains a Sluice API key.
func ContainsKey(text string) bool {
	for {
		i := strings.Index(text, keyStart)
		if i < 0 {
			return false
		}
		if text = text[i:]; len(text) >= keyChars && keyFormed(text[:keyChars]) {
			return true
		}
		text = text[len(keyStart):]
	}
}

// offer is a token found in a header.
type offer struct {
	value string
	key   bool // from a header for API keys only, or in the form of one
	// other is a bearer token beside the key, which must be the app's own.
	other string
}

// maxToken is the longest token that Sluice looks at, in bytes.
const maxToken = 4096

// offeredToken reads the headers that carry tokens. It ignores foreign tokens if the app has its
// own sign-in. It refuses a header that is sent twice, and two different tokens, because the app
// might believe the other one.
func offeredToken(h http.Header, ownSignIn bool) (offer, error) {
	bearer, err := bearerToken(h["Authorization"])
	if err != nil {
		if ownSignIn && !mentionsKey(h["Authorization"]) {
			bearer = ""
		} else {
			return offer{}, err
		}
	}
	lines := h["X-Api-Key"]
	apiKey := ""
	if len(lines) > 0 {
		apiKey = strings.Trim(lines[0], " \t")
	}
	if ownSignIn && !mentionsKey(lines) && !(len(lines) == 1 && importedFormed(apiKey)) {
		apiKey, lines = "", nil
	}
	switch {
	case len(lines) > 1, len(lines) == 1 && apiKey == "", len(apiKey) > maxToken:
		return offer{}, badToken()
	case bearer != "" && apiKey != "" && bearer != apiKey:
		if ownSignIn && !strings.HasPrefix(bearer, keyStart) {
			return offer{value: apiKey, key: true, other: bearer}, nil
		}
		return offer{}, twoCredentials()
	case bearer != "":
		return offer{value: bearer, key: strings.HasPrefix(bearer, keyStart) || importedFormed(bearer)}, nil
	}
	return offer{value: apiKey, key: true}, nil
}

func twoCredentials() error {
	return problem.New(problem.Unauthenticated, "The request has two different credentials.").
		WithRule(credentialRule).
		WithNext("Send either Authorization or X-Api-Key.")
}

// mentionsKey reports whether one of the values contains the prefix of Sluice API keys.
func mentionsKey(lines []string) bool {
	for _, line := range lines {
		if strings.Contains(line, keyStart) {
			return true
		}
	}
	return false
}

// bearerToken reads an Authorization header. It returns "" if the header is missing or uses another
// scheme, which does not concern Sluice.
func bearerToken(lines []string) (string, error) {
	if len(lines) == 0 {
		return "", nil
	}
	scheme, rest, spaced := strings.Cut(strings.Trim(lines[0], " \t"), " ")
	ours := strings.EqualFold(scheme, "Bearer")
	switch {
	case len(lines) > 1 || !ours && mentionsKey(lines):
		return "", problem.New(problem.Unauthenticated, "The Authorization header must be sent once and read: "+
			"Bearer, a space, and the key or token.").
			WithRule(credentialRule)
	case !ours:
		return "", nil
	}
	token := strings.TrimLeft(rest, " ")
	if !spaced || len(token) > maxToken || !strings.HasPrefix(token, keyStart) && !isToken68(token) {
		return "", badToken()
	}
	return token, nil
}

// isToken68 reports whether s is a token68 of RFC 9110 section 11.2.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		c := body[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte("-._~+/", c) >= 0) {
			return false
		}
	}
	return body != ""
}

// badToken is the one answer to every unknown key or token, however it is malformed.
func badToken() error {
	return problem.New(problem.Unauthenticated, "This API key or access token is not valid.").WithRule(credentialRule).
		WithNext("Check that it was copied in full. If it was, create a new one in Sluice.")
}
