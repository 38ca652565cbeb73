package builder_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/builder"
)

func TestCleanRequest_Spellings(t *testing.T) {
	p := mustProfile(t, "flowise", builder.Options{})
	h := http.Header{}
	for _, name := range []string{
		"Authorization", "X-Api-Key", "X-Request-From", "x-request-from", "X_Request_From", "X.Request.From",
		"x_Request-from", "Cookie",
		"X-Forwarded-For", "X_Forwarded_For", "X-Forwarded-Prefix", "X-FORWARDED-USER", "Forwarded", "X-Real-Ip",
		"X-Real_IP", "True-Client-Ip", "Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "X-Original-Url", "X-Rewrite-Url",
		"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Sluice-User", "X_Sluice_User",
		"Remote-User", "Remote_User", "X-Auth-Request-Email", "X-Webauth-User", "X-Authentik-Username", "Proxy",
		"Proxy-Authorization", "Via", "Client-Ip",
		"X-Middleware-Subrequest", "X-Amzn-Oidc-Data", "Tailscale-User-Login",
	} {
		h[name] = []string{"SLUICE-MARKER"}
	}
	h["Cookie"] = []string{"token=SLUICE-MARKER; theme=dark"}
	keep := http.Header{
		"Accept":           {"*/*"},
		"Content-Type":     {"application/json"},
		"X-Requested-With": {"XMLHttpRequest"},
		"If-Match":         {"1"},
		"Last-Event-Id":    {"7"},
	}
	for name, values := range keep {
		h[name] = values
	}
	p.CleanRequest(h)
	if diff := cmp.Diff(keep, h); diff != "" {
		t.Error(diff)
	}
}

func TestCleanRequest_GenericApp(t *testing.T) {
	p := mustProfile(t, "generic", builder.Options{})
	h := http.Header{
		"Cookie":        {"app_session=1", "theme=dark"},
		"Authorization": {"Basic eDp5"},
		"X-Csrf-Token":  {"t"},
		"Remote-User":   {"root"},
	}
	p.CleanRequest(h)
	want := http.Header{
		"Cookie":        {"app_session=1", "theme=dark"},
		"Authorization": {"Basic eDp5"},
		"X-Csrf-Token":  {"t"},
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
}

func TestCleanResponse(t *testing.T) {
	p := mustProfile(t, "flowise", builder.Options{})
	h := http.Header{
		"Set-Cookie": {
			"token=x",
			"connect.sid=y",
			"other=z",
		}, "Access-Control-Allow-Origin": {"*"}, "Access-Control-Allow-Credentials": {"true"},
		"X-Frame-Options": {
			"SAMEORIGIN",
		}, "Content-Security-Policy": {"frame-ancestors 'self'"}, "Content-Type": {"text/html"}, "Etag": {`W/"1"`},
	}
	p.CleanResponse(h)
	if diff := cmp.Diff(http.Header{"Content-Type": {"text/html"}, "Etag": {`W/"1"`}}, h); diff != "" {
		t.Error(diff)
	}
	generic := http.Header{
		"Set-Cookie":              {"app=1"},
		"Content-Security-Policy": {"default-src 'self'"},
		"X-Frame-Options":         {"DENY"},
	}
	mustProfile(t, "generic", builder.Options{}).CleanResponse(generic)
	want := http.Header{"Set-Cookie": {"app=1"}, "Content-Security-Policy": {"default-src 'self'"}}
	if diff := cmp.Diff(want, generic); diff != "" {
		t.Error(diff)
	}
}

func TestCSP(t *testing.T) {
	for kind, wants := range map[string][]string{
		"flowise": {
			"script-src 'self';",
			"frame-src 'none'",
			"object-src 'none'",
			"connect-src 'self'",
			"frame-ancestors 'none'",
		},
		// Langflow's pages set their own base.
		"langflow": {
			"script-src 'self';",
			"frame-src 'none'",
			"object-src 'none'",
			"connect-src 'self'",
			"base-uri 'self'",
			"frame-ancestors 'none'",
		},
		"demo":    {"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'"},
		"generic": {"frame-ancestors 'none'"},
	} {
		csp := mustProfile(t, kind, builder.Options{}).CSP("'none'")
		for _, want := range wants {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy %q lacks %q", kind, csp, want)
			}
		}
		if strings.Contains(csp, "https:") || strings.Contains(csp, "script-src 'self' 'unsafe") ||
			strings.Contains(csp, "unsafe-eval") {
			t.Errorf("%s: the policy %q is too wide", kind, csp)
		}
	}
}

func BenchmarkCleanRequest(b *testing.B) {
	p := mustProfile(b, "flowise", builder.Options{})
	h := http.Header{
		"Accept":          {"*/*"},
		"Accept-Encoding": {"gzip"},
		"Accept-Language": {"en"},
		"User-Agent":      {"x"},
		"Referer":         {"x"},
		"Sec-Fetch-Site":  {"same-origin"},
		"Sec-Fetch-Mode":  {"cors"},
		"Sec-Fetch-Dest":  {"empty"},
		"Connection":      {"keep-alive"},
		"Cookie":          {"a=b"},
		"X-Request-From":  {"internal"},
	}
	b.ReportAllocs()
	for b.Loop() {
		h["Cookie"], h["X-Request-From"] = []string{"internal"}, []string{"internal"}
		p.CleanRequest(h)
	}
}
