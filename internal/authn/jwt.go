package authn

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Key is a secret key of 32 bytes and the name by which tokens refer to it.
type Key struct {
	ID    string
	Value []byte
}

// errMalformed means that a text is not a JWT in the one form that Sluice creates.
var errMalformed = errors.New("not a Sluice token form")

// tokenType is the header "typ" of access tokens.
const tokenType = "JWT"

// algorithms are the ones that Sluice signs with (RFC 7518 section 3.2). The algorithm that a token
// names is compared with them, never followed (RFC 8725 section 3.1).
func algorithms() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{jose.HS256} }

// claims are the claims of an access token (RFC 7519 section 4.1). Times are seconds since 1970.
type claims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Subject   string `json:"sub"`
	Session   string `json:"sid"`
	ID        string `json:"jti"`
	Issued    int64  `json:"iat"`
	NotBefore int64  `json:"nbf,omitempty"`
	Expires   int64  `json:"exp"`
}

// signJWT creates a token.
func signJWT(k Key, c claims) (string, error) {
	options := (&jose.SignerOptions{}).WithType(tokenType).WithHeader("kid", k.ID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: k.Value}, options)
	if err != nil {
		return "", fmt.Errorf("signing an access token: %w", err)
	}
	return jwt.Signed(signer).Claims(c).Serialize()
}

// unverified is a parsed token. Nothing in it has been verified.
type unverified struct {
	keyID string
	token *jwt.JSONWebToken
}

// parseJWT parses a token. It is strict: three parts in canonical base64url, and a header of
// exactly alg, kid and typ. If the header is readable, it returns the key id even with an error.
func parseJWT(text string) (unverified, error) {
	token, err := jwt.ParseSigned(text, algorithms())
	if err != nil || !onlySpelling(text) {
		return unverified{keyID: namedKey(text)}, errMalformed
	}
	h := token.Headers[0]
	if h.KeyID == "" || h.JSONWebKey != nil || h.Nonce != "" || len(h.ExtraHeaders) != 1 ||
		h.ExtraHeaders[jose.HeaderType] != tokenType {
		err = errMalformed
	}
	return unverified{keyID: h.KeyID, token: token}, err
}

// namedKey is the key id that the header of a malformed token names, if it can be read.
func namedKey(text string) string {
	first, _, _ := strings.Cut(text, ".")
	header, _ := decodePart(first)
	var h struct {
		KeyID string `json:"kid"`
	}
	if json.Unmarshal(header, &h) != nil {
		return ""
	}
	return h.KeyID
}

// onlySpelling reports whether a token is spelled canonically, so that no other text has the same
// parts. go-jose also accepts base64url with line breaks, and with bits that no byte uses.
func onlySpelling(text string) bool {
	for part := range strings.SplitSeq(text, ".") {
		if _, ok := decodePart(part); !ok {
			return false
		}
	}
	return true
}

// decodePart decodes base64url without padding, in canonical spelling only. The library's decoder
// alone would ignore line breaks, and bits that no byte uses.
func decodePart(s string) ([]byte, bool) {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return nil, false
		}
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil && len(b) > 0
}

// claims verifies the signature and reads the claims. Unknown members are ignored if they are
// strings or numbers, so that a newer Sluice can add some.
func (u unverified) claims(k Key) (claims, error) {
	var members map[string]any
	if err := u.token.Claims(k.Value, &members); err != nil {
		return claims{}, errMalformed
	}
	var c claims
	for name, value := range members {
		if !c.set(name, value) {
			return claims{}, errMalformed
		}
	}
	if c.Issuer == "" || c.Audience == "" || c.Subject == "" || c.Session == "" || c.ID == "" || c.Issued == 0 ||
		c.Expires <= c.Issued {
		return claims{}, errMalformed
	}
	return c, nil
}

// set stores one member. It reports whether the value has the right type for its name.
func (c *claims) set(name string, value any) bool {
	text, isText := value.(string)
	number, isNumber := value.(float64)
	if place := c.text(name); place != nil {
		*place = text
		return isText
	}
	if place := c.time(name); place != nil {
		*place = int64(number)
		return isNumber && number == math.Trunc(number) && 0 <= number && number < maxTime
	}
	return isText || isNumber
}

func (c *claims) text(name string) *string {
	switch name {
	case "iss":
		return &c.Issuer
	case "aud":
		return &c.Audience
	case "sub":
		return &c.Subject
	case "sid":
		return &c.Session
	case "jti":
		return &c.ID
	}
	return nil
}

func (c *claims) time(name string) *int64 {
	switch name {
	case "iat":
		return &c.Issued
	case "nbf":
		return &c.NotBefore
	case "exp":
		return &c.Expires
	}
	return nil
}

// maxTime bounds times in seconds to numbers that JSON represents exactly in every language.
const maxTime = 1e15
