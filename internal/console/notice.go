package console

import "net/http"

// noticeCookie carries the word on what has just been done over the redirect after it. It holds a name from notices, never text.
const noticeCookie = "sluice_notice"

// notices are the words, by name.
var notices = map[string]string{
	"password":     "Your password is set. Your other sessions have ended.",
	"session":      "The session has ended.",
	"sessions":     "All your other sessions have ended.",
	"role":         "The role is saved. It counts from the next request.",
	"superuser":    "Made a superuser.",
	"no-superuser": "No longer a superuser.",
	"enabled":      "Enabled. They can sign in again.",
	"disabled":     "Disabled. All their sessions have ended.",
	"person":       "The person is added and can sign in.",
	"app":          "The app is connected.",
	"bridge":       "Sluice is signed in to the builder.",
	"published":    "The flow is open to everybody.",
	"unpublished":  "The flow is closed to strangers.",
	"removed":      "The app is removed.",
	"verified":     "Verified.",
	"checked":      "Checked just now.",
	"welcome":      "You are the first admin of this Sluice.",
}

// setNotice keeps a notice for the next page.
func (x *visit) setNotice(name string) {
	if notices[name] != "" {
		x.setCookie(noticeCookie, name, "/", 30)
	}
}

// takeNotice returns the notice that the last answer left and forgets it.
func (x *visit) takeNotice() string {
	c, err := x.r.Cookie(noticeCookie)
	if err != nil {
		return ""
	}
	x.setCookie(noticeCookie, "", "/", -1)
	return notices[c.Value]
}

// setCookie sets a small cookie of the console's own for one path; age is in seconds, -1 takes the cookie away.
func (x *visit) setCookie(name, value, path string, age int) {
	http.SetCookie(x.w, &http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: age, HttpOnly: true, Secure: x.secure(), SameSite: http.SameSiteLaxMode,
	})
}
