package authn

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var fuzzKey = Key{ID: "a", Value: bytes.Repeat([]byte("k"), 32)}

// FuzzAccessToken: whatever parses is spelled as Sluice spells it, and only the key's owner can
// make it verify.
func FuzzAccessToken(f *testing.F) {
	good := signed(f, fuzzKey, claims{
		Issuer:   "Flowise",
		Audience: "Flowise",
		Subject:  "u",
		Session:  "s",
		ID:       "i",
		Issued:   1_700_000_000,
		Expires:  1_700_000_360,
	})
	part := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	for _, s := range []string{
		good, "", "..", "a.b.c", part[0] + "." + part[1] + ".", good[:len(good)-1], good + "=", "." + good, part[0] +
			"..." + part[2],
		encode([]byte(`{"alg":"none"}`)) + "." + part[1] + ".",
		encode([]byte(`{"alg":"HS256","kid":"\u0061","typ":"JWT"}`)) + "." + part[1] + "." + part[2],
		encode([]byte(`{"typ":"JWT","kid":"a","alg":"HS256"}`)) + "." + encode([]byte(`{}`)) + "." + part[2],
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		p, err := parseJWT(token)
		if err != nil {
			return
		}
		parts := strings.Split(token, ".")
		for _, part := range parts {
			if text, _ := decodePart(part); len(parts) != 3 || encode(text) != part {
				t.Errorf("%q has another spelling of the same bytes", token)
			}
		}
		var h map[string]string
		text, _ := decodePart(parts[0])
		if json.Unmarshal(text, &h) != nil || len(h) != 3 || h["alg"] != "HS256" || h["typ"] != "JWT" ||
			h["kid"] != p.keyID {
			t.Errorf("a header that another parser reads otherwise: %q", text)
		}
		if _, err := p.claims(fuzzKey); err == nil && token != good {
			t.Errorf("a forged token: %q", token)
		}
	})
}

// signed is signJWT where it cannot fail.
func signed(t testing.TB, k Key, c claims) string {
	t.Helper()
	token, err := signJWT(k, c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// written is a token with a header and a body as they are, signed with fuzzKey.
func written(header, body string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(body))
	mac := hmac.New(sha256.New, fuzzKey.Value)
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

const goodHeader = `{"alg":"HS256","kid":"a","typ":"JWT"}`

// TestParseJWT_Header: only one form of header is accepted, and the key id of others is returned if
// it can be read.
func TestParseJWT_Header(t *testing.T) {
	tests := []struct {
		header, keyID string
		good          bool
	}{
		{goodHeader, "a", true},
		{`{"typ":"JWT","kid":"a","alg":"HS256"}`, "a", true},
		{`{"alg":"none","kid":"a","typ":"JWT"}`, "a", false},
		{`{"alg":"HS512","kid":"a","typ":"JWT"}`, "a", false},
		{`{"alg":"RS256","kid":"a","typ":"JWT"}`, "a", false},
		{`{"alg":"HS256","kid":"a"}`, "a", false},
		{`{"alg":"HS256","typ":"JWT"}`, "", false},
		{`{"alg":"HS256","kid":"","typ":"JWT"}`, "", false},
		{`{"alg":"HS256","kid":5,"typ":"JWT"}`, "", false},
		{`{"alg":"HS256","kid":"a","typ":"at+jwt"}`, "a", false},
		{`{"alg":"HS256","kid":"a","typ":"JWT","crit":["exp"]}`, "a", false},
		{`{"alg":"HS256","kid":"a","typ":"JWT","crit":["b64"],"b64":false}`, "a", false},
		{`{"alg":"HS256","kid":"a","typ":"JWT","jku":"https://example.com"}`, "a", false},
		{`{"alg":"HS256","kid":"a","typ":"JWT","nonce":"n"}`, "a", false},
		{`{"alg":"HS256","kid":"a","typ":"JWT","jwk":{"kty":"oct","k":"a2tr"}}`, "a", false},
		{`{"alg":"HS256","kid":"a","kid":"a","typ":"JWT"}`, "a", false},
		{`{"alg":"none","alg":"HS256","kid":"a","typ":"JWT"}`, "a", false},
		{`[]`, "", false},
		{`{`, "", false},
		{`{}`, "", false},
	}
	for _, test := range tests {
		p, err := parseJWT(written(test.header, `{}`))
		if (err == nil) != test.good || p.keyID != test.keyID {
			t.Errorf("%s: key %q, %v", test.header, p.keyID, err)
		}
	}
}

// FuzzRefreshToken: a token that parses has one spelling.
func FuzzRefreshToken(f *testing.F) {
	r := refreshToken{generation: 7}
	for _, s := range []string{r.String(), "", refreshStart, refreshStart + strings.Repeat("A", 76), r.String()[1:],
		r.String() + "A", strings.ToUpper(r.String())} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if r, ok := parseRefresh(s); ok && r.String() != s {
			t.Errorf("%q has another spelling, %q", s, r.String())
		}
	})
}

func TestJWT_ClaimSpellings(t *testing.T) {
	for _, c := range []claims{
		{Issuer: "Flowise", Audience: "Flowise", Subject: "u", Session: "s", ID: "i", Issued: 1, Expires: 2},
		{Issuer: `a"b\c`, Audience: "<é\u2028\n>", Subject: "u", Session: "s", ID: "i", Issued: 1_700_000_000,
			Expires: 1_900_000_000},
	} {
		p, err := parseJWT(signed(t, fuzzKey, c))
		if err != nil || p.keyID != fuzzKey.ID {
			t.Fatalf("%+v: %v", p, err)
		}
		if got, err := p.claims(fuzzKey); err != nil || got != c {
			t.Errorf("%+v, %v, want %+v", got, err, c)
		}
		if _, err := p.claims(Key{ID: fuzzKey.ID, Value: bytes.Repeat([]byte("l"), 32)}); err == nil {
			t.Error("another key verifies the token")
		}
	}
}

func TestJWT_BadClaims(t *testing.T) {
	whole := `{"iss":"i","aud":"a","sub":"u","sid":"s","jti":"j","iat":1,"exp":2`
	tests := map[string]bool{
		whole + `}`:                        true,
		whole + `,"nbf":1}`:                true,
		whole + `,"nbf":0}`:                true,
		whole + `,"nbf":999999999999999}`:  true,
		whole + `,"nbf":1000000000000000}`: false,
		whole + `,"scope":"x"}`:            true,
		whole + `,"later":5}`:              true,
		whole + `,"iss":"i"}`:              false,
		whole + `,"\u0069ss":"i"}`:         false,
		whole + `,"nbf":"1"}`:              false,
		whole + `,"nbf":1.5}`:              false,
		whole + `,"nbf":-1}`:               false,
		whole + `,"nbf":1e300}`:            false,
		whole + `,"x":[1]}`:                false,
		whole + `,"x":{}}`:                 false,
		whole + `,"x":true}`:               false,
		whole + `,"x":null}`:               false,
		whole + `}}`:                       false,
		whole:                              false,
		strings.Replace(whole, `"exp":2`, `"exp":1`, 1) + `}`:       false,
		strings.Replace(whole, `"exp":2`, `"exp":"2"`, 1) + `}`:     false,
		strings.Replace(whole, `,"exp":2`, ``, 1) + `}`:             false,
		strings.Replace(whole, `"aud":"a"`, `"aud":["a"]`, 1) + `}`: false,
		strings.Replace(whole, `"sub":"u"`, `"sub":5`, 1) + `}`:     false,
		strings.Replace(whole, `"sid":"s",`, ``, 1) + `}`:           false,
		strings.Replace(whole, `"jti":"j",`, ``, 1) + `}`:           false,
		strings.Replace(whole, `"iat":1,`, ``, 1) + `}`:             false,
		"{}": false,
		"[]": false,
		"1":  false,
	}
	for body, good := range tests {
		p, err := parseJWT(written(goodHeader, body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if _, err := p.claims(fuzzKey); (err == nil) != good {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestJWT_KnownTokensBounded(t *testing.T) {
	k := newKnown()
	for i := range byte(3) {
		k.add(digest{i}, knownToken{})
	}
	for i := range byte(3) {
		if _, ok := k.find(digest{i}, 0); !ok {
			t.Fatalf("token %d of three is forgotten", i+1)
		}
	}
	for i := range 5 * knownTokens {
		d := k.digest(strings.Repeat("x", i%7) + string(rune('a'+i%26)) + strconv.Itoa(i))
		k.add(d, knownToken{expires: int64(i)})
		if got, ok := k.find(d, 0); !ok || got.expires != int64(i) {
			t.Fatalf("token %d is not known", i)
		}
	}
	if n := len(k.young) + len(k.old); n > 2*knownTokens {
		t.Errorf("%d tokens are held", n)
	}
	d := k.digest("used")
	k.add(d, knownToken{})
	for i := range 5 * knownTokens {
		k.add(k.digest(strconv.Itoa(i)), knownToken{})
		if i%1000 != 0 {
			continue
		}
		if _, ok := k.find(d, 0); !ok {
			t.Fatal("a token that is used all the time was forgotten")
		}
	}
}

// TestParseJWT_EachPartSaysSomething: a token without a header, a body or a signature is none.
func TestParseJWT_EachPartSaysSomething(t *testing.T) {
	part := strings.Split(written(goodHeader, `{}`), ".")
	for i := range part {
		without := slices.Clone(part)
		without[i] = ""
		if _, err := parseJWT(strings.Join(without, ".")); err == nil {
			t.Errorf("a token without part %d has the right form", i+1)
		}
	}
}
