//go:build e2e

package e2e

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	oidcSlug         = "corp"
	oidcClientSecret = "a secret of 32 characters or more"
)

// OpenIDProvider is a real OpenID provider (npm oidc-provider) on loopback. It signs in every typed
// name.
type OpenIDProvider struct {
	URL string // its issuer
	p   *process
	c   *Client
}

var installOIDC = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("./install-oidc.sh")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
})

// StartOpenIDProvider starts a provider that knows Sluice. conform means that claims are only in
// userinfo, as the specification says.
func StartOpenIDProvider(t testing.TB, s *Sluice, conform bool) *OpenIDProvider {
	t.Helper()
	dir, err := installOIDC()
	if err != nil {
		t.Fatalf("e2e/install-oidc.sh: %v", err)
	}
	port := freePort(t)
	cmd := exec.Command("node", "oidc/provider.mjs")
	cmd.Env = []string{
		"PATH=" + os.Getenv(
			"PATH",
		), "HOME=" + t.TempDir(), "OIDC_MODULES=" + dir, fmt.Sprintf("OIDC_PORT=%d", port), "OIDC_SLUICE=" +
			s.URL, "OIDC_SLUG=" + oidcSlug, fmt.Sprintf("OIDC_CONFORM=%v", conform),
	}
	o := &OpenIDProvider{URL: fmt.Sprintf("http://127.0.0.1:%d", port)}
	o.c = NewClient(t, o.URL)
	o.p = startProcess(t, fmt.Sprintf("oidc-%d", port), cmd)
	o.p.until(t, "answer to discovery", func() bool {
		res, err := (&http.Client{Timeout: 2 * time.Second}).Get(o.URL + "/.well-known/openid-configuration")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return o
}

// Knows sets the claims of a person.
func (o *OpenIDProvider) Knows(t testing.TB, login string, claims map[string]any) {
	t.Helper()
	if a := o.c.Call("POST", "/control/people", map[string]any{login: claims}); a.Status != http.StatusOK {
		t.Fatalf("telling the provider of %s: %d %s", login, a.Status, a.Body)
	}
}

// Rotate makes the provider sign with a new key.
func (o *OpenIDProvider) Rotate(t testing.TB) {
	t.Helper()
	if a := o.c.Call("POST", "/control/rotate", nil); a.Status != http.StatusOK {
		t.Fatalf("rotating the provider's keys: %d %s", a.Status, a.Body)
	}
}

// Told returns the results of the provider's calls to Sluice's back channel.
func (o *OpenIDProvider) Told(t testing.TB) (calls []struct {
	Sub, SID, Error string
	OK              bool
}) {
	t.Helper()
	o.c.Get("/control/told").JSON(t, &calls)
	return calls
}

// Traveller is a browser without a window: it follows redirects between origins, keeps cookies, and
// submits forms.
type Traveller struct {
	*Client
	At string // the address of the last page
}

// NewTraveller returns a browser without cookies.
func NewTraveller(t testing.TB, base string) *Traveller {
	c := NewClient(t, base)
	c.Header.Set("Accept", "text/html")
	return &Traveller{Client: c, At: base + "/"}
}

// Go opens an address, follows redirects, and returns the final page.
func (v *Traveller) Go(address string) Answer {
	v.t.Helper()
	v.turn(address)
	return v.follow(v.Get(strings.TrimPrefix(v.At, v.Base)))
}

// Send submits a form of the current page.
func (v *Traveller) Send(f Form) Answer {
	v.t.Helper()
	v.turn(f.Action)
	return v.follow(v.PostForm(strings.TrimPrefix(v.At, v.Base), f.Fields))
}

func (v *Traveller) turn(address string) {
	v.t.Helper()
	at, err := url.Parse(v.At)
	if err != nil {
		v.t.Fatal(err)
	}
	u, err := at.Parse(address)
	if err != nil {
		v.t.Fatal(err)
	}
	u.Fragment = ""
	v.At, v.Base = u.String(), u.Scheme+"://"+u.Host
}

func (v *Traveller) follow(a Answer) Answer {
	v.t.Helper()
	for range 20 {
		if a.Status < 300 || a.Status > 399 {
			return a
		}
		v.turn(a.Header.Get("Location"))
		a = v.Get(strings.TrimPrefix(v.At, v.Base))
	}
	v.t.Fatalf("redirects without end, at last to %s", v.At)
	return a
}

// Form is a form of a page, with its initial values.
type Form struct {
	Action string
	Fields url.Values
}

var (
	formTag   = regexp.MustCompile(`(?s)<form\b([^>]*)>(.*?)</form>`)
	inputTag  = regexp.MustCompile(`(?s)<input\b([^>]*)>`)
	attribute = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
)

func attributes(tag string) map[string]string {
	out := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
		out[m[1]] = html.UnescapeString(m[2])
	}
	return out
}

// FormTo returns the form of a page whose action contains a text.
func (a Answer) FormTo(t testing.TB, action string) Form {
	t.Helper()
	for _, m := range formTag.FindAllStringSubmatch(a.Body, -1) {
		to := attributes(m[1])["action"]
		if !strings.Contains(to, action) {
			continue
		}
		f := Form{Action: to, Fields: url.Values{}}
		for _, in := range inputTag.FindAllStringSubmatch(m[2], -1) {
			if at := attributes(in[1]); at["name"] != "" {
				f.Fields.Set(at["name"], at["value"])
			}
		}
		return f
	}
	t.Fatalf("no form to %s on the page (%d): %.2000s", action, a.Status, a.Body)
	return Form{}
}

// SignInThere fills in the forms of the provider's pages, if it shows any, and returns the final
// page.
func (v *Traveller) SignInThere(a Answer, login string) Answer {
	v.t.Helper()
	for range 6 {
		// This page only submits its form by a script.
		if strings.Contains(a.Body, "document.forms[0].submit()") {
			a = v.Send(a.FormTo(v.t, ""))
			continue
		}
		if !strings.Contains(v.At, "/interaction/") {
			return a
		}
		f := a.FormTo(v.t, "/interaction/")
		if f.Fields.Get("prompt") == "login" {
			f.Fields.Set("login", login)
			f.Fields.Set("password", "anything")
		}
		a = v.Send(f)
	}
	v.t.Fatalf("the provider asks without end, at last at %s", v.At)
	return a
}
