package profile

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/problem"
)

// asked is a builder that finds objects by parameters.
var asked = &Profile{style: Style{Query: QueryRules{
	IDs:       map[string]bool{"chatid": true},
	Files:     map[string]bool{"filename": true},
	Once:      map[string]bool{"sort": true},
	Secrets:   map[string]bool{"api-key": true},
	PlainKeys: true,
}}}

func TestQuery_TakesWhatHasOneReading(t *testing.T) {
	for raw, want := range map[string]url.Values{
		"":                               {},
		"&":                              {},
		"a=1&&b=2&a=3":                   {"a": {"1", "3"}, "b": {"2"}},
		"a":                              {"a": {""}},
		"a=b%20c+d%0A%09%0D":             {"a": {"b c d\n\t\r"}},
		"a=~!$'()*,:@/?=":                {"a": {"~!$'()*,:@/?="}},
		"a[0][x]=1":                      {"a[0][x]": {"1"}},
		"chatId=a:b@c.d":                 {"chatId": {"a:b@c.d"}},
		"fileName=a%20b.txt":             {"fileName": {"a b.txt"}},
		"fileName=" + repeated("x", 255): {"fileName": {repeated("x", 255)}},
		"sort=a.b":                       {"sort": {"a.b"}},
		"api-keys=x":                     {"api-keys": {"x"}},
		"a=" + repeated("x", 8192-2):     {"a": {repeated("x", 8192-2)}},
		repeated("a=1&", 99) + "a=1":     {"a": strings.Split(repeated("1", 100), "")},
	} {
		got, err := asked.Query(raw)
		if err != nil {
			t.Errorf("%.60q: %v", raw, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.60q (-want +got):\n%s", raw, diff)
		}
	}
	free := &Profile{}
	got, err := free.Query("a%20b=1&chatId=1&chatId=2")
	if err != nil || len(got["chatId"]) != 2 || got.Get("a b") != "1" {
		t.Errorf("a builder without rules: %v, %v", got, err)
	}
}

func TestQuery_RefusesWhatCouldBeReadTwice(t *testing.T) {
	for raw, want := range map[string]string{ // field, rule, words
		"a=" + repeated("x", 8192-1):     "query query.length longer than 8 KiB",
		repeated("a=1&", 100) + "a=1":    "query query.count more than 100 parameters",
		"a= b":                           "query query.character must be escaped",
		"a=\x01":                         "query query.character must be escaped",
		"a=\x7f":                         "query query.character must be escaped",
		"a=é":                            "query query.character must be escaped",
		"a=1#b":                          "query query.character must be escaped",
		"a=1;b=2":                        "query query.character must be escaped",
		`a=\`:                            "query query.character must be escaped",
		"a=<":                            "query query.character must be escaped",
		"a=>":                            "query query.character must be escaped",
		`a="`:                            "query query.character must be escaped",
		"a=%":                            "query query.escape broken percent escape",
		"%zz=1":                          "query query.escape broken percent escape",
		"a=%00":                          "query query.character control character",
		"a=%1F":                          "query query.character control character",
		"%7F=1":                          "query query.character control character",
		"a=%FF":                          "query query.character not UTF-8",
		"a%20b=1":                        "query query.name does not know",
		"a{b}=1":                         "query query.name does not know",
		"Api_Key=x":                      "api_key query.secret must not be part of a URL",
		"api-key[]=x":                    "api-key query.secret must not be part of a URL",
		"chatId=1&CHATID=2":              "chatid query.id must appear once",
		"chatId[]=1":                     "chatid query.id must appear once",
		"chatId.x=1":                     "chatid query.id must appear once",
		"chatId=a%2Fb":                   "chatid query.id must appear once",
		"chatId=..":                      "chatid query.id must appear once",
		"fileName=../a":                  "filename query.id must appear once",
		"fileName=" + repeated("x", 256): "filename query.id must appear once",
		"sort=a,b":                       "sort query.id must appear once",
		"sort=a&sort=a":                  "sort query.id must appear once",
	} {
		_, err := asked.Query(raw)
		e := problem.Of(err)
		words := strings.SplitN(want, " ", 3)
		if !problem.Is(err, problem.Invalid) || e.Field != words[0] || e.Rule != words[1] ||
			!strings.Contains(e.Detail, words[2]) {
			t.Errorf("%.60q: field %q, rule %q, %q; want %s", raw, e.Field, e.Rule, e.Detail, want)
		}
	}
}

func TestPlainID(t *testing.T) {
	for id, want := range map[string]bool{
		"azAZ09-._~:@": true, "...": true, repeated("a", 256): true,
		".": false, "..": false, repeated("a", 257): false, "a/b": false, "a%": false, "a b": false, "a[": false,
		"é": false,
	} {
		if got := PlainID(id); got != want {
			t.Errorf("PlainID(%.40q) = %v", id, got)
		}
	}
}

func repeated(s string, n int) string { return strings.Repeat(s, n) }
