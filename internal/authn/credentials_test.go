package authn_test

import (
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

func TestCredentials_NoFallback(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ann, bob := n.person(n.add(t, "ann").ID), n.add(t, "bob")
	_, good := n.make(ann, authn.NewAPIKey{})
	_, second := n.make(ann, authn.NewAPIKey{})
	cookie, _ := n.signIn(t, bob.ID)
	unknown, err := authn.MakeKey()
	if err != nil {
		t.Fatal(err)
	}
	foreign := "eyJhbGciOiJub25lIn0.e30."
	for _, c := range []struct {
		what string
		h    http.Header
		// who, and who where the app has a sign-in of its own; "!" is a refusal, "" a stranger.
		want, own string
	}{
		{"nothing", http.Header{}, "", ""},
		{"a cookie", http.Header{"Cookie": {"sluice_session=" + cookie}}, "bob", "bob"},
		{"a key beside a cookie",
			http.Header{"Cookie": {"sluice_session=" + cookie}, "Authorization": {"Bearer " + good}}, "ann", "ann"},
		{"an unknown key beside a cookie",
			http.Header{"Cookie": {"sluice_session=" + cookie}, "Authorization": {"Bearer " + unknown}}, "!", "!"},
		{"an unknown key in its own header beside a cookie",
			http.Header{"Cookie": {"sluice_session=" + cookie}, "X-Api-Key": {unknown}}, "!", "!"},
		{"a foreign token beside a cookie",
			http.Header{"Cookie": {"sluice_session=" + cookie}, "Authorization": {"Bearer " + foreign}}, "!", "bob"},
		{"a foreign key beside a cookie", http.Header{"Cookie": {"sluice_session=" + cookie}, "X-Api-Key": {"sk-1234"}},
			"!", "bob"},
		{"another scheme beside a cookie",
			http.Header{"Cookie": {"sluice_session=" + cookie}, "Authorization": {"Basic eDp5"}}, "bob", "bob"},
		{"a key under another scheme", http.Header{"Authorization": {"Basic " + good}}, "!", "!"},
		{"a key without a scheme", http.Header{"Authorization": {good}}, "!", "!"},
		{"a key twice", http.Header{"Authorization": {"Bearer " + good, "Bearer " + good}}, "!", "!"},
		{"two keys", http.Header{"Authorization": {"Bearer " + good}, "X-Api-Key": {second}}, "!", "!"},
		{"one key in both places", http.Header{"Authorization": {"Bearer " + good}, "X-Api-Key": {good}}, "ann", "ann"},
		{"a key beside the app's own token", http.Header{"Authorization": {"Bearer " + foreign}, "X-Api-Key": {good}},
			"!", "ann"},
		{"an empty key", http.Header{"X-Api-Key": {""}}, "!", ""},
		{"an empty token", http.Header{"Authorization": {"Bearer "}}, "!", ""},
		{"a scheme alone", http.Header{"Authorization": {"Bearer"}}, "!", ""},
		{"two tokens in one line", http.Header{"Authorization": {"Bearer " + good + ", Bearer " + second}}, "!", "!"},
		{"a very long token", http.Header{"Authorization": {"Bearer " + strings.Repeat("a", 5000)}}, "!", ""},
	} {
		for _, own := range []bool{false, true} {
			r := httptest.NewRequest("GET", "/?apiKey="+good+"&x-api-key="+good, nil)
			r.Header = c.h
			credentials := authn.Credentials{
				Sessions: n.sessions,
				Keys:     n.keys,
				Access:   func(string) (authz.Principal, error) { return authz.Principal{}, authn.ErrForeign },
			}
			got, err := credentials.Authenticate(
				r,
				authn.Place{Audience: authn.AudienceMain, From: home, OwnSignIn: own},
			)
			want := c.want
			if own {
				want = c.own
			}
			who := got.Principal.Name
			if err != nil {
				who = "!"
				if !problem.Is(err, problem.Unauthenticated) || !authn.TokenTrouble(err) {
					t.Errorf("%s: %v", c.what, err)
				}
			}
			if who != want {
				t.Errorf("%s (own sign-in %v): %q, want %q (%v)", c.what, own, who, want, err)
			}
		}
	}
}

func TestWhatIsRecognizedIsNotForwarded(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	_, secret := n.make(n.person(n.add(t, "ann").ID), authn.NewAPIKey{})
	h := http.Header{"X-Api-Key": {secret}, "Authorization": {"Basic eDp5"}}
	c := authn.Credential{Kind: authn.CredentialKey}
	if c.Strip(h); h.Get("X-Api-Key") != "" || h.Get("Authorization") == "" {
		t.Errorf("left: %v", h)
	}
	h = http.Header{"X-Api-Key": {"sk-1"}, "Authorization": {"Bearer a.b.c"}}
	c = authn.Credential{Kind: authn.CredentialAccess}
	if c.Strip(h); h.Get("X-Api-Key") == "" || h.Get("Authorization") != "" {
		t.Errorf("left: %v", h)
	}
	for text, want := range map[string]bool{"": false, "sluice_": false, "/x?key=" + secret: true,
		"sluice_sluice_" + secret[7:]: true, secret[:52]: false, "sluice_" + strings.Repeat("a", 60): false} {
		if got := authn.ContainsKey(text); got != want {
			t.Errorf("%q holds a key: %v", text, got)
		}
	}
}

func FuzzOfferedToken(f *testing.F) {
	key, err := authn.MakeKey()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"Bearer " + key, "bearer\t" + key, "Bearer a.b.c", "Basic eDp5", key,
		"Bearer  " + key + " ", "Bearer " + key + "," + key, "Negotiate", "", " ", "Bearer =", "Bearer \x00"} {
		f.Add(seed, "", false)
		f.Add("", seed, true)
		f.Add(seed, key, true)
	}
	f.Fuzz(func(t *testing.T, authorization, apiKey string, own bool) {
		h := http.Header{}
		if authorization != "" {
			h["Authorization"] = []string{authorization}
		}
		if apiKey != "" {
			h["X-Api-Key"] = []string{apiKey}
		}
		value, isKey, err := authn.OfferedToken(h, own)
		switch {
		case err != nil && value != "":
			t.Error("a refusal and a token")
		case strings.ContainsAny(value, " \t\r\n,;\"") && value == strings.TrimSpace(value) && !isKey:
			t.Errorf("the token %q", value)
		case len(value) > 4096:
			t.Error("a token without bounds")
		case err == nil && strings.Contains(authorization+apiKey, "sluice_") && value == "":
			t.Errorf("what looks like a key was passed over: %q, %q", authorization, apiKey)
		}
		if authn.KeyFormed(value) && !isKey {
			t.Errorf("%q is not taken for a key", value)
		}
	})
}

func FuzzContainsKey(f *testing.F) {
	key, err := authn.MakeKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/x?apiKey=", "&y=1")
	f.Add("sluice_", "sluice_")
	f.Fuzz(func(t *testing.T, before, after string) {
		if !authn.ContainsKey(before + key + after) {
			t.Errorf("not found between %q and %q", before, after)
		}
	})
}

// BenchmarkKey is the whole way from a request with a key to its principal, with few and with many
// keys: the numbers must not differ by much more than the memory is far away.
func BenchmarkKey(b *testing.B) {
	for _, count := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			n := startKeys(b, dbtest.SQLite(b), 0)
			owner := n.add(b, "ann").ID
			secrets, err := authn.FillKeys(n.keys, count, 1000, owner, identity.DefaultWorkspace)
			if err != nil {
				b.Fatal(err)
			}
			requests := make([]*http.Request, len(secrets))
			for i, s := range secrets {
				requests[i] = httptest.NewRequest("POST", "/api/v1/prediction/x", nil)
				requests[i].Header.Set("Authorization", "Bearer "+s)
			}
			credentials, at := authn.Credentials{
				Sessions: n.sessions,
				Keys:     n.keys,
			}, authn.Place{
				Audience: authn.AudienceMain,
				From:     home,
			}
			for _, r := range requests { // the first use of each is noted
				if _, err := credentials.Authenticate(r, at); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			b.ReportAllocs()
			defer reportCPU(b)()
			i := 0
			for b.Loop() {
				if c, err := credentials.Authenticate(requests[i%len(requests)], at); err != nil ||
					c.Kind != authn.CredentialKey {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkLimitedKey is the same for a key with limits and a reserved portion, without database
// queries.
func BenchmarkLimitedKey(b *testing.B) {
	n := limited(b, dbtest.SQLite(b), noon())
	_, secret := n.make(n.person(n.add(b, "ann").ID), authn.NewAPIKey{PerDay: 1_000_000_000})
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("X-Api-Key", secret)
	credentials, at := authn.Credentials{
		Sessions: n.sessions,
		Keys:     n.keys,
	}, authn.Place{
		Audience: authn.AudienceMain,
		From:     home,
	}
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		if _, err := credentials.Authenticate(r, at); err != nil {
			b.Fatal(err)
		}
	}
}

// keyChecksum is the CRC-32 of a text in six base62 digits.
func keyChecksum(text string) (out string) {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := crc32.ChecksumIEEE([]byte(text))
	for range 6 {
		out, sum = string(digits[sum%62])+out, sum/62
	}
	return out
}

// TestCredentials_Checksum: scanners compute it, so it has to be the standard's.
func TestCredentials_Checksum(t *testing.T) {
	for range 100 {
		key, err := authn.MakeKey()
		if err != nil {
			t.Fatal(err)
		}
		want := keyChecksum(key[:len(key)-6])
		if got := key[len(key)-6:]; got != want || !authn.KeyFormed(key) {
			t.Fatalf("%s ends in %s, want %s", key, got, want)
		}
	}
}

// TestKeyFormed_EachCharacter: a key with a character that is no base62 digit has the wrong form,
// even if its checksum is right.
func TestKeyFormed_EachCharacter(t *testing.T) {
	for characters, want := range map[string]bool{"09AZaz": true, "/:@[`{_-\x80": false} {
		for i := range len(characters) {
			body := "sluice_" + strings.Repeat("0", 39) + characters[i:i+1]
			if got := authn.KeyFormed(body + keyChecksum(body)); got != want {
				t.Errorf("with %q it has the form of a key: %v, want %v", characters[i], got, want)
			}
		}
	}
}

// TestBearerTokens_CharactersAndLength: RFC 9110 section 11.2, and at most 4096 bytes.
func TestBearerTokens_CharactersAndLength(t *testing.T) {
	for name, c := range map[string]struct {
		header, value string
		good          bool
	}{
		"the first and last characters": {"Authorization", "Bearer azAZ09-._~+/==", true},
		"before a":                      {"Authorization", "Bearer `", false},
		"after z":                       {"Authorization", "Bearer {", false},
		"before A":                      {"Authorization", "Bearer @", false},
		"after Z":                       {"Authorization", "Bearer [", false},
		"after 9":                       {"Authorization", "Bearer :", false},
		"padding alone":                 {"Authorization", "Bearer ==", false},
		"padding inside":                {"Authorization", "Bearer a=a", false},
		"the longest token":             {"Authorization", "Bearer " + strings.Repeat("a", 4096), true},
		"a longer token":                {"Authorization", "Bearer " + strings.Repeat("a", 4097), false},
		"the longest key":               {"X-Api-Key", strings.Repeat("a", 4096), true},
		"a longer key":                  {"X-Api-Key", strings.Repeat("a", 4097), false},
	} {
		value, _, err := authn.OfferedToken(http.Header{c.header: {c.value}}, false)
		if c.good && (err != nil || value != strings.TrimPrefix(c.value, "Bearer ")) || !c.good && err == nil {
			t.Errorf("%s: %.20q, %v", name, value, err)
		}
	}
}

// TestCredentials_TokenAndKey: where the app has a sign-in of its own, a token beside a key is the
// app's, unless it is one of Sluice's, good or not.
func TestCredentials_TokenAndKey(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ann := n.person(n.add(t, "ann").ID)
	_, key := n.make(ann, authn.NewAPIKey{})
	access := func(token string) (authz.Principal, error) {
		switch token {
		case "good.of.sluice":
			return ann, nil
		case "expired.of.sluice":
			return authz.Principal{}, problem.New(problem.Unauthenticated, "This access token has expired.")
		}
		return authz.Principal{}, authn.ErrForeign
	}
	for name, c := range map[string]struct {
		access  func(string) (authz.Principal, error)
		token   string
		refused bool
	}{
		"the app's":                {access, "of.the.app", false},
		"Sluice's":                 {access, "good.of.sluice", true},
		"Sluice's that is over":    {access, "expired.of.sluice", true},
		"where Sluice has no such": {nil, "good.of.sluice", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set("X-Api-Key", key)
		credentials := authn.Credentials{Sessions: n.sessions, Keys: n.keys, Access: c.access}
		got, err := credentials.Authenticate(r, authn.Place{Audience: authn.AudienceMain, From: home, OwnSignIn: true})
		who, why := ann.ID, ""
		if c.refused {
			who, why = "", "The request has two different credentials."
		}
		if got.Principal.ID != who || err != nil && problem.Of(err).Detail != why || err == nil && c.refused {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
