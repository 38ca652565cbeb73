package sso_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
)

// says changes claims of the id token.
func says(name string, value any) func(*idp) {
	return func(p *idp) {
		p.claims = func(c map[string]any) {
			if value == nil {
				delete(c, name)
				return
			}
			c[name] = value
		}
	}
}

// serves changes the answer at a path.
func serves(path string, h http.HandlerFunc) func(*idp) {
	return func(p *idp) { p.handle[path] = h }
}

// huge is a document that does not end before 3 MiB.
func huge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"issuer":"`)
	block := bytes.Repeat([]byte("x"), 1<<16)
	for range 48 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
	fmt.Fprint(w, `"}`)
}

func seconds(p *idp, d time.Duration) int64 { return p.now().Add(d).Unix() }

func TestLies_Refused(t *testing.T) {
	t.Parallel()
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		lie  func(*idp)
		kind problem.Kind
		text string
	}{
		"another audience":              {says("aud", "somebody else"), problem.Unauthenticated, "(aud)"},
		"no audience":                   {says("aud", nil), problem.Unauthenticated, "(aud)"},
		"several audiences without azp": {says("aud", []string{clientID, "other"}), problem.Unauthenticated, "(azp)"},
		"another authorised party":      {says("azp", "other"), problem.Unauthenticated, "(azp)"},
		"another issuer":                {says("iss", "https://login.example.net"), problem.Unauthenticated, "(iss)"},
		"another nonce":                 {says("nonce", "n"), problem.Unauthenticated, "(nonce)"},
		"no nonce":                      {says("nonce", nil), problem.Unauthenticated, "(nonce)"},
		"expired": {
			func(p *idp) { says("exp", seconds(p, -61*time.Second))(p) },
			problem.Unauthenticated,
			"(exp)",
		},
		"no expiry": {says("exp", nil), problem.Unauthenticated, "(exp)"},
		"from the future": {
			func(p *idp) { says("iat", seconds(p, 90*time.Second))(p) },
			problem.Unauthenticated,
			"(iat)",
		},
		"never issued": {says("iat", nil), problem.Unauthenticated, "(iat)"},
		"not valid yet": {
			func(p *idp) { says("nbf", seconds(p, time.Hour))(p) },
			problem.Unauthenticated,
			"(nbf)",
		},
		"two subjects":                   {says("\u017fub", "somebody else"), problem.Unauthenticated, "ambiguous"},
		"no subject":                     {says("sub", ""), problem.Unauthenticated, "(sub)"},
		"a subject that is not a string": {says("sub", 7), problem.Unauthenticated, "not valid"},
		"tokens that do not match": {
			says("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
			problem.Unauthenticated,
			"(at_hash)",
		},
		"unsigned": {func(p *idp) {
			p.sign = func(payload []byte) string {
				return base64.RawURLEncoding.EncodeToString(
					[]byte(`{"alg":"none"}`),
				) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
			}
		}, problem.Unauthenticated, "not signed with an accepted algorithm"},
		"signed with the public key as a secret": {func(p *idp) {
			p.sign = func(payload []byte) string {
				der, _ := x509.MarshalPKIXPublicKey(p.key.Public())
				return sign(jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWT", payload)
			}
		}, problem.Unauthenticated, "not signed with an accepted algorithm"},
		"signed with the client secret": {func(p *idp) {
			p.sign = func(payload []byte) string {
				return sign(jose.HS256, []byte(clientSecret+clientSecret), "JWT", payload)
			}
		}, problem.Unauthenticated, "not signed with an accepted algorithm"},
		"signed with another key of the same id": {func(p *idp) {
			p.sign = func(payload []byte) string {
				return sign(jose.ES256, jose.JSONWebKey{Key: foreign, KeyID: p.public().KeyID}, "JWT", payload)
			}
		}, problem.Unauthenticated, "does not publish"},
		"signed with a key inside the token": {func(p *idp) {
			p.sign = func(payload []byte) string {
				signer, _ := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: foreign},
					&jose.SignerOptions{EmbedJWK: true})
				jws, _ := signer.Sign(payload)
				text, _ := jws.CompactSerialize()
				return text
			}
		}, problem.Unauthenticated, "does not publish"},
		"garbage for a token": {func(p *idp) { p.sign = func([]byte) string { return "a.b.c" } },
			problem.Unauthenticated, "not signed with an accepted algorithm"},
		"a token without expiry": {
			func(p *idp) { p.sign = func([]byte) string { return strings.Repeat("a", 70<<10) } },
			problem.Unauthenticated,
			"too large",
		},
		"no id token": {
			func(p *idp) { p.sign = func([]byte) string { return "" } },
			problem.Unauthenticated,
			"no id token",
		},
		"invalid claims": {func(p *idp) {
			p.sign = func([]byte) string {
				return sign(jose.ES256, jose.JSONWebKey{Key: p.key, KeyID: "1"}, "JWT", []byte(`[1]`))
			}
		}, problem.Unauthenticated, "(iss)"},
		"another issuer in the answer": {func(p *idp) {
			p.query = func(q url.Values) { q.Set("iss", "https://login.example.net") }
		}, problem.Unauthenticated, "(iss)"},
		"no issuer in the answer": {func(p *idp) { p.query = func(q url.Values) { q.Del("iss") } },
			problem.Unauthenticated, "(iss)"},
		"neither a code nor an error": {func(p *idp) { p.query = func(q url.Values) { q.Del("code") } },
			problem.Unauthenticated, "neither a code"},
		"two codes": {
			func(p *idp) { p.query = func(q url.Values) { q.Add("code", "other") } },
			problem.Invalid,
			"more than one code",
		},
		"another's code": {
			func(p *idp) { p.query = func(q url.Values) { q.Set("code", "stolen") } },
			problem.Unauthenticated,
			"did not accept the code",
		},
		"another issuer in its document": {func(p *idp) {
			p.discovery = func(d map[string]any) { d["issuer"] = "https://login.example.net" }
		}, problem.Unavailable, "calls itself"},
		"a token endpoint elsewhere without TLS": {func(p *idp) {
			p.discovery = func(d map[string]any) { d["token_endpoint"] = "http://192.0.2.9/token" }
		}, problem.Unavailable, "token_endpoint"},
		"a key address that is a file": {func(p *idp) {
			p.discovery = func(d map[string]any) { d["jwks_uri"] = "file:///etc/passwd" }
		}, problem.Unavailable, "jwks_uri"},
		"a document of 3 MiB": {
			serves("/.well-known/openid-configuration", huge),
			problem.Unavailable,
			"larger than 1 MiB",
		},
		"keys of 3 MiB":   {serves("/jwks", huge), problem.Unavailable, "larger than 1 MiB"},
		"tokens of 3 MiB": {serves("/token", huge), problem.Unavailable, "not the expected JSON"},
		"a page for a document": {serves("/.well-known/openid-configuration",
			func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, "<html><script>alert(1)</script>")
			}), problem.Unavailable, "not the expected JSON"},
		"a broken token endpoint": {serves("/token",
			func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<b>oops</b>", http.StatusBadGateway) }),
			problem.Unavailable, "status 502"},
		"a token endpoint that redirects": {serves("/token", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}), problem.Unavailable, "status 307"},
		"a document on another host": {serves("/.well-known/openid-configuration",
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://localhost.example/openid", http.StatusFound)
			}), problem.Unavailable, "status 302"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
			idp := startIDP(t, h.Now)
			h.withProvider(t, idp, nil)
			idp.set(func() { c.lie(idp) })
			end, err := h.browser(t).round(sso.ForSignIn)
			if !problem.Is(err, c.kind) || !strings.Contains(problem.Of(err).Detail, c.text) {
				t.Errorf("%+v, %v; want kind %s with %q", end, err, c.kind, c.text)
			}
			if err != nil && problem.Of(err).Next == "" && c.kind != problem.Invalid {
				t.Errorf("no next step: %v", err)
			}
			if _, total, err := h.People.List(context.Background(), cli, identity.Filter{}); err != nil || total != 0 {
				t.Errorf("%d people, %v", total, err)
			}
		})
	}
}

func TestLies_Allowed(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*idp){
		"a clock that is half a minute slow": func(p *idp) { says("exp", seconds(p, -30*time.Second))(p) },
		"a clock that is half a minute fast": func(p *idp) { says("iat", seconds(p, 30*time.Second))(p) },
		"several audiences with the right azp": func(p *idp) {
			p.claims = func(c map[string]any) { c["aud"], c["azp"] = []string{"other", clientID}, clientID }
		},
		"no at_hash": says("at_hash", nil),
		"no key id": func(p *idp) {
			p.sign = func(payload []byte) string { return sign(jose.ES256, p.key, "JWT", payload) }
		},
		"unknown keys next to its own": serves("/jwks", nil),
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
			idp := startIDP(t, h.Now)
			h.withProvider(t, idp, nil)
			idp.set(func() { change(idp) })
			if _, odd := idp.handle["/jwks"]; odd {
				idp.set(func() {
					idp.handle["/jwks"] = func(w http.ResponseWriter, _ *http.Request) {
						own, _ := json.Marshal(idp.public())
						fmt.Fprintf(
							w,
							`{"keys":[{"kty":"OKP","crv":"Ed448","x":"AAAA"},{"kty":"oct","k":"AAAA","kid":"1"},`+
								`{"kty":"AKP"},7,%s]}`,
							own,
						)
					}
				})
			}
			h.browser(t).signIn()
		})
	}
}

func TestLies_PlainText(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	evil := "<script>alert(1)</script>\r\nSet-Cookie: x=1\x1b[31m\u202e" + strings.Repeat("long ", 500)
	cases := map[string]problem.Kind{
		"access_denied":           problem.Denied,
		"temporarily_unavailable": problem.Unavailable,
		"login_required":          problem.Unauthenticated,
		"<b>\x00":                 problem.Unauthenticated,
	}
	for code, kind := range cases {
		idp.set(func() {
			idp.query = func(q url.Values) { q.Del("code"); q.Set("error", code); q.Set("error_description", evil) }
		})
		_, err := h.browser(t).round(sso.ForSignIn)
		if !problem.Is(err, kind) {
			t.Errorf("%q: %v, want %s", code, err, kind)
		}
		checkPlain(t, problem.Of(err).Detail)
	}
	idp.set(func() {
		idp.query = nil
		idp.handle["/token"] = func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusBadRequest, map[string]string{"error": "odd", "error_description": evil})
		}
	})
	_, err := h.browser(t).round(sso.ForSignIn)
	if !problem.Is(err, problem.Unauthenticated) || !strings.Contains(problem.Of(err).Detail, "odd") {
		t.Errorf("an odd error of the token endpoint: %v", err)
	}
	checkPlain(t, problem.Of(err).Detail)
}

func checkPlain(t *testing.T, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || len(text) > 400 {
		t.Errorf("not one plain line of at most 400 bytes: %q", text)
	}
}
