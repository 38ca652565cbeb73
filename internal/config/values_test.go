package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"sluice/internal/config"
)

func defaultValues() config.Values {
	return config.Values{
		Host: "127.0.0.1", Port: 3000, MaxBody: 50 << 20, AppPorts: 3001, UpstreamHeaderTimeout: 2 * time.Minute,
		Database: config.Database{Type: "sqlite", Folder: filepath.Join("/home/ada", ".sluice"), Port: 5432},
		Secrets: config.Secrets{
			Folder: filepath.Join(
				"/home/ada",
				".sluice",
			), Given: map[string]config.Given{}, AWSRegion: "us-east-1", AWSName: "FlowiseEncryptionKey",
			AWSPrefix: "Flowise",
		},
		SessionIdle:  24 * time.Hour,
		SessionMax:   30 * 24 * time.Hour,
		AccessLife:   6 * time.Hour,
		RefreshLife:  30 * 24 * time.Hour,
		KeyLife:      365 * 24 * time.Hour,
		StepUp:       15 * time.Minute,
		RefreshGrace: time.Minute, TokenIssuer: "Flowise", TokenAudience: "Flowise",
		PasswordHashRounds: 10, ResetLife: 15 * time.Minute, InviteLife: 24 * time.Hour, Mail: config.Mail{Port: 587,
			Secure: true},
		Superuser: config.Superuser{Name: "langflow"}, LogLevel: slog.LevelInfo, LogFormat: "auto",
	}
}

func TestDefaultValues(t *testing.T) {
	l, err := config.Load(config.Input{Environ: []string{"HOME=/home/ada"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaultValues(), l.Values, cmp.Comparer(samePrefix)); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if len(l.Warnings) > 0 {
		t.Errorf("defaults warn: %q", l.Warnings)
	}
}

func samePrefix(a, b netip.Prefix) bool { return a == b }

// Every field of Values is set by a variable.
func TestValues(t *testing.T) {
	l, err := config.Load(config.Input{Environ: strings.Split(strings.TrimSpace(`
HOME=/home/ada
HOST=[::1]
PORT=8080
APP_URL=https://Sluice.Example.com:8443/
SECURE_COOKIES=Yes
TRUST_PROXY=loopback, 192.0.2.7, 2001:db8::/32
SLUICE_MAX_BODY_MB=1
SLUICE_PROTECT=flowise=http://127.0.0.1:3001/@https://flowise.example.com generic=http://[::1]:7000, demo
SLUICE_APP_PORTS=9000
SLUICE_UPSTREAM_HEADER_TIMEOUT_SECONDS=1
DATABASE_TYPE=Postgres
DATABASE_PATH=~/data
DATABASE_HOST=db.example.com
DATABASE_PORT=5433
DATABASE_NAME=gate
DATABASE_USER=ada
DATABASE_PASSWORD=p@ss word#1
DATABASE_SSL=on
SECRETKEY_PATH=keys/
FLOWISE_SECRETKEY_OVERWRITE=root text
SLUICE_FORMER_SECRET_KEY=former text
TOKEN_HASH_SECRET=hash text
SECRETKEY_STORAGE_TYPE=AWS
SECRETKEY_AWS_ACCESS_KEY=AKIA
SECRETKEY_AWS_SECRET_KEY=aws text
SECRETKEY_AWS_REGION=eu-central-1
SECRETKEY_AWS_NAME=sluice
SECRETKEY_AWS_AUTH_PREFIX=Gate
JWT_TOKEN_EXPIRY_IN_MINUTES=10
JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES=20
SLUICE_REFRESH_GRACE_SECONDS=5
JWT_ISSUER=gate
JWT_AUDIENCE=flows
EXPIRE_AUTH_TOKENS_ON_RESTART=true
SLUICE_API_KEY_MAX_DAYS=90
SLUICE_STEP_UP_MINUTES=7
SLUICE_SESSION_IDLE_MINUTES=5
SLUICE_SESSION_MAX_MINUTES=60
PASSWORD_SALT_HASH_ROUNDS=4
PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS=5
INVITE_TOKEN_EXPIRY_IN_HOURS=48
SMTP_HOST=smtp.example.com
SMTP_PORT=465
SMTP_USER=apikey
SMTP_PASSWORD=mail pass
SMTP_SECURE=no
SENDER_EMAIL=Flows <flows@example.com>
ALLOW_UNAUTHORIZED_CERTS=true
WORKSPACE_INVITE_TEMPLATE_PATH=~/invite.hbs
LOG_LEVEL=SILLY
SLUICE_LOG_FORMAT=json
SLUICE_METRICS_ADDR=localhost:9090`), "\n")})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Values{
		Host: "::1", Port: 8080, AppURL: &url.URL{Scheme: "https",
			Host: "sluice.example.com:8443"}, SecureCookies: config.On,
		TrustProxy: config.TrustProxy{
			Nets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
				netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")},
		},
		MaxBody: 1 << 20,
		Protect: []config.Target{{Kind: "flowise", URL: "http://127.0.0.1:3001", Public: "https://flowise.example.com"},
			{Kind: "generic", URL: "http://[::1]:7000"}, {Kind: "demo"}},
		AppPorts: 9000, UpstreamHeaderTimeout: time.Second,
		Database: config.Database{
			Type:     "postgres",
			Folder:   filepath.Join("/home/ada", "data"),
			Host:     "db.example.com",
			Port:     5433,
			Name:     "gate",
			User:     "ada",
			Password: "p@ss word#1",
			SSL:      true,
		},
		Secrets: config.Secrets{
			Folder: "keys", Given: map[string]config.Given{
				"LANGFLOW_SECRET_KEY": {Value: "root text", Name: "FLOWISE_SECRETKEY_OVERWRITE", Where: "environment"},
				"TOKEN_HASH_SECRET":   {Value: "hash text", Name: "TOKEN_HASH_SECRET", Where: "environment"},
			},
			Former:       "former text",
			AWS:          true,
			AWSAccessKey: "AKIA",
			AWSSecretKey: "aws text",
			AWSRegion:    "eu-central-1",
			AWSName:      "sluice",
			AWSPrefix:    "Gate",
		},
		AccessLife:   10 * time.Minute,
		RefreshLife:  20 * time.Minute,
		KeyLife:      90 * 24 * time.Hour,
		StepUp:       7 * time.Minute,
		RefreshGrace: 5 * time.Second, TokenIssuer: "gate", TokenAudience: "flows", EndAtRestart: true,
		SessionIdle: 5 * time.Minute, SessionMax: time.Hour, PasswordHashRounds: 4,
		ResetLife: 5 * time.Minute, InviteLife: 48 * time.Hour, Mail: config.Mail{
			Host:                   "smtp.example.com",
			Port:                   465,
			User:                   "apikey",
			Password:               "mail pass",
			Sender:                 "Flows <flows@example.com>",
			AllowUnauthorizedCerts: true,
			InviteTemplate:         filepath.Join("/home/ada", "invite.hbs"),
		},
		Superuser: config.Superuser{Name: "langflow"}, LogLevel: slog.LevelDebug,
		LogFormat: "json", MetricsAddr: "localhost:9090",
	}
	if diff := cmp.Diff(want, l.Values, cmp.Comparer(samePrefix)); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestCookiesSecure(t *testing.T) {
	for _, tt := range []struct {
		environ []string
		want    bool
	}{
		{nil, false},
		{[]string{"APP_URL=http://localhost:3000"}, false},
		{[]string{"APP_URL=https://a.example"}, true},
		{[]string{"APP_URL=https://a.example", "SECURE_COOKIES=false"}, false},
		{[]string{"SECURE_COOKIES=true"}, true},
	} {
		if got := config.Inspect(config.Input{Environ: tt.environ}).Values.CookiesSecure(); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.environ, got, tt.want)
		}
	}
}

// The example blocks of both pages load unchanged without an error.
func TestValues_BlocksOfThePages(t *testing.T) {
	for _, page := range []string{"flowise", "langflow"} {
		archive, err := txtar.ParseFile(filepath.Join("testdata", page+"-page.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if len(archive.Files) < 6 {
			t.Fatalf("%s: %d blocks", page, len(archive.Files))
		}
		for _, block := range archive.Files {
			t.Run(page+" "+block.Name, func(t *testing.T) {
				l, err := config.Load(
					config.Input{Environ: []string{"HOME=/home/ada"}, EnvFile: write(t, ".env", string(block.Data))},
				)
				if err != nil {
					t.Fatal(err)
				}
				checkBlock(t, l, string(block.Data))
			})
		}
	}
}

// checkBlock wants every line to have set its variable, unless it holds a placeholder or a
// published sample, which warns.
func checkBlock(t *testing.T, l *config.Loaded, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		item := explain(t, l, name)
		sample := strings.ContainsAny(value, "<[") || strings.HasPrefix(value, "your")
		if item.Set == sample {
			t.Errorf("%s: set is %v", line, item.Set)
		}
		if warned := strings.Contains(strings.Join(l.Warnings, "\n"), name); sample && !warned {
			t.Errorf("%s: no warning", line)
		}
	}
}

func TestProductionExample(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join("testdata", "flowise-page.txt"))
	if err != nil {
		t.Fatal(err)
	}
	example := archive.Files[len(archive.Files)-1]
	l, err := config.Load(
		config.Input{Environ: []string{"HOME=/home/ada"}, EnvFile: write(t, ".env", string(example.Data))},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultValues()
	want.AppURL = &url.URL{Scheme: "https", Host: "flowise.example.com"}
	want.SecureCookies = config.On
	want.TrustProxy = config.TrustProxy{Hops: 1}
	want.PasswordHashRounds = 12
	want.Secrets.AWS = true
	want.Mail.Host, want.Mail.User = "smtp.sendgrid.net", "apikey"
	want.Database = config.Database{
		Type:   "postgres",
		Folder: want.Database.Folder,
		Host:   "flowise-db.xxxxx.rds.amazonaws.com",
		Port:   5432,
		Name:   "flowise",
		User:   "flowise",
		SSL:    true,
	}
	if diff := cmp.Diff(want, l.Values, cmp.Comparer(samePrefix)); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

// However a configuration is looked at, and however wrong it is, no secret shows.
func TestSecretsNeverShow(t *testing.T) {
	const secret = "hunter2-hunter2-hunter2-hunter2-hunter2"
	var lines []string
	for _, v := range config.Describe() {
		if v.Secret {
			lines = append(lines, v.Name+"="+secret)
		}
	}
	good := strings.Join(lines, "\n") + "\nDATABASE_TYPE=postgres\nDATABASE_HOST=h\nDATABASE_NAME=n\nDATABASE_USER=u\n"
	short := strings.ReplaceAll(good, secret, "hunter2")
	wrong := "APP_URL=http://ada:hunter2@example.com\nSLUICE_PROTECT=http://ada:hun/hunter2@example.com\n" +
		"DATABASE_HOST=postgres://ada:hunter2@h/db\n" +
		"HTTP_DENY_LIST=ada:hunter2@h\nCORS_ORIGINS=https://ada:hunter2@h\n" +
		"TRUST_PROXY=ada:hunter2@h\nhunter2\nX='hunter2\n"
	asFile := "TOKEN_HASH_SECRET_FILE=" + secret +
		"\nDATABASE_PASSWORD=hunter2\nDATABASE_PASSWORD_FILE=/x\nSLUICE_SECRET=hunter2\n"
	for i, text := range []string{good, short, wrong, asFile, strings.ReplaceAll(good, secret, secret+"\x00")} {
		l := config.Inspect(
			config.Input{
				EnvFile: write(t, ".env", text),
				Environ: []string{"HOME=/home/ada", "DATABASE_PASSWORD=hunter2"},
				Flags:   map[string]string{"SMTP_PASSWORD": secret},
			},
		)
		listed, err := json.Marshal(l.List())
		if err != nil {
			t.Fatal(err)
		}
		valued, err := json.Marshal(l.Values)
		if err != nil {
			t.Fatal(err)
		}
		out := fmt.Sprint(
			string(listed),
			string(valued),
			(&config.Error{Faults: l.Faults()}).Error(),
			l.Warnings,
		) + fmt.Sprintf(
			"%v %+v %#v",
			l.Values,
			l.Values,
			l.Values,
		)
		if i > 1 && len(l.Faults()) == 0 {
			t.Errorf("text %d has no faults", i)
		}
		if at := strings.Index(out, "hunter2"); at >= 0 {
			t.Errorf("text %d: a secret shows: …%s…", i, out[max(0, at-80):min(len(out), at+80)])
		}
	}
}

func TestSecretReveals(t *testing.T) {
	var s config.Secret = "hunter2"
	if s.Reveal() != "hunter2" || s.String() != "set (7 characters)" || config.Secret("").String() != "not set" {
		t.Errorf("%s", s)
	}
}

// An endless device and a folder are reported, not read forever.
func TestValues_DeviceAsEnvFile(t *testing.T) {
	for _, path := range []string{"/dev/zero", t.TempDir()} {
		if l := config.Inspect(config.Input{EnvFile: path, Environ: []string{"HOME=/home/ada"}}); len(l.Faults()) != 1 {
			t.Errorf("%s: %v", path, l.Faults())
		}
	}
}

func TestSecretsInAWS(t *testing.T) {
	for _, tt := range []struct {
		name    string
		environ []string
		fault   string // "" for none
		warning string // "" for none
	}{
		{"both credentials", []string{"SECRETKEY_STORAGE_TYPE=aws", "SECRETKEY_AWS_ACCESS_KEY=a",
			"SECRETKEY_AWS_SECRET_KEY=b"}, "", ""},
		{"the SDK's own", []string{"SECRETKEY_STORAGE_TYPE=aws"}, "", ""},
		{"only the id", []string{"SECRETKEY_STORAGE_TYPE=aws", "SECRETKEY_AWS_ACCESS_KEY=a"},
			"SECRETKEY_AWS_SECRET_KEY is not set, but SECRETKEY_AWS_ACCESS_KEY is", ""},
		{"only the key", []string{"SECRETKEY_STORAGE_TYPE=aws", "SECRETKEY_AWS_SECRET_KEY=b"},
			"SECRETKEY_AWS_ACCESS_KEY is not set, but SECRETKEY_AWS_SECRET_KEY is", ""},
		{"not asked for", []string{"SECRETKEY_AWS_REGION=eu-central-1", "SECRETKEY_AWS_NAME=sluice"}, "",
			"SECRETKEY_AWS_REGION, SECRETKEY_AWS_NAME are not used, because SECRETKEY_STORAGE_TYPE is local."},
		{"something else", []string{"SECRETKEY_STORAGE_TYPE=vault", "SECRETKEY_AWS_REGION=eu-central-1"},
			"SECRETKEY_STORAGE_TYPE is not an accepted word", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := config.Inspect(config.Input{Environ: append(tt.environ, "HOME=/home/ada")})
			faults := ""
			for _, f := range l.Faults() {
				faults += f.Name + " " + f.Problem
			}
			if faults != tt.fault || strings.Join(l.Warnings, "\n") != tt.warning {
				t.Errorf("faults %q, warnings %q", faults, l.Warnings)
			}
		})
	}
}
