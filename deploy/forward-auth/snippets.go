// Package forwardauth holds the configurations with which nginx, Caddy and Traefik ask Sluice about
// each request. The files stand as they are for people to read and to copy; Fill puts the addresses
// of an installation in place of the example's.
package forwardauth

import (
	_ "embed"
	"net"
	"net/url"
	"strings"
)

// The files' example addresses.
const (
	exampleHost = "flows.example.com"
	exampleGate = "127.0.0.1:3000"
	exampleApp  = "127.0.0.1:8080"
)

var (
	//go:embed nginx.conf
	nginx string
	//go:embed Caddyfile
	caddy string
	//go:embed traefik.yml
	traefik string
)

// Addresses are those of one app. They must be made of plain characters (app.PlainHost): they are
// put into the files as they are.
type Addresses struct {
	// Public is the app's origin, e.g. "https://flows.example.com".
	Public string
	// Gate and App are where the reverse proxy reaches Sluice and the app: host and port.
	Gate, App string
}

// Snippet is the configuration of one reverse proxy.
type Snippet struct {
	// Name is the product's, File what the file is called.
	Name, File string
	// Text is the whole file.
	Text string
}

// Fill returns the three configurations with the addresses of an app. Where its public address is
// http they speak http too.
func Fill(a Addresses) []Snippet {
	scheme, host, _ := strings.Cut(a.Public, "://")
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, map[string]string{"https": "443", "http": "80"}[scheme]
	}
	common := []string{exampleGate, a.Gate, exampleApp, a.App}
	fill := func(text string, pairs ...string) string {
		return strings.NewReplacer(append(pairs, common...)...).Replace(text)
	}
	// Hosts carry their port where a browser says it; names, certificates and rules do not.
	forNginx := fill(
		nginx,
		"listen 443 ssl;",
		map[bool]string{true: "listen " + port + " ssl;", false: "listen " + port + ";"}[scheme == "https"],
		"server_name "+exampleHost,
		"server_name "+name,
		"/etc/ssl/"+exampleHost,
		"/etc/ssl/"+name,
		"conf.d/"+exampleHost,
		"conf.d/"+name,
		"sluice."+exampleHost,
		"sluice."+name,
		"app."+exampleHost,
		"app."+name,
		exampleHost,
		host,
	)
	forTraefik := fill(traefik, exampleHost, name)
	if scheme != "https" {
		forNginx, forTraefik = without(forNginx, "ssl_certificate"), without(forTraefik, "tls: {}")
	}
	return []Snippet{
		{Name: "nginx", File: name + ".conf", Text: forNginx},
		{Name: "Caddy", File: "Caddyfile", Text: fill(caddy, "https://"+exampleHost, scheme+"://"+host)},
		{Name: "Traefik", File: name + ".yml", Text: forTraefik},
	}
}

// without leaves the lines out that begin with a word.
func without(text, word string) string {
	var keep []string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), word) {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "\n")
}

// HostOf is the host with port of an origin or of an address that was typed without a scheme; "" if
// it has a path or cannot be read.
func HostOf(address string) string {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return ""
	}
	return u.Host
}
