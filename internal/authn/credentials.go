package authn

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"sluice/internal/problem"
)

// CredentialKind says by what somebody was recognised.
type CredentialKind uint8

const (
	// CredentialNone is a stranger's request.
	CredentialNone CredentialKind = iota
	// CredentialSession is a browser's session. Browsers send it by themselves, so requests of other sites have to be told apart.
	CredentialSession
	// CredentialAccess is a token of a program that has signed in.
	CredentialAccess
	// CredentialKey is a key of Sluice's.
	CredentialKey
)

// Credential is what a request has shown and who that is.
type Credential struct {
	// Principal is the zero value for strangers.
	Principal Principal
	// Kind is CredentialNone for strangers.
	Kind CredentialKind
	// KeyPrefix is the beginning of the API key, to recognise it by; empty for others.
	KeyPrefix string
	// Limits tell where a key stands with its limits, also when they are used up.
	Limits Limits
}

// Place is where a request came in, as far as it decides about credentials.
type Place struct {
	// Audience is what a session cookie must have been issued for: AudienceMain or an app's id.
	Audience string
	// Secure says that the origin is https, where only the __Host- cookie counts.
	Secure bool
	// From is the address of the client; keys may be bound to networks.
	From netip.Addr
	// OwnSignIn says that the app may have credentials of its own: what stands in a header and is not of Sluice's making is left to it.
	OwnSignIn bool
}

// ErrForeign means that a bearer token was not made by Sluice, as opposed to one of Sluice's that is no longer good.
var ErrForeign = errors.New("not a token of Sluice's")

// Credentials is the one place where a request becomes a principal.
type Credentials struct {
	// Sessions knows cookies.
	Sessions *Sessions
	// Keys knows API keys; nil: there are none.
	Keys *Keys
	// Access tells whose an access token is: ErrForeign for what Sluice never made, problem.Unauthenticated for what is not good. Nil: there are none.
	Access func(token string) (Principal, error)
}

// Authenticate finds out who asks: by "Authorization: Bearer" (an API key or an access token, RFC 6750), by "X-Api-Key" (an API key), else by the session cookie. A
// request without any is a stranger's and no error. A credential that is offered and is not good is problem.Unauthenticated, or problem.Denied where it is good but not
// here, and is never made up for by another one. What stands in the URL is never read: it ends up in logs.
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

// unless turns the sentinel into the problem that a client gets.
func unless(err, foreign error) error {
	if errors.Is(err, foreign) {
		return badToken()
	}
	return err
}

// token finds out whose an offered token is.
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

// key finds out whose an API key is, and counts the request. Only a key with limits whose booked portion is used up makes a request wait for the database.
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

// Strip takes what was recognised as a credential of Sluice's out of headers that are about to be forwarded.
func (c *Credential) Strip(h http.Header) {
	if c.Kind == CredentialAccess || mentionsKey(h["Authorization"]) || c.shownIn(h["Authorization"]) {
		delete(h, "Authorization")
	}
	if mentionsKey(h["X-Api-Key"]) || c.shownIn(h["X-Api-Key"]) {
		delete(h, "X-Api-Key")
	}
}

// Challenge is the value of WWW-Authenticate that goes with a 401 (RFC 6750 section 3); err is why, nil if nothing was offered.
func Challenge(err error) string {
	if TokenTrouble(err) {
		return `Bearer realm="Sluice", error="invalid_token"`
	}
	return `Bearer realm="Sluice"`
}

// The rules of refusals by which TokenTrouble knows them.
const (
	credentialRule = "credential"
	keyRules       = "key "
)

// TokenTrouble reports whether a request was refused for the key or token that it offered, whose holder is a program and wants to know why.
func TokenTrouble(err error) bool {
	rule := problem.Of(err).Rule
	return err != nil && (rule == credentialRule || strings.HasPrefix(rule, keyRules))
}

// ContainsKey reports whether an API key of Sluice's stands somewhere in a text.
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

// offer is a token that stands in a header.
type offer struct {
	value string
	key   bool // it stands where only API keys stand, or looks like one
	// other is a bearer token beside it, which has to be the app's own.
	other string
}

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 4096

// offeredToken reads the headers that carry tokens. Foreign tokens are passed over where the app has a sign-in of its own. Two headers of one name, or two tokens that
// differ, are refused: somebody else might believe the other one.
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
	return problem.New(problem.Unauthenticated, "The request has two different credentials.").WithRule(credentialRule).WithNext("Send either Authorization or X-Api-Key.")
}

// mentionsKey reports whether one of the values has what begins an API key of Sluice's in it.
func mentionsKey(lines []string) bool {
	for _, line := range lines {
		if strings.Contains(line, keyStart) {
			return true
		}
	}
	return false
}

// bearerToken reads an Authorization header: "" if there is none, or one of another scheme, which is no business of Sluice's.
func bearerToken(lines []string) (string, error) {
	if len(lines) == 0 {
		return "", nil
	}
	scheme, rest, spaced := strings.Cut(strings.Trim(lines[0], " \t"), " ")
	ours := strings.EqualFold(scheme, "Bearer")
	switch {
	case len(lines) > 1 || !ours && mentionsKey(lines):
		return "", problem.New(problem.Unauthenticated, "The Authorization header must be sent once and read: Bearer, a space, and the key or token.").WithRule(credentialRule)
	case !ours:
		return "", nil
	}
	token := strings.TrimLeft(rest, " ")
	if !spaced || len(token) > maxToken || !strings.HasPrefix(token, keyStart) && !isToken68(token) {
		return "", badToken()
	}
	return token, nil
}

// isToken68 is RFC 9110 section 11.2.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		c := body[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~+/", c) >= 0) {
			return false
		}
	}
	return body != ""
}

// badToken is the one answer to every key or token that is not known, however it is malformed.
func badToken() error {
	return problem.New(problem.Unauthenticated, "This API key or access token is not valid.").WithRule(credentialRule).
		WithNext("Check that it was copied in full; if it was, make a new one in Sluice.")
}
