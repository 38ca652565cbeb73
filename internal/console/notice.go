package console

import (
	"net/http"

	"sluice/internal/web"
)

// noticeCookie carries the word on what has just been done over the redirect after it. It holds a name from notices, never text.
const noticeCookie = "sluice_notice"

// notices are the words, by name.
var notices = map[string]string{
	"password":        "Your password is set. Your other sessions have ended.",
	"passkey":         "The passkey is set up.",
	"passkey-renamed": "The passkey has its new name.",
	"passkey-removed": "The passkey is removed. Remove it in your device's settings as well.",
	"app-added":       "The authenticator app is set up.",
	"app-removed":     "The authenticator app is removed.",
	"unlinked":        "The identity is unlinked.",
	"linked":          "The identity is linked. You can sign in with it from now on.",
	"factors-removed": "All second factors of this person are removed. They were told by mail, if they have an address.",
	"needs-factor":    "That workspace is open only to sessions with a second factor.",
	"second-factor":   "Saved. It counts from the next request.",
	"provider":        "The provider is saved.",
	"provider-gone":   "The provider is removed.",
	"password-policy": "Saved. It counts from the next sign-in.",
	"key-changed":     "Saved. It counts from the next request.",
	"key-revoked":     "The key is revoked. Whatever used it has stopped.",
	"vault-saved":     "The credential is saved. Put it into an app, so that flows can use it.",
	"vault-changed":   "Saved. It counts from the next request.",
	"vault-rotated":   "The new values are in force, in every app that the credential is in.",
	"vault-later":     "Saved. An app could not be reached; it gets the values as soon as it is well again.",
	"vault-put":       "The app has the credential. Flows can choose it there by its name.",
	"vault-fresh":     "Every app has the present values.",
	"vault-withdrawn": "The app does not have the credential any more.",
	"vault-deleted":   "The credential is deleted.",
	"secret-rotated":  "There is a new key. What was made with the former one stays valid until it ends.",
	"session":         "The session has ended.",
	"sessions":        "All your other sessions have ended.",
	"name":            "Your name is saved.",
	"email-asked":     "Two links are on their way, one to each address. The address changes when both have been opened.",
	"verify-sent":     "A link is on its way to your address.",
	"email":           "Your e-mail address is changed.",
	"role":            "The role is saved. It counts from the next request.",
	"names":           "Saved.",
	"superuser":       "Made a superuser.",
	"no-superuser":    "No longer a superuser.",
	"enabled":         "Active. They can sign in.",
	"person":          "The new user is added.",
	"link-mailed":     "A one-time link is on its way to them by mail. Earlier links do not work any more.",
	"deleted":         "The account is deleted.",
	"their-end":       "All sessions of this person have ended.",
	"account":         "Your account is ready. Sign in.",
	"workspace":       "The workspace is there. Invite the people who work in it.",
	"renamed":         "The workspace has its new name.",
	"no-workspace":    "The workspace is deleted.",
	"member":          "The role is saved. It counts from the next request.",
	"no-member":       "The person does not belong to this workspace any more.",
	"revoked":         "The invitation is taken back. Its link does not work any more.",
	"joined":          "Welcome. You belong to this workspace now.",
	"custom-role":     "The role is saved. It counts from the next request of everybody who has it.",
	"no-role":         "The role is deleted.",
	"mail-retry":      "The mail is due now.",
	"mail-discard":    "The mail is discarded; its link never leaves this machine.",
	"not-admin":       "That page is for superusers. You were brought here instead.",
	"app":             "The app is connected.",
	"forward-auth":    "The app is there. Nobody gets in until your reverse proxy asks.",
	"bridge":          "Sluice is signed in to the builder.",
	"langflow-added":  "The app is added. Nobody gets in until you choose how.",
	"langflow":        "Langflow is connected. People get into it with their sign-in to Sluice.",
	"user-adopted":    "Given to the workspace. Its people see the flows from now on.",
	"user-released":   "The user belongs to no workspace any more. Its flows are still in Langflow.",
	"published":       "The flow is open to everybody.",
	"unpublished":     "The flow is closed to strangers.",
	"offered":         "The workspace uses the app now.",
	"withdrawn":       "The workspace does not use the app any more. What lies there stays.",
	"adopted":         "Given to the workspace. Its people see it from now on.",
	"removed":         "The app is removed.",
	"verified":        "Verified.",
	"checked":         "Checked just now.",
	"attempt-over":    "That sign-in is over: it was finished, or it took too long. Begin again.",
	"welcome":         "You are the first admin of this Sluice.",
}

// setNotice keeps a notice for the next page.
func (x *visit) setNotice(name string) {
	if notices[name] != "" {
		x.setCookie(noticeCookie, name, "/", 30)
	}
}

// takeNotice returns the notice that the last answer left and forgets it.
func (x *visit) takeNotice() (text string, tone web.Tone) {
	c, err := x.r.Cookie(noticeCookie)
	if err != nil {
		return "", web.Good
	}
	x.setCookie(noticeCookie, "", "/", -1)
	if c.Value == "not-admin" || c.Value == "attempt-over" || c.Value == "needs-factor" {
		tone = web.Info
	}
	return notices[c.Value], tone
}

// setCookie sets a small cookie of the console's own for one path; age is in seconds, -1 takes the cookie away.
func (x *visit) setCookie(name, value, path string, age int) {
	http.SetCookie(x.w, &http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: age, HttpOnly: true, Secure: x.secure(), SameSite: http.SameSiteLaxMode,
	})
}
