package builder_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

func TestQuery(t *testing.T) {
	ours, any := mustProfile(t, "flowise", builder.Options{}), mustProfile(t, "generic", builder.Options{})
	cases := []struct {
		p    *profile.Profile
		raw  string
		want url.Values
	}{
		{ours, "", url.Values{}},
		{ours, "type=CHATFLOW&page=1&limit=12", url.Values{"type": {"CHATFLOW"}, "page": {"1"}, "limit": {"12"}}},
		{
			ours,
			"chatflowId=" + flowA + "&chatId=c-1&fileName=r%C3%A9sum%C3%A9.pdf",
			url.Values{"chatflowId": {flowA}, "chatId": {"c-1"}, "fileName": {"résumé.pdf"}},
		},
		{ours, "feedbackType%5B%5D=A&feedbackType[]=B", url.Values{"feedbackType[]": {"A", "B"}}},
		{
			ours,
			"url=https%3A%2F%2Fa.example%2F%3Cb%3E%2520&limit=10",
			url.Values{"url": {"https://a.example/<b>%20"}, "limit": {"10"}},
		},
		{ours, "search=a+b%0Ac", url.Values{"search": {"a b\nc"}}},
		{any, "id=1&id=2&a.b=x%20y", url.Values{"id": {"1", "2"}, "a.b": {"x y"}}},
	}
	for _, c := range cases {
		got, err := c.p.Query(c.raw)
		if err != nil {
			t.Errorf("%p Query(%q): %v", c.p, c.raw, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%p Query(%q): %s", c.p, c.raw, diff)
		}
	}
}

func TestQueryRefusals(t *testing.T) {
	p := mustProfile(t, "flowise", builder.Options{})
	for _, raw := range []string{
		"a=%zz", "a=%", "%ff=a", "a=%ff", "a=%00", "a=%1b", "a\x00=1", "a=b;c=d", "a=b#c", "a=<b>", "a=b c", "a=é",
		"chatId=1&chatId=2", "chatId=1&chatid=2", "chatId[]=1", "chatId%5B%5D=1", "chatId[0]=1", "chatflowId[x]=1",
		"chatId.x=1", "chatId=../..", "chatId=%2e%2e%2f", "chatId=a%252e", "chatId=..", "chatId=1%3Cx%3E2",
		"fileName=..%5c..%5cdatabase.sqlite", "fileName=../x", "fileName=a%2Fb", "fileName=a&fileName=b",
		"fileName=..", "fileName=a%2525", "fileName=a%20",
		"amp%3Bx=1", "chatflow%2569d=1", "chatflow<x>Id=1", "a=" + strings.Repeat("x", 8192), strings.Repeat("a&", 101),
	} {
		if got, err := p.Query(raw); !problem.Is(err, problem.Invalid) {
			t.Errorf("Query(%.60q) = %v, %v; want a refusal", raw, got, err)
		}
	}
}

func TestLangflowQuery(t *testing.T) {
	p := mustProfile(t, "langflow", builder.Options{})
	for _, raw := range []string{
		"get_all=true&header_flows=true", "flow_id=" + flowA + "&page=1&size=20",
		"session_id=Session%20of%20Nov%2021", "session_id=a%2Fb%3A1", "folder_id=",
		"x=/api/v1/auto_login/../../api/v1/flows", "name=a%2Cb", "event_delivery=streaming", "tags=a,b",
	} {
		if _, err := p.Query(raw); err != nil {
			t.Errorf("Query(%q): %v", raw, err)
		}
	}
	for _, raw := range []string{
		"flow_id=" + flowA + "," + flowB, "flow_id=" + flowA + "%2C" + flowB, "flow_id=1&flow_id=2",
		"flow_id=1&FLOW_ID=2", "flow_id[]=1", "folder_id=..%2Fx", "project_id=a%00", "job_id=a/b",
		"session_id=a,b", "session_id=a%2Cb", "session_id=1&session_id=2", "source_flow_id=a%20b",
		"x-api-key=sk-1", "x_api_key=sk-1", "X-API-KEY=sk-1", "api_key=sk-1", "apikey=1", "token=1",
		"access_token=1", "token[]=1",
	} {
		if got, err := p.Query(raw); !problem.Is(err, problem.Invalid) {
			t.Errorf("Query(%q) = %v, %v; want a refusal", raw, got, err)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "a=b", "chatId=1", "chatId[]=1", "a=%41+b", "a&b&=c", "flow_id=1,2", "x-api-key=1"} {
		f.Add(s)
	}
	p, lf := mustProfile(f, "flowise", builder.Options{}), mustProfile(f, "langflow", builder.Options{})
	f.Fuzz(func(t *testing.T, raw string) {
		if got, err := lf.Query(raw); err == nil {
			for key, values := range got {
				// Langflow splits one parameter with commas into several.
				if slices.Contains(
					[]string{"flow_id", "source_flow_id", "folder_id", "project_id", "job_id"},
					strings.ToLower(key),
				) &&
					(len(values) != 1 || strings.ContainsAny(values[0], `,/\%<>`)) ||
					slices.Contains(
						[]string{"x-api-key", "api-key", "apikey", "token", "access-token"},
						strings.ToLower(key),
					) {
					t.Fatalf("Langflow: %s = %v", key, values)
				}
			}
		}
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
			if slices.Contains(
				[]string{
					"id",
					"chatflowid",
					"agentflowid",
					"chatid",
					"sessionid",
					"messageid",
					"executionid",
					"credential",
					"credentialid",
					"storeid",
					"docid",
					"loaderid",
					"organizationid",
					"workspaceid",
					"userid",
					"roleid",
					"apikey",
					"state",
				},
				strings.ToLower(key),
			) &&
				(len(values) != 1 || strings.ContainsAny(values[0], `/\%<>`)) {
				t.Fatalf("%s = %v", key, values)
			}
		}
	})
}
