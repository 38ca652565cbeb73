package web

import "net/http"

// htmxConfig switches off what a strict content policy forbids.
const htmxConfig = `{"includeIndicatorStyles":false,"allowEval":false,"selfRequestsOnly":true,"historyCacheSize":0}`

// waves is the path of the water in the logo.
const waves = "M3 17c1.5-1.4 3-1.4 4.5 0s3 1.4 4.5 0 3-1.4 4.5 0 3 1.4 4.5 0" +
	"M3 21c1.5-1.4 3-1.4 4.5 0s3 1.4 4.5 0 3-1.4 4.5 0 3 1.4 4.5 0"

// ThemeCookie holds the theme that a person chose: "light" or "dark". It is not secret, and scripts
// may set it.
const ThemeCookie = "sluice_theme"

// ThemeOf returns the browser's theme; "" follows the system's setting.
func ThemeOf(r *http.Request) string {
	c, err := r.Cookie(ThemeCookie)
	if err != nil {
		return ""
	}
	return Theme(c.Value)
}

// Theme returns name if it is a theme, otherwise "".
func Theme(name string) string {
	if name == "light" || name == "dark" {
		return name
	}
	return ""
}

// SetTheme remembers a choice for a year; "" forgets it.
func SetTheme(w http.ResponseWriter, name string, secure bool) {
	c := &http.Cookie{
		Name:     ThemeCookie,
		Value:    Theme(name),
		Path:     "/",
		MaxAge:   365 * 24 * 3600,
		SameSite: http.SameSiteLaxMode,
		Secure:   secure,
	}
	if c.Value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
