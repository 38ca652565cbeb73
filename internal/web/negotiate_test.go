package web

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWantsPage(t *testing.T) {
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	tests := map[string]struct {
		method string
		header map[string]string
		want   bool
	}{
		"navigation": {
			"GET",
			map[string]string{"Sec-Fetch-Mode": "navigate", "Accept": browser},
			true,
		},
		"form": {
			"POST",
			map[string]string{"Sec-Fetch-Mode": "navigate", "Accept": browser},
			true,
		},
		"script that accepts HTML": {"GET", map[string]string{"Sec-Fetch-Mode": "cors", "Accept": browser}, false},
		"picture": {
			"GET",
			map[string]string{"Sec-Fetch-Mode": "no-cors", "Accept": "image/*"},
			false,
		},
		"WebSocket":          {"GET", map[string]string{"Sec-Fetch-Mode": "websocket"}, false},
		"old browser":        {"GET", map[string]string{"Accept": browser}, true},
		"old browser's form": {"POST", map[string]string{"Accept": browser}, true},
		"old browser's XMLHttpRequest": {
			"GET",
			map[string]string{"Accept": browser, "X-Requested-With": "XMLHttpRequest"},
			false,
		},
		"htmx":                     {"GET", map[string]string{"Accept": "text/html", "HX-Request": "true"}, false},
		"curl":                     {"GET", map[string]string{"Accept": "*/*"}, false},
		"program":                  {"GET", map[string]string{"Accept": "application/json"}, false},
		"nothing said":             {"GET", nil, false},
		"PUT":                      {"PUT", map[string]string{"Accept": browser}, false},
		"upper case":               {"GET", map[string]string{"Accept": "TEXT/HTML ; q=1"}, true},
		"a type that begins alike": {"GET", map[string]string{"Accept": "text/html-sandboxed"}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "/", http.NoBody)
			for key, value := range test.header {
				r.Header.Set(key, value)
			}
			if got := WantsPage(r); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
