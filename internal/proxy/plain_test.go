package proxy_test

import "testing"

// The lists that Sluice filters must come in a form that it can read, whatever the browser offered.
func TestPlain_AcceptEncoding(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	f.reply(func(request) string { return jsonReply(200, `[]`) })
	w.do(
		"GET",
		"/api/v1/chatflows",
		with("Cookie: "+w.cookie("viewer"), "Accept-Encoding: gzip, br", `If-None-Match: "1"`, "Range: bytes=0-1"),
		"",
	)
	log := f.take()
	if len(log) != 1 {
		t.Fatalf("%d requests reached the builder", len(log))
	}
	for _, name := range []string{"If-None-Match", "Range"} {
		if v := log[0].req.Header.Get(name); v != "" {
			t.Errorf("%s: %s went through", name, v)
		}
	}
	if v := log[0].req.Header.Get("Accept-Encoding"); v != "" && v != "identity" {
		t.Errorf("Accept-Encoding: %s", v)
	}
}
