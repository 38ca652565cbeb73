package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/config"
)

// write creates a file in a temporary folder and returns its path.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func explain(t *testing.T, l *config.Loaded, name string) config.Item {
	t.Helper()
	item, err := l.Explain(name)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func TestPrecedence(t *testing.T) {
	port := write(t, "port", "4004\n")
	tests := []struct {
		name    string
		flags   map[string]string
		environ []string
		envFile string
		want    int
		source  string // {file} is the env file
	}{
		{"default", nil, nil, "", 3000, "default"},
		{"env file", nil, nil, "\nPORT=4001", 4001, "{file}:2"},
		{"environment over env file", nil, []string{"PORT=4002"}, "PORT=4001", 4002, "environment"},
		{
			"command line over both",
			map[string]string{"PORT": "4003"},
			[]string{"PORT=4002"},
			"PORT=4001",
			4003,
			"command line",
		},
		{"empty is not set", map[string]string{"PORT": ""}, []string{"PORT="}, "PORT=4001", 4001, "{file}:1"},
		{"blanks around a value", nil, nil, "PORT=' 4001 '", 4001, "{file}:1"},
		{"placeholder is not set", nil, []string{"PORT=<your-port>"}, "PORT=4001", 4001, "{file}:1"},
		{"NAME_FILE", nil, []string{"PORT_FILE=" + port}, "", 4004, "environment (PORT_FILE)"},
		{
			"NAME_FILE over a lower level",
			nil,
			[]string{"PORT_FILE=" + port},
			"PORT=4001",
			4004,
			"environment (PORT_FILE)",
		},
		{"NAME_FILE under a higher level", nil, []string{"PORT=4002"}, "PORT_FILE=" + port, 4002, "environment"},
		{"NAME_FILE in the env file", nil, nil, "PORT_FILE=" + port, 4004, "{file}:1 (PORT_FILE)"},
		{
			"empty NAME beside NAME_FILE",
			nil,
			[]string{"PORT=", "PORT_FILE=" + port},
			"",
			4004,
			"environment (PORT_FILE)",
		},
		{"free port on the command line", map[string]string{"PORT": "0"}, nil, "", 0, "command line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := config.Input{Flags: tt.flags, Environ: append([]string{"HOME=/home/ada"}, tt.environ...)}
			if tt.envFile != "" {
				in.EnvFile = write(t, ".env", tt.envFile)
			}
			l, err := config.Load(in)
			if err != nil {
				t.Fatal(err)
			}
			item := explain(t, l, "PORT")
			source := strings.ReplaceAll(item.Source, in.EnvFile+":", "{file}:")
			if l.Values.Port != tt.want || source != tt.source {
				t.Errorf("port %d from %s, want %d from %s", l.Values.Port, source, tt.want, tt.source)
			}
		})
	}
}

func TestAliases(t *testing.T) {
	tests := []struct {
		name    string
		environ []string
		want    string
		fault   string
	}{
		{"alias", []string{"PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES=20"}, "20 minutes", ""},
		{
			"both, the same",
			[]string{"PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES=20", "PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS=20"},
			"20 minutes",
			"",
		},
		{
			"both, different",
			[]string{"PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES=20", "PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS=30"},
			"",
			"is given twice, as PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS and as PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			item := explain(t, config.Inspect(config.Input{Environ: tt.environ}), "PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS")
			if item.Value != tt.want || item.Fault != tt.fault {
				t.Errorf("value %q fault %q, want %q %q", item.Value, item.Fault, tt.want, tt.fault)
			}
		})
	}
	l := config.Inspect(
		config.Input{
			Environ: []string{
				"FLOWISE_SECRETKEY_OVERWRITE=0123456789abcdef",
				"NEW_USER_IS_ACTIVE=yes",
				"AUTO_LOGIN=off",
			},
		},
	)
	for name, want := range map[string]string{"LANGFLOW_SECRET_KEY": "set (16 characters)",
		"LANGFLOW_NEW_USER_IS_ACTIVE": "true", "langflow_auto_login": "false"} {
		if got := explain(t, l, name).Value; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestValueFiles(t *testing.T) {
	secret := strings.Repeat("s3cret!", 6)
	tests := []struct{ name, content, want, fault string }{
		{"one line end is dropped", secret + "\n", "set (42 characters)", ""},
		{"CRLF too", secret + "\r\n", "set (42 characters)", ""},
		{"blanks stay", " " + secret + " \n\n", "set (45 characters)", ""},
		{"empty", "\n", "", "names a file that is empty"},
		{
			"too large",
			strings.Repeat("x", config.MaxValueFile+1),
			"",
			"names a file that cannot be read: the file is larger than 65536 bytes",
		},
		{"the value itself is checked", "nul\x00\n", "set (4 characters)", "holds a NUL character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := config.Inspect(
				config.Input{Environ: []string{"TOKEN_HASH_SECRET_FILE=" + write(t, "secret", tt.content)}},
			)
			item := explain(t, l, "TOKEN_HASH_SECRET")
			if item.Fault != tt.fault || tt.want != "" && item.Value != tt.want {
				t.Errorf("value %q fault %q, want %q %q", item.Value, item.Fault, tt.want, tt.fault)
			}
		})
	}
}

func TestLoad_NameAndFile(t *testing.T) {
	path := write(t, "secret", strings.Repeat("s", 40))
	_, err := config.Load(
		config.Input{
			Environ: []string{
				"HOME=/home/ada",
				"TOKEN_HASH_SECRET=" + strings.Repeat("h", 40),
				"TOKEN_HASH_SECRET_FILE=" + path,
			},
		},
	)
	want := []config.Fault{
		{Name: "TOKEN_HASH_SECRET", Source: "environment (TOKEN_HASH_SECRET and TOKEN_HASH_SECRET_FILE)",
			Problem:  "is given twice, as TOKEN_HASH_SECRET and as TOKEN_HASH_SECRET_FILE",
			Expected: "one of the two only", Example: "TOKEN_HASH_SECRET=<output of: sluice secret generate>"},
	}
	wantFaults(t, err, want)
}

func wantFaults(t *testing.T, err error, want []config.Fault) {
	t.Helper()
	var ce *config.Error
	if !errors.As(err, &ce) {
		t.Fatalf("error %v, want *config.Error", err)
	}
	if diff := cmp.Diff(want, ce.Faults); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestUnknownNames(t *testing.T) {
	tests := []struct {
		name             string
		flags            map[string]string
		environ, envFile string
		fault, warning   string
	}{
		{
			"typo in the environment",
			nil,
			"SLUICE_PROTCET=x",
			"",
			"SLUICE_PROTCET is not a variable of Sluice; did you mean SLUICE_PROTECT?",
			"",
		},
		{
			"typo in the env file",
			nil,
			"",
			"SLUICE_MAX_BODY=1",
			"SLUICE_MAX_BODY is not a variable of Sluice; did you mean SLUICE_MAX_BODY_MB?",
			"",
		},
		{
			"typo of a file name",
			nil,
			"SLUICE_PROTEC_FILE=x",
			"",
			"SLUICE_PROTEC_FILE is not a variable of Sluice; did you mean SLUICE_PROTECT_FILE?",
			"",
		},
		{
			"prefix too much",
			nil,
			"SLUICE_PORT=1",
			"",
			"SLUICE_PORT is not a variable of Sluice; did you mean PORT?",
			"",
		},
		{"wrong case", nil, "Sluice_Protect=demo", "", "Sluice_Protect is in the wrong case", ""},
		{
			"nothing near",
			nil,
			"SLUICE_TRUSTED_HEADERS=X-User",
			"",
			"SLUICE_TRUSTED_HEADERS is not a variable of Sluice",
			"",
		},
		{
			"typo that is empty",
			nil,
			"SLUICE_PROTCET=",
			"",
			"SLUICE_PROTCET is not a variable of Sluice; did you mean SLUICE_PROTECT?",
			"",
		},
		{
			"command line",
			map[string]string{"LOG_LEVLE": "info"},
			"",
			"",
			"LOG_LEVLE is not a variable of Sluice; did you mean LOG_LEVEL?",
			"",
		},
		{"somebody else's in the environment", nil, "PASSWORD_SALT_HASH_ROUND=4", "", "", ""},
		{"somebody else's in the env file", nil, "", "OPENAI_API_KEY=x", "", ""},
		{
			"near miss in the env file",
			nil,
			"",
			"PASSWORD_SALT_HASH_ROUND=4",
			"",
			"PASSWORD_SALT_HASH_ROUND is not a variable that Sluice or a builder knows; did you mean " +
				"PASSWORD_SALT_HASH_ROUNDS?",
		},
		{"a short name is left alone", nil, "", "MODEL=gpt", "", ""},
		{
			"case in the env file",
			nil,
			"",
			"langflow_superuser=a",
			"",
			"langflow_superuser is ignored, because names are case-sensitive; write LANGFLOW_SUPERUSER.",
		},
		{"a builder's own", nil, "FLOWISE_FILE_SIZE_LIMIT=1mb", "LANGFLOW_CONFIG_DIR=/x", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := config.Input{Flags: tt.flags, Environ: []string{"HOME=/home/ada", tt.environ}}
			if tt.envFile != "" {
				in.EnvFile = write(t, ".env", tt.envFile)
			}
			l := config.Inspect(in)
			var fault string
			for _, f := range l.Faults() {
				fault += f.Name + " " + f.Problem
			}
			if fault != tt.fault {
				t.Errorf("fault %q, want %q", fault, tt.fault)
			}
			if warnings := strings.Join(l.Warnings, "\n"); !strings.Contains(warnings, tt.warning) ||
				tt.warning == "" && warnings != "" {
				t.Errorf("warnings %q, want %q", warnings, tt.warning)
			}
		})
	}
}

func TestEnvFileProblems(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.env")
	_, err := config.Load(config.Input{Environ: []string{"HOME=/home/ada"}, EnvFile: missing})
	wantFaults(
		t,
		err,
		[]config.Fault{
			{
				Name:     "--env-file",
				Source:   "command line",
				Value:    missing,
				Problem:  "cannot be read: no such file or directory",
				Expected: "the path of a file with NAME=VALUE lines",
				Example:  "--env-file .env",
			},
		},
	)

	path := write(t, ".env", "PORT=3001\nhunter2\nHOST\n")
	_, err = config.Load(config.Input{Environ: []string{"HOME=/home/ada"}, EnvFile: path})
	problem := "cannot be understood: expected NAME=VALUE; there is no = on this line"
	expected := "a line NAME=VALUE, a comment or a blank line"
	wantFaults(t, err, []config.Fault{
		{Name: path + ":2", Source: "env file", Problem: problem, Expected: expected},
		{Name: path + ":3", Source: "env file", Problem: problem, Expected: expected},
	})
}

func TestLoad_AllErrors(t *testing.T) {
	path := write(t, ".env", "PORT=70000 # no\nSLUICE_PROTECTS=demo\n")
	_, err := config.Load(config.Input{Flags: map[string]string{"HOST": "a b"}, EnvFile: path,
		Environ: []string{"HOME=/home/ada", "JWT_AUTH_TOKEN_SECRET=hunter2", "SLUICE_SESSION_IDLE_MINUTES=6h"}})
	if err == nil {
		t.Fatal("no error")
	}
	want := `the configuration has 4 errors

  SLUICE_PROTECTS is not a variable of Sluice; did you mean SLUICE_PROTECT?
      from      {file}:2
      expected  a name that ` + "`sluice config list --all`" + ` shows

  PORT is not a port number
      from      {file}:1
      value     "70000"
      expected  a port number from 1 to 65535
      example   PORT=3000

  HOST is not an IP address or host name
      from      command line
      value     "a b"
      expected  an IP address or a host name, without a port
      example   HOST=0.0.0.0

  SLUICE_SESSION_IDLE_MINUTES is not a plain number; leave out the unit, which is always minutes
      from      environment
      value     "6h"
      expected  a whole number of minutes from 1 to 525600
      example   SLUICE_SESSION_IDLE_MINUTES=60`
	if diff := cmp.Diff(want, strings.ReplaceAll(err.Error(), path, "{file}")); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestExplainUnknown(t *testing.T) {
	l := config.Inspect(config.Input{})
	for name, want := range map[string]string{
		"APP_ULR":       "there is no variable APP_ULR; did you mean APP_URL?",
		"QUITE_ANOTHER": "there is no variable QUITE_ANOTHER; `sluice config list --all` shows all of them",
	} {
		if _, err := l.Explain(name); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}
