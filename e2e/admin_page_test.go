//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// adminPageEnv is the .env file of Langflow's page on authentication, unchanged.
const adminPageEnv = `LANGFLOW_AUTO_LOGIN=False
LANGFLOW_SUPERUSER=administrator
LANGFLOW_SUPERUSER_PASSWORD=securepassword
LANGFLOW_SECRET_KEY=your_generated_key
LANGFLOW_NEW_USER_IS_ACTIVE=False
`

// TestAdminPage_Steps walks the numbered steps of "Manage users as an administrator" on Langflow's
// page.
func TestAdminPage_Steps(t *testing.T) {
	longSuite(t, 10*time.Minute)
	env := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(env, []byte(adminPageEnv), 0o600); err != nil {
		t.Fatal(err)
	}
	s := StartSluice(t, "--env-file", env, "--protect", "demo")
	administrator := Account{Username: "administrator", Password: "securepassword"}
	grace := Account{Username: "grace", Password: "four unrelated words here"}
	p := NewPerson(t, "administrator")

	// 1. and 2. Complete the first-time sign-in as a superuser at /login.
	p.Open(s.URL + "/login")
	p.signIn(administrator)
	p.At(s.URL + "/")

	// 3. Click the user profile image, and then Admin Page.
	p.Click("summary, [aria-haspopup]", "administrator")
	p.Click("a", "Admin Page")
	p.At(s.URL + "/admin")
	p.See("Admin Page")
	p.Shot("admin-page")

	// 4. Click New User and complete the fields; select Active and deselect Superuser.
	p.Click("a, button", "New User")
	p.Fill("input[name=username]", grace.Username)
	p.Fill("input[name=password]", grace.Password)
	p.Fill("input[name=password_confirm]", grace.Password)
	check(p, "active", true)
	check(p, "superuser", false)
	p.Shot("new-user")

	// 5. Click Save. The new user appears in the Admin Page.
	p.Click("button", "Save")
	p.See(grace.Username)
	p.Shot("saved")
	p.Open(s.URL + "/admin")
	p.See(grace.Username)
	p.Shot("new-user-listed")

	// 6. Log out, log in as the new user, and attempt to access /admin: it leads to /flows.
	p.Click("summary, [aria-haspopup]", "administrator")
	p.Click("button", "Sign out")
	p.See("You are signed out")
	p.Open(s.URL + "/login")
	p.signIn(grace)
	p.At(s.URL + "/flows")
	p.Open(s.URL + "/admin")
	p.At(s.URL + "/flows")
	p.Shot("flows")
}

// check sets a checkbox by clicking it where it is not as wanted.
func check(p *Person, name string, want bool) {
	p.t.Helper()
	css := `input[type=checkbox][name="` + name + `"]`
	p.SeeElement(css)
	now, err := eval[bool](p, `document.querySelector('`+css+`').checked`)
	if err != nil {
		p.t.Fatal(err)
	}
	if now != want {
		p.Click(css, "")
	}
}
