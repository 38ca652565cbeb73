package authn

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Key is a secret key of 32 bytes and the name by which tokens say that they were made with it.
type Key struct {
	ID    string
	Value []byte
}

// errMalformed means that a text is no JWT of the one form that Sluice makes.
var errMalformed = errors.New("not a token of Sluice's form")

const (
	// algorithm is the only one (RFC 7518 section 3.2). A token's own word on it is compared, never followed (RFC 8725 section 3.1).
	algorithm = "HS256"
	tokenType = "JWT"
	// maxMembers bounds the members of a header or of claims.
	maxMembers = 16
)

// claims are what an access token says (RFC 7519 section 4.1). Times are seconds since 1970.
type claims struct {
	issuer, audience, subject, session, id string
	issued, notBefore, expires             int64
}

// jwt is a token taken apart. Nothing in it has been verified.
type jwt struct {
	keyID string
	// signed is what the signature is over, body the claims' JSON.
	signed, body string
	signature    []byte
}

// signJWT makes a token.
func signJWT(k Key, c claims) string {
	header := append([]byte(`{"alg":"`+algorithm+`","kid":`), quoted(k.ID)...)
	header = append(header, `,"typ":"`+tokenType+`"}`...)
	body := append([]byte(`{"iss":`), quoted(c.issuer)...)
	for _, m := range [][2]string{{"aud", c.audience}, {"sub", c.subject}, {"sid", c.session}, {"jti", c.id}} {
		body = append(append(body, `,"`+m[0]+`":`...), quoted(m[1])...)
	}
	body = strconv.AppendInt(append(body, `,"iat":`...), c.issued, 10)
	body = append(strconv.AppendInt(append(body, `,"exp":`...), c.expires, 10), '}')
	text := base64.RawURLEncoding.AppendEncode(nil, header)
	text = base64.RawURLEncoding.AppendEncode(append(text, '.'), body)
	signature := k.sign(string(text))
	return string(base64.RawURLEncoding.AppendEncode(append(text, '.'), signature))
}

func quoted(s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`)
	}
	return text
}

// sign is the HMAC-SHA-256 of a text.
func (k Key) sign(text string) []byte {
	m := hmac.New(sha256.New, k.Value)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// signedBy verifies the signature, in constant time.
func (t jwt) signedBy(k Key) bool { return hmac.Equal(t.signature, k.sign(t.signed)) }

// parseJWT takes a token apart. It is strict: three parts in base64url of one spelling, and a header of exactly alg, kid and typ. Of a text with a readable header it tells the key id even with an error.
func parseJWT(token string) (t jwt, err error) {
	first, rest, _ := strings.Cut(token, ".")
	second, third, ok := strings.Cut(rest, ".")
	header, _ := decodePart(first)
	if t.keyID, err = readHeader(string(header)); err != nil {
		return t, err
	}
	body, okBody := decodePart(second)
	signature, okSignature := decodePart(third)
	if !ok || !okBody || !okSignature || len(signature) != sha256.Size {
		return t, errMalformed
	}
	t.signed, t.body, t.signature = token[:len(first)+1+len(second)], string(body), signature
	return t, nil
}

// readHeader returns the key id, also of a header that is not good.
func readHeader(text string) (keyID string, err error) {
	members, ok := flatObject(text)
	if !ok || len(members) != 3 {
		err = errMalformed
	}
	for _, m := range members {
		switch {
		case m.name == "alg" && m.text == algorithm, m.name == "typ" && m.text == tokenType:
		case m.name == "kid" && m.isText && m.text != "":
			keyID = m.text
		default:
			err = errMalformed
		}
	}
	return keyID, err
}

// decodePart decodes base64url without padding. Each value has one spelling: the library's decoder alone would pass over line breaks, and over bits that no byte uses.
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

// claims reads what a token says. Members that are not known are passed over, so that a newer Sluice may add some.
func (t jwt) claims() (claims, error) {
	members, ok := flatObject(t.body)
	if !ok {
		return claims{}, errMalformed
	}
	var c claims
	for _, m := range members {
		text, number := c.text(m.name), c.time(m.name)
		switch {
		case text != nil && m.isText:
			*text = m.text
		case number != nil && !m.isText:
			*number = m.number
		case text != nil, number != nil:
			return claims{}, errMalformed
		}
	}
	if c.issuer == "" || c.audience == "" || c.subject == "" || c.session == "" || c.id == "" || c.issued == 0 || c.expires <= c.issued {
		return claims{}, errMalformed
	}
	return c, nil
}

func (c *claims) text(name string) *string {
	switch name {
	case "iss":
		return &c.issuer
	case "aud":
		return &c.audience
	case "sub":
		return &c.subject
	case "sid":
		return &c.session
	case "jti":
		return &c.id
	}
	return nil
}

func (c *claims) time(name string) *int64 {
	switch name {
	case "iat":
		return &c.issued
	case "nbf":
		return &c.notBefore
	case "exp":
		return &c.expires
	}
	return nil
}

// member is a member of a flat JSON object: a text, or a whole number.
type member struct {
	name, text string
	number     int64
	isText     bool
}

// flatObject reads a JSON object of texts and whole numbers, as Sluice writes it: without white space, without a name that stands there twice.
func flatObject(s string) ([]member, bool) {
	rest, ok := strings.CutPrefix(s, "{")
	if !ok || !utf8.ValidString(s) {
		return nil, false
	}
	members := make([]member, 0, 8)
	for len(members) < maxMembers {
		var m member
		if m, rest, ok = readMember(rest); !ok {
			return nil, false
		}
		for _, before := range members {
			if before.name == m.name {
				return nil, false
			}
		}
		members = append(members, m)
		if rest == "}" {
			return members, true
		}
		if rest, ok = strings.CutPrefix(rest, ","); !ok {
			return nil, false
		}
	}
	return nil, false
}

func readMember(s string) (m member, rest string, ok bool) {
	if m.name, s, ok = readText(s); !ok {
		return m, "", false
	}
	if s, ok = strings.CutPrefix(s, ":"); !ok {
		return m, "", false
	}
	if strings.HasPrefix(s, `"`) {
		m.isText = true
		m.text, rest, ok = readText(s)
		return m, rest, ok
	}
	m.number, rest, ok = readNumber(s)
	return m, rest, ok
}

// readText reads a quoted text.
func readText(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	for i, escaped := 1, false; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ':
			return "", "", false
		case c == '\\':
			escaped = true
			i++
		case c == '"' && !escaped:
			return s[1:i], s[i+1:], true
		case c == '"':
			err := json.Unmarshal([]byte(s[:i+1]), &text)
			return text, s[i+1:], err == nil
		}
	}
	return "", "", false
}

// readNumber reads a whole number of at most 15 digits: what a JSON number can say exactly in every language.
func readNumber(s string) (n int64, rest string, ok bool) {
	digits := 0
	for digits < len(s) && '0' <= s[digits] && s[digits] <= '9' {
		n = n*10 + int64(s[digits]-'0')
		if digits++; digits > 15 {
			return 0, "", false
		}
	}
	return n, s[digits:], digits > 0 && (s[0] != '0' || digits == 1)
}
