package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// finish fills Values and applies the rules that span several variables.
func (l *Loaded) finish() {
	l.fill()
	l.finishPostgres()
	l.finishKeys()
	l.finishSessions()
	l.finishTrust()
	l.finishAppPorts()
	l.finishOrigins()
	l.finishMail()
	l.finishAutoLogin()
}

// fault reports a variable whose value is good by itself but not together with another.
func (l *Loaded) fault(name, problem, expected string) {
	r := l.items[name]
	if r.fault != nil {
		return
	}
	v := byName[name]
	from := ""
	if r.set {
		from = r.source.under(name)
	}
	r.fault = &Fault{Name: name, Source: from, Value: r.shown, Problem: problem, Expected: expected, Example: v.exampleLine()}
	l.blame(r)
}

func (l *Loaded) isSet(name string) bool { return l.items[name].set }

func (l *Loaded) finishPostgres() {
	if l.items["DATABASE_TYPE"].fault != nil {
		return
	}
	if l.Values.Database.Type == "postgres" {
		for _, name := range []string{"DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER"} {
			if l.items[name].parsed == nil {
				l.fault(name, "is not set, but DATABASE_TYPE is postgres", byName[name].Expects())
			}
		}
		return
	}
	var unused []string
	for _, name := range []string{"DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER", "DATABASE_PASSWORD"} {
		if l.isSet(name) {
			unused = append(unused, name)
		}
	}
	if len(unused) > 0 {
		l.warn("%s not used, because DATABASE_TYPE is sqlite.", areList(unused))
	}
}

func areList(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}

func (l *Loaded) finishKeys() {
	if r := l.items["SECRETKEY_PATH"]; r.parsed == nil && r.fault == nil {
		l.Values.Secrets.Folder = l.Values.Database.Folder
		r.shown = l.Values.Database.Folder
	}
	one, other := "SECRETKEY_AWS_ACCESS_KEY", "SECRETKEY_AWS_SECRET_KEY"
	if !l.isSet(one) {
		one, other = other, one
	}
	switch {
	case !l.Values.Secrets.AWS:
		var unused []string
		for _, name := range []string{"SECRETKEY_AWS_ACCESS_KEY", "SECRETKEY_AWS_SECRET_KEY", "SECRETKEY_AWS_REGION", "SECRETKEY_AWS_NAME", "SECRETKEY_AWS_AUTH_PREFIX"} {
			if l.isSet(name) {
				unused = append(unused, name)
			}
		}
		if len(unused) > 0 && l.items["SECRETKEY_STORAGE_TYPE"].fault == nil {
			l.warn("%s not used, because SECRETKEY_STORAGE_TYPE is local.", areList(unused))
		}
	case l.isSet(one) && !l.isSet(other):
		l.fault(other, "is not set, but "+one+" is", "both of them, or neither for the AWS SDK's own credentials")
	}
}

func (l *Loaded) finishSessions() {
	if l.Values.SessionIdle <= l.Values.SessionMax || l.Values.SessionMax == 0 {
		return
	}
	if l.isSet("SLUICE_SESSION_IDLE_MINUTES") {
		l.warn("SLUICE_SESSION_IDLE_MINUTES is longer than SLUICE_SESSION_MAX_MINUTES, so sessions end by the latter.")
	}
	l.Values.SessionIdle = l.Values.SessionMax
}

// finishTrust puts NUMBER_OF_PROXIES into TRUST_PROXY=true. Trusting the whole forwarding chain, as Express does for true,
// would let every visitor choose the address that sign-in limits and the audit see.
func (l *Loaded) finishTrust() {
	hops, given := l.items["NUMBER_OF_PROXIES"].parsed.(int)
	trust := l.Values.TrustProxy
	isTrue := l.items["TRUST_PROXY"].shown == "true"
	switch {
	case isTrue && given:
		l.Values.TrustProxy.Hops = hops
	case isTrue:
		l.warn("TRUST_PROXY is true and NUMBER_OF_PROXIES is not set: one proxy in front of Sluice is assumed.")
	case given && trust.Hops > 0 && trust.Hops != hops:
		l.fault("NUMBER_OF_PROXIES", fmt.Sprintf("contradicts TRUST_PROXY, which says %d", trust.Hops), "the same number, or TRUST_PROXY=true")
	case given && trust.Hops == 0 && hops > 0 && l.items["TRUST_PROXY"].fault == nil:
		l.warn("NUMBER_OF_PROXIES is used only when TRUST_PROXY is true; forwarding headers are judged by TRUST_PROXY alone.")
	}
}

func (l *Loaded) finishAppPorts() {
	port, known := l.items["PORT"].parsed.(int)
	switch {
	case !known || l.items["SLUICE_APP_PORTS"].fault != nil:
	case l.isSet("SLUICE_APP_PORTS"):
		if l.Values.AppPorts == port {
			l.fault("SLUICE_APP_PORTS", "is the same as PORT, which Sluice's own pages use", "another port")
		}
	case port == 65535:
		l.fault("SLUICE_APP_PORTS", "is not set, and there is no port after PORT=65535", "a port number from 1 to 65534")
	case port > 0:
		l.Values.AppPorts = port + 1
		l.items["SLUICE_APP_PORTS"].shown = strconv.Itoa(port + 1)
	}
}

func (l *Loaded) finishOrigins() {
	app := l.Values.AppURL
	for _, t := range l.Values.Protect {
		switch {
		case app != nil && t.Public == app.String():
			l.fault("SLUICE_PROTECT", "gives an app the public origin of Sluice itself, which is APP_URL", "an origin of its own for each app")
		case t.URL != "" && l.isOwn(t.URL):
			l.fault("SLUICE_PROTECT", "names the address on which Sluice itself listens", "the address on which the app listens")
		}
	}
	switch {
	case app == nil:
		if host := l.Values.Host; host != "" && !isLoopback(host) && l.items["APP_URL"].fault == nil {
			l.warn("HOST lets other machines connect, but APP_URL is not set: set it to the address people type.")
		}
		if l.Values.SecureCookies == On {
			l.warn("SECURE_COOKIES is true, but APP_URL is not set: browsers keep the cookies only if they reach Sluice over https.")
		}
	case app.Scheme == "https" && l.Values.SecureCookies == Off:
		l.warn("SECURE_COOKIES is false although APP_URL is https: browsers will also send the session over plain http.")
	case app.Scheme == "http" && !isLoopback(app.Hostname()):
		l.warnPlain(app)
	}
}

func (l *Loaded) warnPlain(app *url.URL) {
	l.warn("APP_URL is plain http on %s: passwords and sessions can be read on the way.", app.Hostname())
	if l.Values.SecureCookies == On {
		l.warn("SECURE_COOKIES is true although APP_URL is plain http: browsers will not keep the session, and sign-in will not work.")
	}
}

func (l *Loaded) finishMail() {
	m := l.Values.Mail
	switch {
	case m.Host == "" && l.items["SMTP_HOST"].fault == nil:
		var unused []string
		for _, name := range []string{"SMTP_PORT", "SMTP_USER", "SMTP_PASSWORD", "SENDER_EMAIL"} {
			if l.isSet(name) {
				unused = append(unused, name)
			}
		}
		if len(unused) > 0 {
			l.warn("%s not used, because SMTP_HOST is not set: no mail is sent.", areList(unused))
		}
		return
	case m.User == "" && l.isSet("SMTP_PASSWORD"):
		l.warn("SMTP_PASSWORD is not used, because SMTP_USER is not set.")
	case m.User != "" && m.Password == "" && l.items["SMTP_PASSWORD"].fault == nil:
		l.warn("SMTP_USER is set, but SMTP_PASSWORD is not: the mail server will hardly let Sluice in.")
	}
	if m.AllowUnauthorizedCerts {
		l.warn("ALLOW_UNAUTHORIZED_CERTS is true: whoever is between Sluice and the mail server can read mails and the password.")
	}
	if l.Values.AppURL == nil && l.items["APP_URL"].fault == nil {
		l.warn("SMTP_HOST is set, but APP_URL is not: links in mails lead to the address Sluice listens on.")
	}
}

// isOwn reports whether an app's address is this machine and the port of Sluice's own pages, which would make it call itself.
func (l *Loaded) isOwn(address string) bool {
	u, err := url.Parse(address)
	return err == nil && l.Values.Port > 0 && isLoopback(u.Hostname()) && u.Port() == strconv.Itoa(l.Values.Port)
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// noteUnwired says in one warning what the operator has set in vain.
func (l *Loaded) noteUnwired() {
	var names []string
	for i := range registry {
		v := &registry[i]
		if r := l.items[v.Name]; !v.Wired && !v.Theirs && r.set && r.fault == nil {
			names = append(names, v.Name)
		}
	}
	if len(names) > 0 {
		l.warn("%s read and checked, but not acted on by this version of Sluice yet.", areList(names))
	}
}
