//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

var testOwner = Owner{Name: "Olga Owner", Email: "olga@example.com", Password: "Correct-horse-7"}

// TestBareFlowise shows on a Flowise without Sluice in front what Sluice is for, so that the tests
// which find these doors closed through Sluice cannot pass because the door is not where they look.
func TestBareFlowise(t *testing.T) {
	longSuite(t, 10*time.Minute)
	f := StartFlowise(t)
	if f.HasOwner(t) {
		t.Fatal("a fresh Flowise has an owner")
	}
	f.Register(t, testOwner)
	if !f.HasOwner(t) {
		t.Error("Flowise has no owner after registering one")
	}
	owner := f.SignIn(t, testOwner)
	var flow struct{ ID string }
	owner.Call("POST", "/api/v1/chatflows", EchoFlow(t, "private")).JSON(t, &flow)

	t.Run("a stranger runs and reads private flows", func(t *testing.T) {
		stranger := NewClient(t, f.URL)
		if a := stranger.Call("POST", "/api/v1/prediction/"+flow.ID,
			map[string]any{"question": "hi"}); a.Status != 200 ||
			!strings.Contains(a.Body, `"text":"echo: hi"`) {
			t.Errorf("prediction: %d %.200s", a.Status, a.Body)
		}
		if a := stranger.Get("/api/v1/public-chatbotConfig/" + flow.ID); a.Status != 200 ||
			!strings.Contains(a.Body, "flowData") {
			t.Errorf("public-chatbotConfig: %d %.200s", a.Status, a.Body)
		}
	})
	t.Run("sign-in tells accounts apart", func(t *testing.T) {
		for email, want := range map[string]int{testOwner.Email: http.StatusUnauthorized,
			"nobody@example.com": http.StatusNotFound} {
			if a := NewClient(t, f.URL).Call("POST", "/api/v1/auth/login",
				map[string]string{"email": email, "password": "wrong"}); a.Status != want {
				t.Errorf("%s: %d, want %d", email, a.Status, want)
			}
		}
	})
	t.Run("one route has many spellings", func(t *testing.T) {
		for _, target := range pathTraps {
			if a := owner.Raw("GET", target); a.Status != 200 || strings.TrimSpace(a.Body) != "[]" {
				t.Errorf("GET %q: %d %.60q, want the list of API keys", target, a.Status, a.Body)
			}
		}
	})
	t.Run("the canvas builds, saves and runs", func(t *testing.T) {
		p := NewPerson(t, "owner")
		p.SignInToFlowise(f.URL, testOwner)
		id := p.BuildEcho(f.URL, "drawn")
		p.Chat(id, "hello", "echo: hello")
		p.Shot("answered")
	})
}

// pathTraps are spellings of /api/v1/apikey that Flowise reads as exactly that, seen on the real
// server: letter case, escapes, tags, comments and entities that its sanitiser removes before
// routing, slashes and white space that its router ignores.
var pathTraps = []string{
	"/api/v1/ApiKey",
	"/api/v1/apikey/",
	"/api/v1/apikey//",
	"/api/v1//apikey",
	"/api/v1/%61pikey",
	"/%61pi/v1/apikey",
	"/api/%761/apikey",
	"/api/v1/%41pikey",
	"/api/v1/api%3Cx%3Ekey",
	"/api/v1/ap<x>ikey",
	"/api/v1/ap%3Cscript%3Efoo%3C/script%3Eikey",
	"/api/v1/<style>x</style>apikey",
	"/api/v1/apikey<b",
	"/api/v1/apikey%3Cb",
	"/api/v1/ap<!--x-->ikey",
	"/api/v1/a%3C%21--x--%3Epikey",
	"/api/v1/ap&#105;key",
	"/api/v1/ap&#x69;key",
	"/api/v1/apikey&#x20;",
	"/api/v1/apikey%20",
	"/api/v1/apikey%09",
	"/api/v1/apikey%0a",
	"/api/v1/apikey%C2%A0",
	"/api/v1/apikey#x",
}
