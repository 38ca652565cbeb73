package sso

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestClaims_Paths(t *testing.T) {
	t.Parallel()
	const claims = `{
		"groups": ["a", "b", "a", "", " c ", 7, null, {"name": "d"}], "one": "x", "empty": [], "number": 5,
		"realm_access": {"roles": ["r1", "r2"]},
		"resource_access": {"my.client": {"roles": ["deep"]}, "my": {"client": {"roles": ["never"]}}},
		"https://example.com/groups": ["url"], "a.b": "literal", "a": {"b": "nested"}, "null": null
	}`
	parsed, err := claimsOf([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"groups": {"a", "b", "c"}, "one": {"x"}, "empty": nil, "number": nil, "realm_access.roles": {"r1", "r2"},
		"realm_access": nil, "realm_access.": nil, ".roles": nil, "realm_access.roles.x": nil,
		"resource_access.my.client.roles": {"deep"}, "https://example.com/groups": {"url"}, "a.b": {"literal"},
		"null": nil, "missing": nil, "": nil, "...": nil,
	} {
		if diff := cmp.Diff(want, groupsOf(lookUp(parsed, path, 0))); diff != "" {
			t.Errorf("%q: %s", path, diff)
		}
	}
}

func TestClaims_GroupRole(t *testing.T) {
	t.Parallel()
	held := map[string]string{
		"kept":         "user",
		"hand":         "admin",
		"changed":      "admin",
		"lost":         "viewer",
		"lost by hand": "user",
		"gone":         "",
	}
	given := map[string]string{
		"kept":         "user",
		"changed":      "user",
		"lost":         "viewer",
		"lost by hand": "viewer",
		"gone":         "user",
	}
	delete(held, "gone")
	wanted := []grant{{"kept", "user", "g"}, {"hand", "viewer", "g"}, {"changed", "user", "g"}, {"new", "admin", "g"}}
	got := map[string]changeKind{}
	for _, c := range plan(wanted, held, given) {
		got[c.workspace] = c.kind
	}
	want := map[string]changeKind{
		"kept":         changeKeep,
		"hand":         changeStays,
		"changed":      changeForget,
		"new":          changeGive,
		"lost":         changeTake,
		"lost by hand": changeForget,
		"gone":         changeForget,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestClaims_SecondFactor(t *testing.T) {
	t.Parallel()
	for amr, want := range map[string]bool{
		`null`: true, `[]`: true, `["pwd"]`: false, `"pwd"`: false, `["pwd","pin"]`: false, `["pwd","mfa"]`: true,
		`["hwk"]`: true, `["pwd","otp"]`: true, `["kba","user"]`: false, `7`: true,
	} {
		var v any
		if err := json.Unmarshal([]byte(amr), &v); err != nil {
			t.Fatal(err)
		}
		if got := strongly(assertion{Claims: map[string]any{"amr": v}}); got != want {
			t.Errorf("%s: %v", amr, got)
		}
	}
}

func TestClaims_Address(t *testing.T) {
	t.Parallel()
	cases := []struct {
		provider         Provider
		claims, info     string
		address          string
		verified, denied bool
	}{
		{Provider{}, `{"email":"a@example.org","email_verified":true}`, ``, "a@example.org", true, false},
		{
			Provider{},
			`{"email":"a@example.org"}`,
			`{"email":"a@example.org","email_verified":true}`,
			"a@example.org",
			true,
			false,
		},
		{
			Provider{},
			`{"email":"a@example.org"}`,
			`{"email":"other@example.org","email_verified":true}`,
			"a@example.org",
			false,
			false,
		},
		{
			Provider{},
			`{"email":"a@example.org","email_verified":true}`,
			`{"email":"a@example.org","email_verified":false}`,
			"a@example.org",
			false,
			true,
		},
		{Provider{}, `{"email_verified":true}`, `{"email":"a@example.org"}`, "a@example.org", false, false},
		{
			Provider{EmailClaim: "upn"},
			`{"upn":"boss@example.org","email":"a@example.org","email_verified":true}`,
			``,
			"boss@example.org",
			false,
			false,
		},
		{
			Provider{EmailClaim: "upn"},
			`{"upn":"A@example.org","email":"a@example.org","email_verified":true}`,
			``,
			"A@example.org",
			true,
			false,
		},
		{Provider{}, `{"email":"a@example.org\nBcc: b@example.org","email_verified":true}`, ``, "", false, false},
		{Provider{}, `{"email":"Ann <a@example.org>","email_verified":true}`, ``, "", false, false},
	}
	for _, c := range cases {
		a := assertion{}
		for text, into := range map[string]*map[string]any{c.claims: &a.Claims, c.info: &a.UserInfo} {
			if text == "" {
				continue
			}
			if err := json.Unmarshal([]byte(text), into); err != nil {
				t.Fatal(err)
			}
		}
		address, verified, denied := c.provider.email(a)
		if address != c.address || verified != c.verified || denied != c.denied {
			t.Errorf("%s %s: %q, %v, %v", c.claims, c.info, address, verified, denied)
		}
	}
}

func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"groups":["a"],"realm_access":{"roles":["b"]}}`), "realm_access.roles")
	f.Add(
		[]byte(`{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":"x"}}}}}}}}},"a.a":{"a.a":{}}}`),
		"a.a.a.a.a.a.a.a.a.a",
	)
	f.Add(
		[]byte(
			`{"email":"a@b.c","email_verified":"true","name":"\u202e","preferred_username":"../../x","amr":["pwd"],`+
				`"auth_time":1e300}`,
		),
		".",
	)
	f.Add([]byte(`[]`), "")
	f.Add([]byte("{\"groups\":\"\x00\xff\"}"), "groups")
	f.Fuzz(func(t *testing.T, payload []byte, path string) {
		claims, err := claimsOf(payload)
		if err != nil {
			return
		}
		a := assertion{Claims: claims, Subject: "s"}
		groups := groupsOf(a.value(path))
		if len(groups) > maxGroups || !slices.IsSorted(groups) {
			t.Errorf("%d groups", len(groups))
		}
		for _, g := range groups {
			if g == "" || len(g) > maxGroupName || strings.TrimSpace(g) != g {
				t.Errorf("group %q", g)
			}
		}
		p := Provider{UsernameClaim: path, NameClaim: path, EmailClaim: path}
		for _, p := range []Provider{{}, p} {
			n := p.newcomer(a)
			if !usernameOK(n.Username) {
				t.Errorf("username %q", n.Username)
			}
			if utf8.RuneCountInString(n.Name) > 100 ||
				strings.IndexFunc(n.Name, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
				t.Errorf("name %q", n.Name)
			}
			if n.EmailVerified && n.Email == "" || len(n.Email) > 254 {
				t.Errorf("address %q", n.Email)
			}
			if label := p.labelOf(a); len(label) > 200 ||
				strings.IndexFunc(label, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
				t.Errorf("label %q", label)
			}
		}
		strongly(a)
		if at := momentOf(claims["auth_time"]); at.Unix() > 1<<40 {
			t.Errorf("auth_time %v", at)
		}
	})
}

func usernameOK(name string) bool {
	if len(name) < 2 || len(name) > longestBase {
		return false
	}
	for _, r := range name {
		if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r) {
			return false
		}
	}
	return name[0] != '.' && name[0] != '_' && name[0] != '-'
}
