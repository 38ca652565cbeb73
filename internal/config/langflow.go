package config

import "slices"

// finishAutoLogin refuses to sign visitors in without asking where anybody but this machine's own users may be one.
func (l *Loaded) finishAutoLogin() {
	if !l.Values.AutoLogin {
		return
	}
	const name, local = "LANGFLOW_AUTO_LOGIN", "False; or True with HOST=127.0.0.1 and no reverse proxy in front of Sluice"
	v := l.Values
	public := slices.IndexFunc(v.Protect, func(t Target) bool { return t.Public != "" && !onLoopback(t.Public) })
	switch {
	case v.Host != "" && !isLoopback(v.Host):
		l.fault(name, "is True, but with HOST="+v.Host+" other machines can connect, and whoever does would be a superuser", local)
	case v.AppURL != nil && !isLoopback(v.AppURL.Hostname()):
		l.fault(name, "is True, but APP_URL is "+v.AppURL.String()+", so others reach Sluice there, and whoever does would be a superuser", local)
	case v.TrustProxy.Trusts():
		l.fault(name, "is True, but TRUST_PROXY says that a reverse proxy passes visitors on, and every one of them would be a superuser", local)
	case public >= 0:
		l.fault(name, "is True, but SLUICE_PROTECT gives an app the public origin "+v.Protect[public].Public+", so others reach Sluice, and whoever does would be a superuser", local)
	}
}

func onLoopback(origin string) bool {
	u, err := parseOriginURL(origin)
	return err == nil && isLoopback(u.Hostname())
}

// langflowKey is the secret key of the Langflow that reads the same variables. A published sample is no key for Sluice, but it opens that Langflow all the same.
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
