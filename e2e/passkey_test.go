//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// addAuthenticator gives a person's browser a platform authenticator, which verifies its user
// without a question.
func (p *Person) addAuthenticator() webauthn.AuthenticatorID {
	p.t.Helper()
	var id webauthn.AuthenticatorID
	p.do("adding an authenticator", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		got, err := chromedp.Call(
			ctx,
			webauthn.AddVirtualAuthenticator,
			webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
				Protocol:                    webauthn.AuthenticatorProtocolCtap2,
				Transport:                   webauthn.AuthenticatorTransportInternal,
				HasResidentKey:              true,
				HasUserVerification:         true,
				IsUserVerified:              true,
				AutomaticPresenceSimulation: true,
			}},
		)
		id = got.AuthenticatorID
		return err
	}))
	return id
}

// verifies sets whether the person's finger is the right one from now on.
func (p *Person) verifies(id webauthn.AuthenticatorID, right bool) {
	p.t.Helper()
	p.do("changing the finger", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(
			ctx,
			webauthn.SetUserVerified,
			webauthn.SetUserVerifiedParams{AuthenticatorID: id, IsUserVerified: right},
		)
		return err
	}))
}

// value is the content of a field.
func (p *Person) value(css string) string {
	p.t.Helper()
	p.SeeElement(css)
	v, err := eval[string](p, `document.querySelector('`+css+`').value`)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// withKeys presses Tab until the element at hand says text, then Enter.
func (p *Person) withKeys(text string) {
	p.t.Helper()
	for range 40 {
		p.Press(kb.Tab)
		here, err := eval[string](
			p,
			`document.activeElement ? document.activeElement.innerText || document.activeElement.value || '' : ''`,
		)
		if err != nil {
			p.t.Fatal(err)
		}
		if strings.Contains(here, text) {
			p.Press(kb.Enter)
			return
		}
	}
	p.t.Fatalf("%s cannot reach %q with the keyboard", p.Name, text)
}

func (p *Person) signOut(s *Sluice, name string) {
	p.t.Helper()
	p.Click("summary", name)
	p.Click("button", "Sign out")
	p.See("You are signed out")
}

// forget makes the browser forget that it has used a passkey here; else it offers the passkey at
// the name's field, and a virtual authenticator takes that at once.
func (p *Person) forget() {
	p.t.Helper()
	if _, err := eval[bool](p, "localStorage.clear() === undefined"); err != nil {
		p.t.Fatal(err)
	}
}

// TestPasskeys is a person with a passkey on a laptop, then one on a phone, then without the
// laptop; in a real browser, by its virtual authenticator.
func TestPasskeys(t *testing.T) {
	suite(t, 5*time.Minute)
	s := StartSluice(t)
	s.URL = fmt.Sprintf("http://localhost:%d", s.port) // browsers know no passkeys on IP addresses
	ann := Account{Username: "ann", Email: "ann@example.com", Password: "four unrelated words here"}
	if out, err := s.Command(t, ann.Password+"\n", "user", "create", ann.Email, "--username", ann.Username,
		"--superuser", "--password-stdin"); err != nil {
		t.Fatalf("creating the account: %v\n%s", err, out)
	}

	laptop := NewPerson(t, "laptop")
	finger := laptop.addAuthenticator()
	laptop.Open(s.URL + "/login?return=/account/security")
	laptop.signIn(ann)
	laptop.At(s.URL + "/account/security")
	laptop.See("Your account has no second factor")
	laptop.Fill("input[name=name]", "Laptop")
	laptop.Click("button", "Add a passkey")
	laptop.See("Save your recovery codes")
	laptop.Shot("recovery-codes")
	codes := strings.Fields(laptop.value("textarea"))
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	laptop.Click("a", "I have saved them")
	laptop.At(s.URL + "/account/security")
	laptop.See("Your account has a second factor")
	laptop.See("Laptop")
	laptop.Click("button", "Add a passkey")
	laptop.See("This device has a passkey for your account already")
	laptop.Shot("twice")
	laptop.signOut(s, "ann")

	t.Run("without a name, by keyboard alone", func(t *testing.T) {
		laptop.t = t
		laptop.forget()
		laptop.Open(s.URL + "/login?return=/account")
		laptop.withKeys("Sign in with a passkey")
		laptop.At(s.URL + "/account")
		laptop.signOut(s, "ann")
	})
	t.Run("offered at the name's field", func(t *testing.T) {
		laptop.t = t
		laptop.Open(s.URL + "/login?return=/account")
		laptop.At(s.URL + "/account")
		laptop.signOut(s, "ann")
	})
	t.Run("the wrong finger", func(t *testing.T) {
		laptop.t = t
		laptop.forget()
		laptop.verifies(finger, false)
		laptop.Open(s.URL + "/login")
		laptop.Click("button", "Sign in with a passkey")
		laptop.See("No passkey was used")
		laptop.Shot("wrong-finger")
		laptop.verifies(finger, true)
	})
	laptop.t = t

	phone := NewPerson(t, "phone")
	t.Run("a second device", func(t *testing.T) {
		phone.t = t
		phone.Open(s.URL + "/login?return=/account/security")
		phone.signIn(ann)
		phone.At(s.URL + "/login/factor")
		phone.See("Signing in as ann")
		phone.addAuthenticator()
		phone.Click("button", "Use a passkey")
		phone.See("No passkey was used")
		phone.Shot("no-passkey-here")
		phone.Fill("input[name=code]", strings.ToUpper(codes[0]))
		phone.Click("button", "Continue")
		phone.At(s.URL + "/account/security")
		phone.See("9 of 10 left")
		phone.Fill("input[name=name]", "Phone")
		phone.Click("button", "Add a passkey")
		phone.See("The passkey is set up")
		phone.signOut(s, "ann")
		phone.forget()
		phone.Open(s.URL + "/login")
		phone.signIn(ann)
		phone.At(s.URL + "/login/factor")
		phone.Click("button", "Use a passkey")
		phone.See("Hello, ann")
	})
	phone.t = t

	t.Run("the laptop is lost", func(t *testing.T) {
		phone.t = t
		phone.Open(s.URL + "/account/security")
		phone.Click("button[aria-label='Remove the passkey Laptop']", "")
		phone.See("The passkey is removed")
		laptop.t = t
		laptop.Open(s.URL + "/login?return=/account")
		laptop.Click("button", "Sign in with a passkey")
		laptop.See("This passkey was not accepted")
		laptop.Shot("lost")
	})
	phone.t, laptop.t = t, t

	t.Run("a borrowed browser and a recovery code", func(t *testing.T) {
		friend := NewPerson(t, "friend")
		friend.Open(s.URL + "/login?return=/account")
		friend.signIn(ann)
		friend.At(s.URL + "/login/factor")
		friend.Fill("input[name=code]", codes[0])
		friend.Click("button", "Continue")
		friend.SeeElement("input[name=code][aria-invalid=true]")
		friend.Fill("input[name=code]", codes[1])
		friend.Click("button", "Continue")
		friend.At(s.URL + "/account")
	})
	t.Run("an IP address has no passkeys", func(t *testing.T) {
		guest := NewPerson(t, "guest")
		guest.Open(fmt.Sprintf("http://127.0.0.1:%d/login", s.port))
		guest.See("Forgot your password?")
		if strings.Contains(guest.Text(), "passkey") {
			t.Errorf("passkeys are offered: %s", guest.Text())
		}
	})
}
