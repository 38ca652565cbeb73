package authn

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var fuzzKey = Key{ID: "a", Value: bytes.Repeat([]byte("k"), 32)}

// FuzzAccessToken: whatever parses is spelled as Sluice spells it, and only the key's owner can make it verify.
func FuzzAccessToken(f *testing.F) {
	good := signJWT(fuzzKey, claims{issuer: "Flowise", audience: "Flowise", subject: "u", session: "s", id: "i", issued: 1_700_000_000, expires: 1_700_000_360})
	part := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	for _, s := range []string{
		good, "", "..", "a.b.c", part[0] + "." + part[1] + ".", good[:len(good)-1], good + "=", "." + good, part[0] + "..." + part[2],
		encode([]byte(`{"alg":"none"}`)) + "." + part[1] + ".", encode([]byte(`{"alg":"HS256","kid":"\u0061","typ":"JWT"}`)) + "." + part[1] + "." + part[2],
		encode([]byte(`{"typ":"JWT","kid":"a","alg":"HS256"}`)) + "." + encode([]byte(`{}`)) + "." + part[2],
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		p, err := parseJWT(token)
		if err != nil {
			return
		}
		if !strings.HasPrefix(token, p.signed+".") || p.signed+"."+encode(p.signature) != token {
			t.Errorf("%q has another spelling of the same bytes", token)
		}
		header, rest, _ := strings.Cut(token, ".")
		body, _, _ := strings.Cut(rest, ".")
		if text, _ := decodePart(body); encode(text) != body || string(text) != p.body {
			t.Errorf("%q: the claims have another spelling", token)
		}
		var h map[string]string
		if text, _ := decodePart(header); json.Unmarshal(text, &h) != nil || len(h) != 3 || h["alg"] != "HS256" || h["typ"] != "JWT" || h["kid"] != p.keyID {
			t.Errorf("a header that another parser reads otherwise: %q", text)
		}
		if p.signedBy(fuzzKey) && token != good {
			t.Errorf("a forged token: %q", token)
		}
	})
}

// FuzzFlatObject compares the reader with encoding/json: it may refuse more, but never read something else.
func FuzzFlatObject(f *testing.F) {
	for _, s := range []string{
		`{"a":"b"}`, `{"a":1,"b":"c"}`, `{"a":"\u00e9\n\"","b":0}`, `{}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":01}`, `{"a":-1}`, `{"a":1.5}`, `{"a":1e3}`, `{"a":9999999999999999}`,
		`{"a":{}}`, `{"a":null}`, `{"a":"b"} `, `{"a":"b",}`, `{"a":"b"}}`, `{"a" :1}`, "{\"a\":\"\x00\"}", "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"a":"\x"}`, `{"":""}`, `{"a":"b`, `{"a":"\`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		members, ok := flatObject(s)
		if !ok {
			return
		}
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		var want map[string]any
		if err := d.Decode(&want); err != nil || d.More() {
			t.Fatalf("%q is no JSON object: %v", s, err)
		}
		got := map[string]any{}
		for _, m := range members {
			if m.isText {
				got[m.name] = m.text
			} else {
				got[m.name] = json.Number(mustNumber(m.number))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || len(got) != len(members) {
			t.Errorf("%q is read otherwise (-encoding/json +flatObject):\n%s", s, diff)
		}
	})
}

func mustNumber(n int64) string {
	text, err := json.Marshal(n)
	if err != nil {
		return ""
	}
	return string(text)
}

// FuzzRefreshToken: a token that parses has one spelling.
func FuzzRefreshToken(f *testing.F) {
	r := refreshToken{generation: 7}
	for _, s := range []string{r.String(), "", refreshStart, refreshStart + strings.Repeat("A", 76), r.String()[1:], r.String() + "A", strings.ToUpper(r.String())} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if r, ok := parseRefresh(s); ok && r.String() != s {
			t.Errorf("%q has another spelling, %q", s, r.String())
		}
	})
}

func TestClaimsOfAnySpellingComeBack(t *testing.T) {
	for _, c := range []claims{
		{issuer: "Flowise", audience: "Flowise", subject: "u", session: "s", id: "i", issued: 1, expires: 2},
		{issuer: `a"b\c`, audience: "<é\u2028\n>", subject: "u", session: "s", id: "i", issued: 1_700_000_000, expires: 1_900_000_000},
	} {
		p, err := parseJWT(signJWT(fuzzKey, c))
		if err != nil || p.keyID != fuzzKey.ID || !p.signedBy(fuzzKey) {
			t.Fatalf("%+v: %v", p, err)
		}
		if got, err := p.claims(); err != nil || got != c {
			t.Errorf("%+v, %v, want %+v", got, err, c)
		}
	}
}

func TestClaimsThatAreNotGood(t *testing.T) {
	whole := `{"iss":"i","aud":"a","sub":"u","sid":"s","jti":"j","iat":1,"exp":2`
	for body, good := range map[string]bool{
		whole + `}`: true, whole + `,"nbf":1}`: true, whole + `,"scope":"x"}`: true, whole + `,"later":5}`: true,
		whole + `,"iss":"i"}`: false, whole + `,"nbf":"1"}`: false, whole + `,"x":[1]}`: false, whole + `,"x":null}`: false, whole: false, whole + `} `: false,
		strings.Replace(whole, `"exp":2`, `"exp":1`, 1) + `}`: false, strings.Replace(whole, `"exp":2`, `"exp":"2"`, 1) + `}`: false, strings.Replace(whole, `,"exp":2`, ``, 1) + `}`: false,
		strings.Replace(whole, `"aud":"a"`, `"aud":["a"]`, 1) + `}`: false, strings.Replace(whole, `"sub":"u"`, `"sub":5`, 1) + `}`: false, strings.Replace(whole, `"sid":"s",`, ``, 1) + `}`: false,
		strings.Replace(whole, `"jti":"j",`, ``, 1) + `}`: false, strings.Replace(whole, `"iat":1,`, ``, 1) + `}`: false, "": false, "{}": false, "[]": false,
	} {
		if _, err := (jwt{body: body}).claims(); (err == nil) != good {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestKnownTokensAreBounded(t *testing.T) {
	k := newKnown()
	for i := range 5 * knownTokens {
		d := k.digest(strings.Repeat("x", i%7) + string(rune('a'+i%26)) + mustNumber(int64(i)))
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
		k.add(k.digest(mustNumber(int64(i))), knownToken{})
		if i%1000 != 0 {
			continue
		}
		if _, ok := k.find(d, 0); !ok {
			t.Fatal("a token that is used all the time was forgotten")
		}
	}
}
