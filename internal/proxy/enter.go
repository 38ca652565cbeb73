package proxy

import (
	"net/http"
	"net/url"

	"sluice/internal/authn"
)

// enterStateName is the cookie that ties a round trip to Sluice's own origin to one browser (RFC 6749 section 10.12).
const enterStateName = ownCookiePrefix + "enter"

// enterStateAge is how long a round trip may take, in seconds: somebody has to find their password.
const enterStateAge = 600

// enter lets a browser in. With a code, which Sluice's own origin has made for this browser, it gets the cookie of this origin. Without
// one it goes on if it has a session here, and otherwise on the round trip.
func (x *exchange) enter(code, back string) error {
	if code == "" {
		if err := x.authenticate(); err != nil {
			return err
		}
		if !x.who.SignedIn() {
			x.sendToSignIn(back)
			return nil
		}
		x.seeOther(x.app.Kind.EntryPath(back))
		return nil
	}
	token, err := x.p.cfg.Sessions.RedeemEnterCode(x.r.Context(), code, x.app.ID, x.enterState())
	if err != nil {
		return err
	}
	x.setEnterState("", -1)
	x.p.cfg.Sessions.SetCookie(&x.w, token, x.secureCookies())
	x.seeOther(x.app.Kind.EntryPath(back))
	return nil
}

// sendToSignIn sends a browser to Sluice's sign-in page for this app. On the host name of Sluice's own pages it will come back with a
// session cookie, because ports do not separate cookies; elsewhere with a code, which needs the state that is set here.
func (x *exchange) sendToSignIn(back string) {
	to := x.p.cfg.MainOrigin(x.r.Host) + "/login?app=" + url.QueryEscape(x.app.ID) + "&return=" + url.QueryEscape(back)
	if x.audience() == authn.AudienceMain {
		x.seeOther(to)
		return
	}
	state := x.enterState()
	if state == "" {
		var err error
		if state, err = x.p.cfg.Sessions.NewEnterState(); err != nil {
			x.refuse(err)
			return
		}
	}
	x.setEnterState(state, enterStateAge)
	x.seeOther(to + "&state=" + url.QueryEscape(state))
}

// enterState is the state that this browser was given, so that two tabs can be on their way at once; "" for none or nonsense.
func (x *exchange) enterState() string {
	found := x.r.CookiesNamed(x.enterStateCookie())
	if len(found) != 1 || len(found[0].Value) > 100 {
		return ""
	}
	return found[0].Value
}

func (x *exchange) enterStateCookie() string {
	if x.secureCookies() {
		return "__Host-" + enterStateName
	}
	return enterStateName
}

func (x *exchange) setEnterState(value string, age int) {
	http.SetCookie(&x.w, &http.Cookie{
		Name: x.enterStateCookie(), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: x.secureCookies(), SameSite: http.SameSiteLaxMode,
	})
}
