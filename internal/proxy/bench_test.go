package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// BenchmarkDecide is what Sluice adds before a request is forwarded: from the request target to the
// decision, from memory.
func BenchmarkDecide(b *testing.B) {
	w := newWorld(b, startFixture(b), options{})
	r := httptest.NewRequest("GET", "https://"+appHost+"/api/v1/chatflows/"+privateFlow+"?type=CHATFLOW", nil)
	r.RequestURI = r.URL.RequestURI()
	r.TLS = nil
	r.Header.Set("Cookie", "theme=dark; "+w.cookie("viewer"))
	r.Header.Set("X-Request-From", "internal")
	a, _ := w.apps.ByID(w.app.ID)
	rec := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.proxy.Decide(a, rec, r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkForward compares a whole exchange over loopback with a bare ReverseProxy that has the
// same transport settings. It runs client, proxy and builder in one process; `make bench` measures
// them apart.
func BenchmarkForward(b *testing.B) {
	body := `{"data":"` + strings.Repeat("x", 1012) + `"}`
	up := startHandler(b, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	})
	w := newWorld(b, up, options{kind: "generic"})
	rp := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(up.url()) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true},
	}
	bare := httptest.NewServer(rp)
	b.Cleanup(bare.Close)
	cookie := w.cookie("viewer")
	b.Run("bare", func(b *testing.B) { load(b, bare.URL, appHost, cookie) })
	b.Run("sluice", func(b *testing.B) { load(b, w.front.URL, appHost, cookie) })
}

func load(b *testing.B, base, host, cookie string) {
	target, err := url.Parse(base + "/api/flows")
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := client.Do(
				&http.Request{Method: "GET", URL: target, Host: host, Header: http.Header{"Cookie": {cookie}}},
			)
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != 200 {
				b.Errorf("status %d, %v", res.StatusCode, err)
			}
			_ = res.Body.Close()
		}
	})
}

// BenchmarkDecideInAccounts is BenchmarkDecide for a builder with accounts: a flow in an adopted
// one, and a body of which nothing is dropped.
func BenchmarkDecideInAccounts(b *testing.B) {
	w := newLangflowWorld(b, false)
	if got := w.call("admin", "GET", "/api/v1/flows/"+w.oldFlow, ""); got.status != 200 {
		b.Fatalf("%d %s", got.status, got.body)
	}
	body := `{"inputs":{"input_value":"hello","session":"a chat"}}`
	r := httptest.NewRequest(
		"POST",
		"https://"+appHost+"/api/v1/build/"+w.oldFlow+"/flow?event_delivery=streaming",
		strings.NewReader(body),
	)
	r.RequestURI, r.TLS = r.URL.RequestURI(), nil
	r.Header.Set("Cookie", "theme=dark; "+w.cookie("user"))
	r.Header.Set("Content-Type", "application/json")
	a, _ := w.apps.ByID(w.app.ID)
	rec := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(body))
		if _, err := w.proxy.Decide(a, rec, r); err != nil {
			b.Fatal(err)
		}
	}
}
