//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// misfits lists what scrolls on a page where nothing should: the page to the side, and a list
// downwards in its own frame, as it does if its hidden head takes up room there.
const misfits = `(() => {
	const out = [], page = document.documentElement
	const status = performance.getEntriesByType('navigation')[0].responseStatus
	if (status !== 200) out.push('the answer is ' + status)
	if (page.scrollWidth > page.clientWidth) out.push('the page is ' + page.scrollWidth + ' wide')
	for (const box of document.querySelectorAll('.table-box'))
		if (box.scrollHeight > box.clientHeight) out.push('a list is ' + box.scrollHeight + ' high in ' + box.clientHeight)
	return out.join('; ')
})()`

// TestPages_PhoneWidth opens Sluice's pages at 360 pixels, where most lists have one entry.
func TestPages_PhoneWidth(t *testing.T) {
	suite(t, 5*time.Minute)
	s := StartSluice(t, "--protect", "demo")
	ann := Account{Username: "ann", Email: "ann@example.com", Password: "four unrelated words here"}
	out, err := s.Command(t, ann.Password+"\n",
		"user", "create", ann.Email, "--username", ann.Username, "--superuser", "--password-stdin")
	if err != nil {
		t.Fatalf("creating the account: %v\n%s", err, out)
	}
	p := NewPerson(t, "ann")
	p.do("holding a phone", chromedp.EmulateViewport(360, 760))
	p.Open(s.URL + "/login?return=/flows")
	p.signIn(ann)
	p.At(s.URL + "/flows")
	for _, path := range []string{
		"/flows",
		"/account",
		"/account/devices",
		"/account/security",
		"/account/keys",
		"/account/keys/new",
		"/workspaces/default",
		"/workspaces/default/vault",
		"/workspaces/default/vault/new",
		"/workspaces",
		"/workspaces/new",
		"/admin/apps",
		"/admin/apps/new",
		"/admin/mail",
		"/admin/people",
		"/admin/people/new",
		"/admin/roles",
		"/admin/roles/new",
		"/admin/secrets",
		"/admin/sign-in",
		"/admin/sign-in/new",
	} {
		p.Open(s.URL + path)
		found, err := eval[string](p, misfits)
		if err != nil {
			t.Fatal(err)
		}
		if found != "" {
			t.Errorf("%s: %s", path, found)
			p.Shot(path[1:])
		}
	}
}
