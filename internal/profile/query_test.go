package profile

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/problem"
)

func TestQuery(t *testing.T) {
	flowise, generic := mustProfile(t, KindFlowise, Options{}), mustProfile(t, KindGeneric, Options{})
	cases := []struct {
		p    *Profile
		raw  string
		want url.Values
	}{
		{flowise, "", url.Values{}},
		{flowise, "type=CHATFLOW&page=1&limit=12", url.Values{"type": {"CHATFLOW"}, "page": {"1"}, "limit": {"12"}}},
		{flowise, "chatflowId=" + flowA + "&chatId=c-1&fileName=r%C3%A9sum%C3%A9.pdf", url.Values{"chatflowId": {flowA}, "chatId": {"c-1"}, "fileName": {"résumé.pdf"}}},
		{flowise, "feedbackType%5B%5D=A&feedbackType[]=B", url.Values{"feedbackType[]": {"A", "B"}}},
		{flowise, "url=https%3A%2F%2Fa.example%2F%3Cb%3E%2520&limit=10", url.Values{"url": {"https://a.example/<b>%20"}, "limit": {"10"}}},
		{flowise, "search=a+b%0Ac", url.Values{"search": {"a b\nc"}}},
		{generic, "id=1&id=2&a.b=x%20y", url.Values{"id": {"1", "2"}, "a.b": {"x y"}}},
	}
	for _, c := range cases {
		got, err := c.p.Query(c.raw)
		if err != nil {
			t.Errorf("%s Query(%q): %v", c.p.Kind, c.raw, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s Query(%q): %s", c.p.Kind, c.raw, diff)
		}
	}
}

func TestQueryRefusals(t *testing.T) {
	p := mustProfile(t, KindFlowise, Options{})
	for _, raw := range []string{
		"a=%zz", "a=%", "%ff=a", "a=%ff", "a=%00", "a=%1b", "a\x00=1", "a=b;c=d", "a=b#c", "a=<b>", "a=b c", "a=é",
		"chatId=1&chatId=2", "chatId=1&chatid=2", "chatId[]=1", "chatId%5B%5D=1", "chatId[0]=1", "chatflowId[x]=1", "chatId.x=1", "chatId=../..", "chatId=%2e%2e%2f", "chatId=a%252e",
		"chatId=..", "chatId=1%3Cx%3E2", "fileName=..%5c..%5cdatabase.sqlite", "fileName=../x", "fileName=a%2Fb", "fileName=a&fileName=b", "fileName=..", "fileName=a%2525", "fileName=a%20",
		"amp%3Bx=1", "chatflow%2569d=1", "chatflow<x>Id=1", "a=" + strings.Repeat("x", 8192), strings.Repeat("a&", 101),
	} {
		if got, err := p.Query(raw); !problem.Is(err, problem.Invalid) {
			t.Errorf("Query(%.60q) = %v, %v; want a refusal", raw, got, err)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "a=b", "chatId=1", "chatId[]=1", "a=%41+b", "a&b&=c"} {
		f.Add(s)
	}
	p := mustProfile(f, KindFlowise, Options{})
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := p.Query(raw)
		if err != nil {
			if !problem.Is(err, problem.Invalid) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		std, err := url.ParseQuery(raw)
		if err != nil || !cmp.Equal(got, std) {
			t.Fatalf("Query(%q) = %v, net/url reads %v, %v", raw, got, std, err)
		}
		for key, values := range got {
			if p.style.query.ids[strings.ToLower(key)] && (len(values) != 1 || strings.ContainsAny(values[0], `/\%<>`)) {
				t.Fatalf("%s = %v", key, values)
			}
		}
	})
}
