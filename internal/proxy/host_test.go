package proxy

import "testing"

func TestHostname(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"a.test":         "a.test",
		"A.Test:80":      "a.test",
		"127.0.0.1:3000": "127.0.0.1",
		"[::1]:3000":     "::1",
		"[::1]":          "::1",
		"::1":            "::1",
		"":               "",
		":80":            "",
		"[FE80::1]:9":    "fe80::1",
	} {
		if got := hostname(host); got != want {
			t.Errorf("hostname(%q) = %q, want %q", host, got, want)
		}
	}
	for origin, want := range map[string]string{"http://a.test": "a.test", "https://A.test:8443": "a.test",
		"https://[::1]:1": "::1", "": ""} {
		if got := originHostname(origin); got != want {
			t.Errorf("originHostname(%q) = %q, want %q", origin, got, want)
		}
	}
}
