//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestLangflowByItself makes sure that the tests' own flow runs in each release without Sluice, so
// that a failure elsewhere is not blamed on it.
func TestLangflowByItself(t *testing.T) {
	for _, release := range releases() {
		t.Run(release, func(t *testing.T) {
			longSuite(t, 10*time.Minute)
			t.Parallel()
			l := StartLangflow(t, release)
			admin := l.SignIn(t, langflowAdmin)
			id := CreateFlow(t, admin, EchoLangflow(t, admin, "echo"))
			var key struct {
				APIKey string `json:"api_key"`
			}
			call(t, admin, "POST", "/api/v1/api_key/", map[string]string{"name": "k"}, &key)
			if a := RunFlow(NewClient(t, l.URL), key.APIKey, id, "hello, flow"); a.Status != 200 ||
				!strings.Contains(a.Body, "hello, flow") {
				t.Fatalf("running the flow: %d %.600s", a.Status, a.Body)
			}
		})
	}
}
