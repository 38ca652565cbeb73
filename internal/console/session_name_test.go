package console

import (
	"strings"
	"testing"

	"sluice/internal/authn"
)

func TestSessionName(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"nightly-report/2.1 (ops)": "API client nightly-report/2.1",
		"":                         "API client",
		strings.Repeat("x", 61):    "API client",
		"curl/8.5.0":               "API client curl/8.5.0",
	} {
		if got := sessionName(authn.Session{Program: true, UserAgent: agent}); got != want {
			t.Errorf("%q is called %q, want %q", agent, got, want)
		}
	}
	if got := sessionName(authn.Session{UserAgent: "curl/8.5.0"}); got != "curl" {
		t.Errorf("a session with a cookie is called %q", got)
	}
}
