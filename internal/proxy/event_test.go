package proxy_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEvent_OneLineWithoutSecrets(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	token, session := w.session("viewer")
	requests := []struct{ method, path, want string }{
		{"GET", "/api/v1/chatflows?key=hunter2", "endpoint=chatflows.list"},
		{"GET", "/api/v1/chatflows/" + privateFlow, "flow=" + privateFlow},
		{"GET", "/api/v1/apikey", "status=403"},
		{"GET", "/api/v1/verify/apikey/hunter2", "endpoint=verify.apikey"},
		{"GET", "/api/v1//x?hunter2", "status=400"},
	}
	for _, r := range requests {
		w.do(
			r.method,
			r.path,
			with("Cookie: __Host-sluice_session="+token, "Authorization: Basic hunter2", "X-Forwarded-For: 6.6.6.6"),
			"",
		)
	}
	eventually(t, "the lines", func() bool { return strings.Count(w.log.String(), "\n") == len(requests) })
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	for i, r := range requests {
		for _, want := range []string{r.want, "method=" + r.method, "app=flowise", "ip=127.0.0.1", "front=app",
			" ms="} {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s %s: %q has no %q", r.method, r.path, lines[i], want)
			}
		}
	}
	if all := w.log.String(); strings.Contains(all, "hunter2") || strings.Contains(all, token) ||
		!strings.Contains(all, "session="+session) ||
		!strings.Contains(all, "name=viewer") {
		t.Errorf("the log holds a secret, or does not say who:\n%s", all)
	}
}

func TestMetricNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startFixture(t), options{})
	w.do("GET", "/api/v1/chatflows", with("Cookie: "+w.cookie("viewer")), "")
	eventually(t, "the count", func() bool { return gauge(t, w, "sluice_proxy_requests_total") == 1 })
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	slices.Sort(names)
	want := []string{
		"sluice_proxy_request_seconds",
		"sluice_proxy_requests_total",
		"sluice_proxy_session_renewals_total",
		"sluice_proxy_streams",
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
}

func TestEvent_ClientLeaves(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 1)
	up := startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Forwarded-For") != "" {
			arrived <- struct{}{}
			<-r.Context().Done()
		}
	})
	w := newWorld(t, up, options{kind: "generic"})
	c := w.dial()
	_, _ = io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: sluice.test\r\nCookie: "+w.cookie("viewer")+"\r\n\r\n")
	<-arrived
	_ = c.Close()
	eventually(t, "the log line", func() bool { return strings.Contains(w.log.String(), "status=499") })
}
