package profile

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
)

func TestCookies_MixedHeader(t *testing.T) {
	p := &Profile{style: Style{Cookies: []string{"session"}}}
	h := http.Header{"Cookie": {"a=1; session=x; b=2", "__Host-session=y; SESSION=z;c=3"}}
	p.CleanRequest(h)
	if diff := cmp.Diff(http.Header{"Cookie": {"a=1; b=2; c=3"}}, h); diff != "" {
		t.Error(diff)
	}
	h = http.Header{"Cookie": {"session=x"}}
	p.CleanRequest(h)
	if len(h) != 0 {
		t.Errorf("an empty cookie header stays: %v", h)
	}
	r := http.Header{"Set-Cookie": {"session=x; Path=/", "a=1"}}
	p.CleanResponse(r)
	if diff := cmp.Diff(http.Header{"Set-Cookie": {"a=1"}}, r); diff != "" {
		t.Error(diff)
	}
}

func TestBodyRuleNeeds(t *testing.T) {
	rule := BodyRule{Keys: []string{"isPublic"}, Action: authz.FlowPublish, Unset: true}
	for value, want := range map[string]bool{"true": true, "false": false, "null": false, `""`: false, `"false"`: true,
		"0": true, "{}": true, "[]": true, "bad": true} {
		if got := rule.Needs("isPublic", []byte(value)); got != want {
			t.Errorf("isPublic: %s needs the action: %v, want %v", value, got, want)
		}
	}
	if rule.Needs("ispublic", []byte("true")) {
		t.Error("keys must be compared exactly")
	}
	strict := BodyRule{Keys: []string{"id"}}
	if !strict.Needs("id", []byte("null")) {
		t.Error("without Unset every value counts")
	}
}

func TestBodyRuleExceptions(t *testing.T) {
	access := BodyRule{
		Keys:   []string{"access_type"},
		Action: authz.FlowPublish,
		Unset:  true,
		Except: []string{"PRIVATE"},
	}
	names := BodyRule{Keys: []string{"name"}, Plain: true}
	only := BodyRule{Keys: []string{"access_type"}, Except: []string{"PRIVATE"}}
	inside := BodyRule{In: "flows", Keys: []string{"id"}, Unset: true}
	cases := []struct {
		rule       BodyRule
		key, value string
		want       bool
	}{
		{
			access,
			"access_type",
			`"PRIVATE"`,
			false,
		}, {access, "access_type", `"PRIVAT\u0045"`, false}, {access, "access_type", `null`, false},
		{
			access,
			"access_type",
			`"PUBLIC"`,
			true,
		}, {access, "access_type", `"private"`, true}, {access, "access_type", `["PRIVATE"]`, true},
		{access, "access_type", `bad`, true},
		{only, "access_type", `"PRIVATE"`, false}, {only, "access_type", `"PUBLIC"`, true},
		{names, "name", `"my base"`, false}, {names, "name", `"Größe_1.x"`, false}, {names, "name", `["a","b"]`, false},
		{
			names,
			"name",
			`"/tmp/x"`,
			true,
		}, {names, "name", `"a/b"`, true}, {names, "name", `"a\\b"`, true}, {names, "name", `"x\u0000y"`, true},
		{names, "name", `".."`, true},
		{
			names,
			"name",
			`".hidden"`,
			true,
		}, {names, "name", `" a"`, true}, {names, "name", `"a%2fb"`, true}, {names, "name", `""`, true},
		{names, "name", `["a","../b"]`, true},
		{
			names,
			"name",
			`[["a"]]`,
			true,
		}, {names, "name", `{"a":1}`, true}, {names, "name", `"\u007f"`, true}, {names, "name", `null`, true},
		{
			inside,
			"flows",
			`[{"name":"x"},{"id":null}]`,
			false,
		}, {inside, "flows", `[]`, false}, {inside, "id", `"x"`, false}, {inside, "other", `[{"id":"x"}]`, false},
		{
			inside,
			"flows",
			`[{"name":"x"},{"id":"x"}]`,
			true,
		}, {inside, "flows", `[{"\u0069d":"x"}]`, true}, {inside, "flows", `{"id":"x"}`, true},
		{inside, "flows", `[1]`, true},
	}
	for _, c := range cases {
		if got := c.rule.Needs(c.key, []byte(c.value)); got != c.want {
			t.Errorf("%s: %s needs the action: %v, want %v", c.key, c.value, got, c.want)
		}
	}
}

func TestHiding(t *testing.T) {
	h := Hiding{Member: "value", Where: "type", Is: "Credential"}
	for body, want := range map[string]string{
		`{"id":"1","type":"Credential","value":"x"}`:   `{"id":"1","type":"Credential","value":null}`,
		`{"type":"credential","value":{"a":1}}`:        `{"type":"credential","value":null}`,
		`{"type":"\u0043redential","value":"x"}`:       `{"type":"\u0043redential","value":null}`,
		`{"type":"Generic","value":"x"}`:               `{"type":"Generic","value":"x"}`,
		`[ ]`:                                          `[ ]`,
		`[{"type":"Credential","value":null},{"b":1}]`: `[{"type":"Credential","value":null},{"b":1}]`,
		` [{"type":"Generic","value":"y"},{"type":"Credential","value":"x","a":"b"}]`: `[{"type":"Generic","value":"y"},{"a":"b","type":"Credential","value":null}]`,
		`{"type":["Credential"],"value":"x"}`:                                         `{"type":["Credential"],"value":"x"}`,
		`"x"`:                                                                         "", `[1]`: "", `null`: "",
		`[null]`: "", `{`: "", ``: "", `[{"a":1}`: "",
	} {
		got, err := h.Clean([]byte(body))
		if (want == "") != (err != nil) || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", body, got, err, want)
		}
	}
}

// FuzzHiding: whatever passes has no value where its type says that it is a secret.
func FuzzHiding(f *testing.F) {
	for _, s := range []string{`{"type":"Credential","value":"x"}`, `[{"type":"Credential","value":"x"}]`, `[]`,
		`{"type":"Credential","type":"Generic","value":"x"}`} {
		f.Add([]byte(s))
	}
	h := Hiding{Member: "value", Where: "type", Is: "Credential"}
	f.Fuzz(func(t *testing.T, body []byte) {
		clean, err := h.Clean(body)
		if err != nil {
			return
		}
		var list []map[string]any
		if json.Unmarshal(clean, &list) != nil {
			var one map[string]any
			if err := json.Unmarshal(clean, &one); err != nil {
				t.Fatalf("%q became %q", body, clean)
			}
			list = append(list, one)
		}
		for _, el := range list {
			if el["type"] == "Credential" && el["value"] != nil {
				t.Fatalf("%q became %q", body, clean)
			}
		}
	})
}

// FuzzPlainNames: what passes as a plain name has no meaning to a file system beyond being one.
func FuzzPlainNames(f *testing.F) {
	for _, s := range []string{`"a"`, `["a","b"]`, `"../x"`, `"a\u0000"`, `"a\\b"`, `" "`, `[["a"]]`} {
		f.Add([]byte(s))
	}
	rule := BodyRule{Keys: []string{"name"}, Plain: true}
	f.Fuzz(func(t *testing.T, value []byte) {
		if rule.Needs("name", value) {
			return
		}
		var one string
		var list []string
		if json.Unmarshal(value, &one) == nil {
			list = []string{one}
		} else if err := json.Unmarshal(value, &list); err != nil {
			t.Fatalf("%q passes and is neither a text nor a list: %v", value, err)
		}
		for _, name := range list {
			if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\x00\n\r%") ||
				len(name) > 255 {
				t.Fatalf("%q passes", name)
			}
		}
	})
}
