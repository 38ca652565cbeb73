package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// finish fills Values and applies the rules that span several variables.
func (l *Loaded) finish() {
	fill(l)
	l.finishPostgres()
	l.finishKeys()
	l.finishSessions()
	l.finishTrust()
	l.finishAppPorts()
	l.finishOrigins()
	l.finishMail()
	l.finishAutoLogin()
}

// fault reports a variable whose value is valid alone but not together with another.
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
	r.fault = &Fault{
		Name:     name,
		Source:   from,
		Value:    r.shown,
		Problem:  problem,
		Expected: expected,
		Example:  v.exampleLine(),
	}
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
		for _, name := range []string{"SECRETKEY_AWS_ACCESS_KEY", "SECRETKEY_AWS_SECRET_KEY", "SECRETKEY_AWS_REGION",
			"SECRETKEY_AWS_NAME", "SECRETKEY_AWS_AUTH_PREFIX"} {
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
		l.warn(
			"SLUICE_SESSION_IDLE_MINUTES is longer than SLUICE_SESSION_MAX_MINUTES, so the latter limits all sessions.",
		)
	}
	l.Values.SessionIdle = l.Values.SessionMax
}

// finishTrust replaces TRUST_PROXY=true by NUMBER_OF_PROXIES. Trusting the whole forwarding chain,
// as Express does for true, would let every visitor choose the address that sign-in limits and the
// audit see.
func (l *Loaded) finishTrust() {
	hops, given := l.items["NUMBER_OF_PROXIES"].parsed.(int)
	trust := l.Values.TrustProxy
	isTrue := l.items["TRUST_PROXY"].shown == "true"
	switch {
	case isTrue && given:
		l.Values.TrustProxy.Hops = hops
	case isTrue:
		l.warn("TRUST_PROXY is true and NUMBER_OF_PROXIES is not set. Sluice assumes one proxy in front of it.")
	case given && trust.Hops > 0 && trust.Hops != hops:
		l.fault("NUMBER_OF_PROXIES", fmt.Sprintf("contradicts TRUST_PROXY, which "+
			"says %d", trust.Hops), "the same number, or TRUST_PROXY=true")
	case given && trust.Hops == 0 && hops > 0 && l.items["TRUST_PROXY"].fault == nil:
		l.warn(
			"NUMBER_OF_PROXIES applies only if TRUST_PROXY is true. Otherwise TRUST_PROXY alone decides about " +
				"forwarding headers.",
		)
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
		l.fault("SLUICE_APP_PORTS", "is not set, and there is no port after "+
			"PORT=65535", "a port number from 1 to 65534")
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
			l.fault("SLUICE_PROTECT", "gives an app the public origin of Sluice itself, which is "+
				"APP_URL", "a separate origin for each app")
		case t.URL != "" && l.isOwn(t.URL):
			l.fault("SLUICE_PROTECT", "names the address on which Sluice itself "+
				"listens", "the address on which the app listens")
		}
	}
	switch {
	case app == nil:
		if host := l.Values.Host; host != "" && !isLoopback(host) && l.items["APP_URL"].fault == nil {
			l.warn("HOST lets other machines connect, but APP_URL is not set. Set it to the address that people enter.")
		}
		if l.Values.SecureCookies == On {
			l.warn("SECURE_COOKIES is true, but APP_URL is not set: browsers keep the cookies only if they reach " +
				"Sluice over https.")
		}
	case app.Scheme == "https" && l.Values.SecureCookies == Off:
		l.warn("SECURE_COOKIES is false although APP_URL is https: browsers will also send the session over plain " +
			"http.")
	case app.Scheme == "http" && !isLoopback(app.Hostname()):
		l.warnPlain(app)
	}
}

func (l *Loaded) warnPlain(app *url.URL) {
	l.warn("APP_URL is plain http on %s: passwords and sessions can be read on the way.", app.Hostname())
	if l.Values.SecureCookies == On {
		l.warn("SECURE_COOKIES is true although APP_URL is plain http: browsers will not keep the session, and " +
			"sign-in will not work.")
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
		l.warn("SMTP_USER is set, but SMTP_PASSWORD is not: the mail server will probably refuse the sign-in.")
	}
	if m.AllowUnauthorizedCerts {
		l.warn("ALLOW_UNAUTHORIZED_CERTS is true: anyone between Sluice and the mail server can read mails and " +
			"the password.")
	}
	if l.Values.AppURL == nil && l.items["APP_URL"].fault == nil {
		l.warn("SMTP_HOST is set, but APP_URL is not: links in mails lead to the address that Sluice listens on.")
	}
}

// isOwn reports whether an app's address is this machine and the port of Sluice's own pages. Sluice
// would then call itself.
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

// noteUnwired lists in one warning the settings that have no effect.
func (l *Loaded) noteUnwired() {
	var names []string
	for i := range registry {
		v := &registry[i]
		if r := l.items[v.Name]; !v.Wired && !v.Theirs && r.set && r.fault == nil {
			names = append(names, v.Name)
		}
	}
	if len(names) > 0 {
		l.warn("%s read and checked, but this version of Sluice does not use it yet.", areList(names))
	}
}

// resolve finds the text of v on the highest level that sets it, and parses it.
func (l *Loaded) resolve(v *Variable) *resolved {
	for level := FromCommandLine; level > FromDefault; level-- {
		found, fault := l.candidate(v, level)
		if fault != nil {
			return l.blame(&resolved{set: true, source: Source{Level: level, Name: v.Name}, fault: fault})
		}
		if found != nil {
			return l.accept(v, *found)
		}
	}
	r := &resolved{source: Source{Level: FromDefault, Name: v.Name}}
	if v.Default == "" {
		return r
	}
	return l.parseInto(r, v, v.Default)
}

func (l *Loaded) blame(r *resolved) *resolved {
	l.faults = append(l.faults, *r.fault)
	return r
}

// candidate is the value that one level gives v: nil if none, a fault if two different ones.
func (l *Loaded) candidate(v *Variable, level Level) (*given, *Fault) {
	var found *given
	for _, name := range v.names() {
		for _, spelling := range []string{name, name + fileSuffix} {
			g, ok := l.levels[level][spelling]
			if !ok || !l.counts(v, g) {
				continue
			}
			if found == nil {
				found = &g
			} else if v.Theirs {
				continue
			} else if found.value != g.value || isFileName(v, found.source.Name) != isFileName(v, spelling) {
				return nil, conflict(v, *found, g)
			}
		}
	}
	return found, nil
}

// counts reports whether g is an actual value, and warns about placeholders and published samples.
func (l *Loaded) counts(v *Variable, g given) bool {
	switch {
	case g.value == "":
		return false
	case isPlaceholder(g.value):
		if !v.Theirs {
			l.warn("%s (%s) holds a placeholder and is treated as not set.", g.source.Name, g.source)
		}
		return false
	case slices.Contains(v.Weak, g.value):
		l.warn("%s (%s) contains a published sample value and is treated as not set.", g.source.Name, g.source)
		return false
	}
	return true
}

// isFileName distinguishes NAME_FILE from a variable whose own name ends in _FILE.
func isFileName(v *Variable, name string) bool {
	return !slices.Contains(v.names(), name)
}

func conflict(v *Variable, a, b given) *Fault {
	f := &Fault{Name: v.Name, Expected: "one of the two only", Example: v.exampleLine()}
	if a.source.Level == FromEnvFile {
		f.Source = fmt.Sprintf("%s (%s) and %s (%s)", a.source, a.source.Name, b.source, b.source.Name)
	} else {
		f.Source = fmt.Sprintf("%s (%s and %s)", a.source, a.source.Name, b.source.Name)
	}
	f.Problem = fmt.Sprintf("is given twice, as %s and as %s", a.source.Name, b.source.Name)
	return f
}

func (l *Loaded) accept(v *Variable, g given) *resolved {
	r := &resolved{set: true, source: g.source}
	if v.Theirs {
		r.shown = Secret(g.value).String()
		return r
	}
	if !isFileName(v, g.source.Name) {
		return l.parseInto(r, v, g.value)
	}
	text, err := l.readValue(g.value)
	if err != nil {
		r.fault = &Fault{
			Name:     g.source.Name,
			Source:   g.source.String(),
			Value:    shownPath(v, g.value),
			Problem:  "names a file that " + err.Error(),
			Expected: "the path of a file whose content is the value of " + v.Name,
			Example:  g.source.Name + "=/run/secrets/" + strings.ToLower(v.Name),
		}
		return l.blame(r)
	}
	return l.parseInto(r, v, text)
}

// readValue reads a NAME_FILE; a single trailing line end is not part of the value.
func (l *Loaded) readValue(path string) (string, error) {
	path, err := parser{home: l.home}.expandHome(path)
	if err != nil {
		return "", err
	}
	data, err := readBounded(path, MaxValueFile)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %s", reason(err))
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", fmt.Errorf("is empty")
	}
	return text, nil
}

// shownPath hides a path that may be the secret itself, put into NAME_FILE by mistake.
func shownPath(v *Variable, path string) string {
	if v.Secret && !filepath.IsAbs(path) && !strings.HasPrefix(path, ".") && !strings.HasPrefix(path, "~/") {
		return Secret(path).String()
	}
	return shown(path)
}

func (l *Loaded) parseInto(r *resolved, v *Variable, raw string) *resolved {
	value, err := parser{home: l.home, freePort: v.Name == "PORT" && r.source.Level == FromCommandLine}.parse(v, raw)
	if err != nil {
		r.fault = &Fault{
			Name:     v.Name,
			Source:   r.source.under(v.Name),
			Value:    shownRaw(v, raw),
			Problem:  err.Error(),
			Expected: v.Expects(),
			Example:  v.exampleLine(),
		}
		return l.blame(r)
	}
	r.parsed, r.shown = value, show(v, value)
	if v.Kind == KindTrust {
		r.shown = trustWord(raw)
	}
	return r
}

func shownRaw(v *Variable, raw string) string {
	if v.Secret {
		return Secret(raw).String()
	}
	const limit = 120
	if len(raw) > limit {
		return fmt.Sprintf("a text of %d characters", len(raw))
	}
	return shown(raw)
}

// show formats a parsed value for output: in one spelling, with its unit.
func show(v *Variable, value any) string {
	switch x := value.(type) {
	case []string:
		return strings.Join(x, ", ")
	case []Target:
		words := make([]string, len(x))
		for i, t := range x {
			words[i] = t.String()
		}
		return strings.Join(words, ", ")
	case time.Duration:
		return showDuration(x, v.Unit)
	}
	if v.Unit != "" {
		return fmt.Sprintf("%v %s", value, v.Unit)
	}
	return fmt.Sprint(value)
}

// showDuration adds a larger unit if that is easier to read: 43200 minutes (30 days).
func showDuration(d time.Duration, unit string) string {
	text := count(int(d/units[unit]), unit)
	const day = 24 * time.Hour
	switch {
	case d >= 2*day && d%day == 0:
		return fmt.Sprintf("%s (%s)", text, count(int(d/day), "days"))
	case d >= 2*time.Hour && d%time.Hour == 0 && unit != "hours":
		return fmt.Sprintf("%s (%s)", text, count(int(d/time.Hour), "hours"))
	case d >= 2*time.Minute && d%time.Minute == 0 && unit == "seconds":
		return fmt.Sprintf("%s (%s)", text, count(int(d/time.Minute), "minutes"))
	}
	return text
}

func count(n int, unit string) string {
	if n == 1 {
		unit = strings.TrimSuffix(unit, "s")
	}
	return fmt.Sprintf("%d %s", n, unit)
}

// finishAutoLogin refuses to sign visitors in without asking if people other than this machine's
// own users could be visitors.
func (l *Loaded) finishAutoLogin() {
	if !l.Values.AutoLogin {
		return
	}
	const name, local = "LANGFLOW_AUTO_LOGIN", "False; or True with HOST=127.0.0.1 and no reverse proxy in front of " +
		"Sluice"
	v := l.Values
	public := slices.IndexFunc(v.Protect, func(t Target) bool { return t.Public != "" && !onLoopback(t.Public) })
	switch {
	case v.Host != "" && !isLoopback(v.Host):
		l.fault(name, "is True, but with "+
			"HOST="+v.Host+" other machines can connect, and everyone who does would be a superuser", local)
	case v.AppURL != nil && !isLoopback(v.AppURL.Hostname()):
		l.fault(name, "is True, but "+
			"APP_URL is "+v.AppURL.String()+", so others can reach Sluice there, and everyone who does would be a "+
			"superuser", local)
	case v.TrustProxy.Trusts():
		l.fault(
			name,
			"is True, but according to TRUST_PROXY a reverse proxy forwards visitors, and each of them would be a "+
				"superuser",
			local,
		)
	case public >= 0:
		l.fault(name, "is True, but SLUICE_PROTECT gives an app the public "+
			"origin "+v.Protect[public].Public+", so others can reach Sluice, and everyone who does would be a "+
			"superuser", local)
	}
}

func onLoopback(origin string) bool {
	u, err := parseOriginURL(origin)
	return err == nil && isLoopback(u.Hostname())
}

// langflowKey is the secret key of the Langflow that reads the same variables. A published sample
// is not usable as a Sluice key, but it still decrypts that Langflow's values.
func (l *Loaded) langflowKey() Secret {
	const name = "LANGFLOW_SECRET_KEY"
	r := l.items[name]
	if key, ok := r.parsed.(Secret); ok {
		if r.source.Name == name || r.source.Name == name+fileSuffix {
			return key
		}
		return ""
	}
	for level := FromCommandLine; level > FromDefault; level-- {
		if g := l.levels[level][name]; slices.Contains(byName[name].Weak, g.value) {
			return Secret(g.value)
		}
	}
	return ""
}
