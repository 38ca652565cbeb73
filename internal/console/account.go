package console

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"sluice/internal/problem"
)

func showAccount(x *visit) error {
	return x.renderAccount(http.StatusOK, accountView{})
}

func (x *visit) renderAccount(status int, v accountView) error {
	u, err := x.c.cfg.People.Get(x.r.Context(), x.who, x.who.ID)
	if err != nil {
		return err
	}
	sessions, err := x.c.cfg.Sessions.List(x.r.Context(), x.who, x.who.ID)
	if err != nil {
		return err
	}
	v.User, v.Now = personOf(u), x.c.cfg.Now()
	for _, s := range sessions {
		v.Sessions = append(v.Sessions, sessionView{
			ID: s.ID, Device: deviceName(s.UserAgent), IP: s.IP, SeenAt: s.SeenAt, CreatedAt: s.CreatedAt, Current: s.Current,
		})
	}
	return x.render(status, accountPage(x.frame("Your account", "/account"), v))
}

func changePassword(x *visit) error {
	err := x.c.cfg.Logins.ChangePassword(x.r.Context(), x.who, x.field("old_password"), x.field("password"))
	if err == nil {
		return x.done("/account", "password")
	}
	m, ok := formMistake(err, "old_password", "password")
	if !ok {
		return err
	}
	e := problem.Of(err)
	e.SetHeaders(x.w.Header())
	return x.renderAccount(m.status, accountView{Problem: strings.TrimSpace(m.Text + " " + m.Next), Wait: e.RetryAfter, Wrong: m.Wrong})
}

func endSession(x *visit) error {
	if err := x.c.cfg.Sessions.Revoke(x.r.Context(), x.who, chi.URLParam(x.r, "id")); err != nil && !problem.Is(err, problem.NotFound) {
		return err
	}
	return x.done("/account", "session")
}

func endOtherSessions(x *visit) error {
	if err := x.c.cfg.Sessions.RevokeAll(x.r.Context(), x.who, x.who.ID, x.who.SessionID); err != nil {
		return err
	}
	return x.done("/account", "sessions")
}

// named is a word in a User-Agent header and what people call it. The order matters: browsers also name those that they pretend to be.
type named struct{ mark, name string }

var browsers = []named{
	{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"OPR/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"},
	{"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	{"python", "A Python program"}, {"Go-http-client", "A Go program"},
}

var systems = []named{
	{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Mac OS X", "Mac"}, {"Linux", "Linux"},
}

// deviceName says in words what a User-Agent header says of itself; it is a help to recognise one's own devices, and no proof.
func deviceName(userAgent string) string {
	browser, system := markedAs(browsers, userAgent), markedAs(systems, userAgent)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case system != "":
		return system
	}
	return "An unknown device"
}

func markedAs(list []named, text string) string {
	for _, n := range list {
		if strings.Contains(text, n.mark) {
			return n.name
		}
	}
	return ""
}
