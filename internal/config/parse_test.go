package config_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/config"
)

// Each row is one value of one variable, with its parsed form or its error.
var parsing = []struct{ name, raw, want, fault string }{
	{"SECURE_COOKIES", "TRUE", "true", ""},
	{"SECURE_COOKIES", "0", "false", ""},
	{"SECURE_COOKIES", "off", "false", ""},
	{"SECURE_COOKIES", "maybe", "", "is neither true nor false"},
	{"ALLOW_UNAUTHORIZED_CERTS", "true", "true", ""},
	{"ALLOW_UNAUTHORIZED_CERTS", "false", "false", ""},
	{"ALLOW_UNAUTHORIZED_CERTS", "True", "", "is neither the exact word true nor the exact word false"},
	{"ALLOW_UNAUTHORIZED_CERTS", "1", "", "is neither the exact word true nor the exact word false"},
	{"ALLOW_UNAUTHORIZED_CERTS", "no", "", "is neither the exact word true nor the exact word false"},

	{"PORT", "1", "1", ""}, {"PORT", "65535", "65535", ""},
	{
		"PORT",
		"0",
		"",
		"is not a port number",
	}, {"PORT", "65536", "", "is not a port number"}, {"PORT", "-1", "", "is not a port number"},
	{"PORT", "+80", "", "is not a port number"}, {"PORT", "3000x", "", "is not a port number"},

	{"PASSWORD_SALT_HASH_ROUNDS", "4", "4", ""}, {"PASSWORD_SALT_HASH_ROUNDS", "15", "15", ""},
	{"PASSWORD_SALT_HASH_ROUNDS", "3", "", "is too small"}, {"PASSWORD_SALT_HASH_ROUNDS", "-5", "", "is too small"},
	{
		"PASSWORD_SALT_HASH_ROUNDS",
		"16",
		"",
		"is too large: each step doubles the work, and above 15 a single sign-in would keep a processor busy for " +
			"several seconds",
	},
	{
		"PASSWORD_SALT_HASH_ROUNDS",
		"99999999999999999999",
		"",
		"is too large: each step doubles the work, and above 15 a single sign-in would keep a processor busy for " +
			"several seconds",
	},
	{"PASSWORD_SALT_HASH_ROUNDS", "-99999999999999999999", "", "is too small"},
	{
		"PASSWORD_SALT_HASH_ROUNDS",
		"ten",
		"",
		"is not a whole number",
	}, {"PASSWORD_SALT_HASH_ROUNDS", "10.5", "", "is not a whole number"},

	{
		"JWT_TOKEN_EXPIRY_IN_MINUTES",
		"360",
		"360 minutes (6 hours)",
		"",
	}, {"JWT_TOKEN_EXPIRY_IN_MINUTES", "1", "1 minute", ""},
	{"JWT_TOKEN_EXPIRY_IN_MINUTES", "2880", "2880 minutes (2 days)", ""},
	{
		"JWT_TOKEN_EXPIRY_IN_MINUTES",
		"0",
		"",
		"is too small",
	}, {"JWT_TOKEN_EXPIRY_IN_MINUTES", "525601", "", "is too large"},
	{"JWT_TOKEN_EXPIRY_IN_MINUTES", "6h", "", "is not a plain number; leave out the unit, which is always minutes"},
	{
		"INVITE_TOKEN_EXPIRY_IN_HOURS",
		"24",
		"24 hours",
		"",
	}, {"INVITE_TOKEN_EXPIRY_IN_HOURS", "72", "72 hours (3 days)", ""},
	{"SLUICE_UPSTREAM_HEADER_TIMEOUT_SECONDS", "3600", "3600 seconds (60 minutes)", ""},
	{"SLUICE_UPSTREAM_HEADER_TIMEOUT_SECONDS", "3601", "", "is too large"},
	{"SLUICE_MAX_BODY_MB", "1024", "1024 MB", ""}, {"SLUICE_MAX_BODY_MB", "1025", "", "is too large"},
	{"SLUICE_MAX_BODY_MB", "50mb", "", "is not a plain number; leave out the unit, which is always MB"},

	{
		"LOG_LEVEL",
		"WARN",
		"warn",
		"",
	}, {"LOG_LEVEL", "verbose", "verbose", ""}, {"LOG_LEVEL", "loud", "", "is not an accepted word"},
	{
		"DATABASE_TYPE",
		"mysql",
		"",
		"is a database Sluice does not support; its data goes into sqlite or postgres, whatever the builder behind " +
			"it uses",
	},
	{
		"DATABASE_TYPE",
		"MariaDB",
		"",
		"is a database Sluice does not support; its data goes into sqlite or postgres, whatever the builder behind " +
			"it uses",
	},
	{"DATABASE_TYPE", "oracle", "", "is not an accepted word"},
	{
		"STORAGE_TYPE",
		"gcs",
		"",
		"is a store Sluice does not support; its own files go into local or s3, whatever the builder behind it uses",
	},
	{"CUSTOM_MCP_PROTOCOL", "stdio", "stdio", ""},

	{
		"DATABASE_PATH",
		"~/x/../y",
		"/home/ada/y",
		"",
	}, {"DATABASE_PATH", "~", "/home/ada", ""}, {"DATABASE_PATH", "/a//b/", "/a/b", ""},
	{"DATABASE_PATH", "a\nb", "", "holds a line break or another control character"},

	{"HOST", "0.0.0.0", "0.0.0.0", ""}, {"HOST", "::", "::", ""}, {"HOST", "gate.internal", "gate.internal", ""},
	{
		"HOST",
		"127.0.0.1:3000",
		"",
		"is not an IP address or host name",
	}, {"HOST", "http://a", "", "is not an IP address or host name"},
	{"HOST", "127.1", "", "is not an IP address or host name"}, {"HOST", "*", "", "is not an IP address or host name"},

	{
		"APP_URL",
		"http://localhost:3000",
		"http://localhost:3000",
		"",
	}, {"APP_URL", "HTTPS://A.Example/", "https://a.example", ""},
	{"APP_URL", "https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443", ""},
	{
		"APP_URL",
		"flows.example.com",
		"",
		"does not begin with http:// or https://",
	}, {"APP_URL", "ftp://a", "", "does not begin with http:// or https://"},
	{
		"APP_URL",
		"http://",
		"",
		"does not have a host name or IP address",
	}, {"APP_URL", "http://a.example:", "", "has a colon without a port"},
	{"APP_URL", "http://a.example:0", "", "has a port that is not a port number"},
	{"APP_URL", "http://a.example:99999", "", "has a port that is not a port number"},
	{"APP_URL", "http://a.example/app", "", "has a path; a host name or port of its own is needed"},
	{
		"APP_URL",
		"http://a.example?x",
		"",
		"has a query or fragment",
	}, {"APP_URL", "http://a.example/?", "", "has a query or fragment"},
	{"APP_URL", "http://a.example/#", "", "has a query or fragment"},
	{
		"APP_URL",
		"http://u:p@a.example",
		"",
		"holds a user name or password",
	}, {"APP_URL", "http://0x7f.1", "", "does not have a host name or IP address"},
	{"APP_URL", "http://%zz", "", "is not a URL"},

	{"SLUICE_METRICS_ADDR", "127.0.0.1:0", "127.0.0.1:0", ""}, {"SLUICE_METRICS_ADDR", "[::1]:9090", "[::1]:9090", ""},
	{"SLUICE_METRICS_ADDR", "0.0.0.0:9090", "", "is not a loopback address, and metrics are served without sign-in"},
	{
		"SLUICE_METRICS_ADDR",
		":9090",
		"",
		"is not of the form host:port",
	}, {"SLUICE_METRICS_ADDR", "9090", "", "is not of the form host:port"},
	{"SLUICE_METRICS_ADDR", "::1:9090", "", "is not a loopback address, and metrics are served without sign-in"},
	{"SLUICE_METRICS_ADDR", "localhost:http", "", "has a port that is not a port number"},

	{
		"SENDER_EMAIL",
		`"Flows" <flows@example.com>`,
		`"Flows" <flows@example.com>`,
		"",
	}, {"SENDER_EMAIL", "flows", "", "is not an email address"},
	{"CORS_ORIGINS", "https://A.example/, https://b.example:8443", "https://a.example, https://b.example:8443", ""},
	{
		"CORS_ORIGINS",
		"*",
		"*",
		"",
	}, {"CORS_ORIGINS", "a.example", "", `holds "a.example", which does not begin with http:// or https://`},
	{
		"IFRAME_ORIGINS",
		"self",
		"'self'",
		"",
	}, {"IFRAME_ORIGINS", "'none'", "'none'", ""}, {"IFRAME_ORIGINS", "https://*.a.example", "https://*.a.example", ""},
	{"HTTP_DENY_LIST", "localhost,127.0.0.1,169.254.169.254", "localhost, 127.0.0.1, 169.254.169.254", ""},
	{"HTTP_DENY_LIST", "10.0.0.0/8 *.internal ::1", "10.0.0.0/8, *.internal, ::1", ""},
	{
		"HTTP_DENY_LIST",
		"10.0.0.0/99",
		"",
		`holds "10.0.0.0/99", which is not a host name, an IP address or a CIDR range`,
	},
	{"LOG_SANITIZE_BODY_FIELDS", "a, b ,,c", "a, b, c", ""},
	{
		"TOKEN_HASH_SECRET",
		strings.Repeat("x", 32),
		"set (32 characters)",
		"",
	}, {"TOKEN_HASH_SECRET", "x\x00", "set (2 characters)", "holds a NUL character"},

	{
		"SLUICE_PROTECT",
		"demo",
		"demo",
		"",
	}, {"SLUICE_PROTECT", "demo@http://demo.localhost:3000", "demo@http://demo.localhost:3000", ""},
	{"SLUICE_PROTECT", "http://127.0.0.1:3001@https://F.example/", "http://127.0.0.1:3001@https://f.example", ""},
	{"SLUICE_PROTECT", "127.0.0.1:3001", "", "names an app whose address does not begin with http:// or https://"},
	{
		"SLUICE_PROTECT",
		"Flowise=http://a.example",
		"",
		"names an app whose address does not begin with http:// or https://",
	},
	{
		"SLUICE_PROTECT",
		"http://a.example/flowise",
		"",
		"names an app whose address has a path; a host name or port of its own is needed",
	},
	{"SLUICE_PROTECT", "http://u:p@a.example", "", "names an app whose address holds a user name or password"},
	{
		"SLUICE_PROTECT",
		"http://a.example@https://b.example/x",
		"",
		"has a public origin after @ that has a path; a host name or port of its own is needed",
	},
	{"SLUICE_PROTECT", "http://a.example,http://A.example/", "", "names http://a.example twice"},
	{"SLUICE_PROTECT", " , ", "", "is an empty list"},
	{"SLUICE_PROTECT", "http://127.0.0.1:3000", "", "names the address on which Sluice itself listens"},
}

func TestParsing(t *testing.T) {
	for _, tt := range parsing {
		t.Run(tt.name+"="+tt.raw, func(t *testing.T) {
			item := explain(
				t,
				config.Inspect(config.Input{Environ: []string{"HOME=/home/ada", tt.name + "=" + tt.raw}}),
				tt.name,
			)
			if item.Fault != tt.fault {
				t.Errorf("fault %q, want %q", item.Fault, tt.fault)
			}
			if tt.want != "" && item.Value != tt.want {
				t.Errorf("value %q, want %q", item.Value, tt.want)
			}
		})
	}
}

func TestParse_WeakSecrets(t *testing.T) {
	for _, assignment := range []string{"TOKEN_HASH_SECRET=popcorn", "EXPRESS_SESSION_SECRET=flowise",
		"LANGFLOW_SECRET_KEY=your_generated_key",
		"JWT_AUTH_TOKEN_SECRET=" + strings.Repeat("AABBCCDD", 5), "JWT_REFRESH_TOKEN_SECRET=" +
			strings.Repeat("AABBCCDD", 5)} {
		name, _, _ := strings.Cut(assignment, "=")
		l := config.Inspect(config.Input{Environ: []string{"HOME=/home/ada", assignment}})
		want := []string{name + " (environment) contains a published sample value and is treated as not set."}
		if diff := cmp.Diff(want, l.Warnings); diff != "" || explain(t, l, name).Set || len(l.Faults()) > 0 {
			t.Errorf("%s: %s %v", name, diff, l.Faults())
		}
	}
}

func TestTrustProxy(t *testing.T) {
	nets := func(texts ...string) (t config.TrustProxy) {
		for _, text := range texts {
			t.Nets = append(t.Nets, netip.MustParsePrefix(text))
		}
		return t
	}
	tests := []struct {
		trust, number string
		want          config.TrustProxy
		fault         string
		warns         bool
	}{
		{"", "", config.TrustProxy{}, "", false},
		{"false", "", config.TrustProxy{}, "", false},
		{"0", "", config.TrustProxy{}, "", false},
		{"1", "", config.TrustProxy{Hops: 1}, "", false},
		{"2", "2", config.TrustProxy{Hops: 2}, "", false},
		{"true", "", config.TrustProxy{Hops: 1}, "", true},
		{"True", "3", config.TrustProxy{Hops: 3}, "", false},
		{"true", "0", config.TrustProxy{}, "", false},
		{"", "1", config.TrustProxy{}, "", true},
		{"loopback", "1", nets("127.0.0.0/8", "::1/128"), "", true},
		{"linklocal", "", nets("169.254.0.0/16", "fe80::/10"), "", false},
		{"UniqueLocal", "", nets("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"), "", false},
		{"10.1.2.3/8,::ffff:192.0.2.1", "", nets("10.0.0.0/8", "192.0.2.1/32"), "", false},
		{"2", "3", config.TrustProxy{Hops: 2}, "NUMBER_OF_PROXIES contradicts TRUST_PROXY, which says 2", false},
		{"17", "", config.TrustProxy{}, "TRUST_PROXY is more than 16 proxies", false},
		{"99999999999999999999", "", config.TrustProxy{}, "TRUST_PROXY is more than 16 proxies", false},
		{
			"banana",
			"",
			config.TrustProxy{},
			`TRUST_PROXY holds "banana", which is neither an address, a CIDR range nor a known name`,
			false,
		},
		{"0.0.0.0/0", "", config.TrustProxy{}, `TRUST_PROXY holds "0.0.0.0/0", which trusts all addresses`, false},
		{
			"fe80::1%eth0",
			"",
			config.TrustProxy{},
			`TRUST_PROXY holds "fe80::1%eth0", which is neither an address, a CIDR range nor a known name`,
			false,
		},
		{"true", "17", config.TrustProxy{Hops: 1}, "NUMBER_OF_PROXIES is too large", true},
	}
	for _, tt := range tests {
		t.Run(tt.trust+" "+tt.number, func(t *testing.T) {
			l := config.Inspect(
				config.Input{
					Environ: []string{"HOME=/home/ada", "TRUST_PROXY=" + tt.trust, "NUMBER_OF_PROXIES=" + tt.number},
				},
			)
			if diff := cmp.Diff(tt.want, l.Values.TrustProxy, cmp.Comparer(samePrefix)); diff != "" {
				t.Errorf("trust (-want +got):\n%s", diff)
			}
			var fault string
			for _, f := range l.Faults() {
				fault += f.Name + " " + f.Problem
			}
			if fault != tt.fault || (len(l.Warnings) > 0) != tt.warns {
				t.Errorf("fault %q, warnings %q; want %q, %v", fault, l.Warnings, tt.fault, tt.warns)
			}
		})
	}
}

// Values that are good one by one and not together.
func TestTogether(t *testing.T) {
	tests := []struct{ name, environ, fault, warning string }{
		{
			"postgres without a place",
			"DATABASE_TYPE=postgres|DATABASE_HOST=h",
			"DATABASE_NAME is not set, but DATABASE_TYPE is postgres; DATABASE_USER is not set, but DATABASE_TYPE " +
				"is postgres",
			"",
		},
		{
			"postgres without a password",
			"DATABASE_TYPE=postgres|DATABASE_HOST=h|DATABASE_NAME=n|DATABASE_USER=u",
			"",
			"",
		},
		{
			"postgres settings for sqlite",
			"DATABASE_HOST=h|DATABASE_USER=u",
			"",
			"DATABASE_HOST, DATABASE_USER are not used, because DATABASE_TYPE is sqlite.",
		},
		{
			"app port is Sluice's port",
			"SLUICE_APP_PORTS=3000",
			"SLUICE_APP_PORTS is the same as PORT, which Sluice's own pages use",
			"",
		},
		{
			"no port after the last",
			"PORT=65535",
			"SLUICE_APP_PORTS is not set, and there is no port after PORT=65535",
			"",
		},
		{"last port and app ports", "PORT=65535|SLUICE_APP_PORTS=3000", "", ""},
		{
			"app on Sluice's origin",
			"APP_URL=https://a.example|SLUICE_PROTECT=demo@https://a.example",
			"SLUICE_PROTECT gives an app the public origin of Sluice itself, which is APP_URL",
			"",
		},
		{
			"idle beyond the end",
			"SLUICE_SESSION_IDLE_MINUTES=60|SLUICE_SESSION_MAX_MINUTES=30",
			"",
			"SLUICE_SESSION_IDLE_MINUTES is longer than SLUICE_SESSION_MAX_MINUTES, so the latter limits all sessions.",
		},
		{"default idle beyond the end", "SLUICE_SESSION_MAX_MINUTES=30", "", ""},
		{
			"plain http abroad",
			"APP_URL=http://a.example",
			"",
			"APP_URL is plain http on a.example: passwords and sessions can be read on the way.",
		},
		{"plain http at home", "APP_URL=http://flows.localhost:3000", "", ""},
		{
			"https without secure cookies",
			"APP_URL=https://a.example|SECURE_COOKIES=false",
			"",
			"SECURE_COOKIES is false although APP_URL is https: browsers will also send the session over plain http.",
		},
		{
			"open to the network",
			"HOST=0.0.0.0",
			"",
			"HOST lets other machines connect, but APP_URL is not set. Set it to the address that people enter.",
		},
		{
			"mail settings without a server",
			"SMTP_USER=u|SENDER_EMAIL=a@b.example",
			"",
			"SMTP_USER, SENDER_EMAIL are not used, because SMTP_HOST is not set: no mail is sent.",
		},
		{
			"mail password without a user",
			"APP_URL=https://a.example|SMTP_HOST=h|SMTP_PASSWORD=p",
			"",
			"SMTP_PASSWORD is not used, because SMTP_USER is not set.",
		},
		{
			"mail user without a password",
			"APP_URL=https://a.example|SMTP_HOST=h|SMTP_USER=u",
			"",
			"SMTP_USER is set, but SMTP_PASSWORD is not: the mail server will probably refuse the sign-in.",
		},
		{
			"mail without an address",
			"SMTP_HOST=h",
			"",
			"SMTP_HOST is set, but APP_URL is not: links in mails lead to the address that Sluice listens on.",
		},
		{
			"unchecked certificates",
			"APP_URL=https://a.example|SMTP_HOST=h|ALLOW_UNAUTHORIZED_CERTS=true",
			"",
			"ALLOW_UNAUTHORIZED_CERTS is true: anyone between Sluice and the mail server can read mails and the " +
				"password.",
		},
		{
			"set in vain",
			"S3_STORAGE_BUCKET_NAME=h|S3_STORAGE_REGION=i",
			"",
			"S3_STORAGE_BUCKET_NAME, S3_STORAGE_REGION are read and checked, but this version of Sluice does not " +
				"use it yet.",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := config.Inspect(
				config.Input{Environ: append([]string{"HOME=/home/ada"}, strings.Split(tt.environ, "|")...)},
			)
			var faults []string
			for _, f := range l.Faults() {
				faults = append(faults, f.Name+" "+f.Problem)
			}
			if got := strings.Join(faults, "; "); got != tt.fault {
				t.Errorf("faults %q, want %q", got, tt.fault)
			}
			if got := strings.Join(l.Warnings, " "); got != tt.warning {
				t.Errorf("warnings %q, want %q", got, tt.warning)
			}
			if l.Values.SessionIdle > l.Values.SessionMax {
				t.Error("an idle time beyond the end of the session")
			}
		})
	}
}

func TestHomeUnknown(t *testing.T) {
	item := explain(t, config.Inspect(config.Input{}), "DATABASE_PATH")
	if want := "begins with ~, but the home folder is not known because HOME is not set"; item.Fault != want {
		t.Errorf("fault %q, want %q", item.Fault, want)
	}
}

// For any input of any variable: no panic, and an accepted value reads the same if its displayed
// form is entered again.
func FuzzValue(f *testing.F) {
	vars := config.Describe()
	for _, seed := range []string{"true", "1", "http://a.example@https://b.example", "10.0.0.0/8, ::1",
		"'self' https://*.a.example", "~/x", "Ada <a@b.example>", "-0", "\xff"} {
		f.Add(uint(4), seed)
	}
	again := map[config.Kind]bool{
		config.KindHosts:   true,
		config.KindOrigins: true,
		config.KindTargets: true,
		config.KindAppURL:  true,
		config.KindHost:    true,
		config.KindTrust:   true,
		config.KindWords:   true,
		config.KindEnum:    true,
		config.KindAddress: true,
	}
	f.Fuzz(func(t *testing.T, which uint, raw string) {
		v := vars[which%uint(len(vars))]
		item := explain(
			t,
			config.Inspect(config.Input{Environ: []string{"HOME=/home/ada", v.Name + "=" + raw}}),
			v.Name,
		)
		if item.Fault != "" || !item.Set || !again[v.Kind] || item.Value == "" {
			return
		}
		second := explain(
			t,
			config.Inspect(config.Input{Environ: []string{"HOME=/home/ada", v.Name + "=" + item.Value}}),
			v.Name,
		)
		if second.Value != item.Value || second.Fault != "" {
			t.Fatalf("%s: %q reads as %q, that as %q (%s)", v.Name, raw, item.Value, second.Value, second.Fault)
		}
	})
}
