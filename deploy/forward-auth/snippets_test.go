package forwardauth

import (
	"strings"
	"testing"
)

func TestFill(t *testing.T) {
	for _, tt := range []struct {
		public       string
		want, absent []string
	}{
		{"https://wiki.test",
			[]string{"listen 443 ssl;", "server_name wiki.test;", "X-Forwarded-Host   wiki.test;",
				"https://wiki.test {", "Host(`wiki.test`)", "tls: {}"}, nil},
		{"https://wiki.test:8443", []string{"listen 8443 ssl;", "server_name wiki.test;", "X-Forwarded-Host   " +
			"wiki.test:8443;", "https://wiki.test:8443 {", "/etc/ssl/wiki.test.pem"}, nil},
		{"http://wiki.test:8080", []string{"listen 8080;", "http://wiki.test:8080 {"},
			[]string{"tls: {}", "ssl_certificate", "https://"}},
	} {
		all := ""
		for _, s := range Fill(Addresses{Public: tt.public, Gate: "sluice:3000", App: "10.0.0.7:80"}) {
			all += s.Text
		}
		for _, want := range append(tt.want, "server sluice:3000;", "server 10.0.0.7:80;", "forward_auth "+
			"sluice:3000 {", "reverse_proxy 10.0.0.7:80 {", "url: http://10.0.0.7:80", "address: "+
			"http://sluice:3000/forward-auth") {
			if !strings.Contains(all, want) {
				t.Errorf("%s: no %q", tt.public, want)
			}
		}
		for _, absent := range append(tt.absent, exampleHost, exampleGate, exampleApp) {
			if strings.Contains(all, absent) {
				t.Errorf("%s: %q is left", tt.public, absent)
			}
		}
	}
}
