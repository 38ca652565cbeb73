package config_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/internal/config"
)

// Every variable that one of the two pages names, in its text or in an example.
const onThePages = `
ALLOW_UNAUTHORIZED_CERTS APP_URL AUTO_LOGIN CORS_ORIGINS CUSTOM_MCP_PROTOCOL CUSTOM_MCP_SECURITY_CHECK DATABASE_HOST DATABASE_NAME
DATABASE_PASSWORD DATABASE_PORT DATABASE_SSL DATABASE_TYPE DATABASE_USER DISABLE_FLOWISE_TELEMETRY EXPIRE_AUTH_TOKENS_ON_RESTART
EXPRESS_SESSION_SECRET HTTP_DENY_LIST HTTP_SECURITY_CHECK IFRAME_ORIGINS INVITE_TOKEN_EXPIRY_IN_HOURS JWT_AUDIENCE
JWT_AUTH_TOKEN_SECRET JWT_ISSUER JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES JWT_REFRESH_TOKEN_SECRET JWT_TOKEN_EXPIRY_IN_MINUTES
LANGFLOW_AUTO_LOGIN LANGFLOW_NEW_USER_IS_ACTIVE LANGFLOW_SECRET_KEY LANGFLOW_SUPERUSER LANGFLOW_SUPERUSER_PASSWORD LOG_LEVEL
LOG_SANITIZE_BODY_FIELDS LOG_SANITIZE_HEADER_FIELDS NUMBER_OF_PROXIES PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS PASSWORD_SALT_HASH_ROUNDS
PORT S3_STORAGE_ACCESS_KEY_ID S3_STORAGE_BUCKET_NAME S3_STORAGE_REGION S3_STORAGE_SECRET_ACCESS_KEY SECRETKEY_AWS_ACCESS_KEY
SECRETKEY_AWS_NAME SECRETKEY_AWS_REGION SECRETKEY_AWS_SECRET_KEY SECRETKEY_PATH SECRETKEY_STORAGE_TYPE SECURE_COOKIES SENDER_EMAIL
SMTP_HOST SMTP_PASSWORD SMTP_PORT SMTP_SECURE SMTP_USER STORAGE_TYPE TOKEN_HASH_SECRET TRUST_PROXY WORKSPACE_INVITE_TEMPLATE_PATH
`

// The defaults that the pages state, and where Sluice departs from one.
var pageDefaults = map[string]string{
	"JWT_TOKEN_EXPIRY_IN_MINUTES":         "360",
	"JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES": "43200",
	"EXPIRE_AUTH_TOKENS_ON_RESTART":       "false",
	"ALLOW_UNAUTHORIZED_CERTS":            "false",
	"PASSWORD_SALT_HASH_ROUNDS":           "10",
	"PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS": "15",
	"CORS_ORIGINS":                        "*",
	"IFRAME_ORIGINS":                      "*",
	"TRUST_PROXY":                         "false",
	"HTTP_SECURITY_CHECK":                 "true",
	"CUSTOM_MCP_SECURITY_CHECK":           "true",
	"CUSTOM_MCP_PROTOCOL":                 "sse",
	"INVITE_TOKEN_EXPIRY_IN_HOURS":        "24",
	"LANGFLOW_NEW_USER_IS_ACTIVE":         "False",
	"LANGFLOW_SUPERUSER":                  "langflow",
	"LANGFLOW_AUTO_LOGIN":                 "False", "LANGFLOW_SUPERUSER_PASSWORD": "",
}

func declared() map[string]config.Variable {
	names := map[string]config.Variable{}
	for _, v := range config.Describe() {
		names[v.Name] = v
		for _, alias := range v.Aliases {
			names[alias] = v
		}
	}
	return names
}

func TestRegistry_VariablesOfThePages(t *testing.T) {
	names := declared()
	for _, name := range strings.Fields(onThePages) {
		if v, ok := names[name]; !ok || v.Theirs {
			t.Errorf("%s is on a page but not a variable of Sluice", name)
		}
	}
	for name, want := range pageDefaults {
		if v := names[name]; v.Default != want {
			t.Errorf("%s: default %q, want %q", name, v.Default, want)
		}
	}
	for _, name := range []string{"LANGFLOW_AUTO_LOGIN", "LANGFLOW_SUPERUSER_PASSWORD"} {
		if names[name].Differs == "" {
			t.Errorf("%s departs from its page without saying so", name)
		}
	}
}

func TestRegistry_WellFormed(t *testing.T) {
	seen := map[string]bool{}
	shape := regexp.MustCompile(`^[A-Z][A-Z0-9_]*[A-Z0-9]$`)
	for _, v := range config.Describe() {
		for _, name := range append([]string{v.Name}, v.Aliases...) {
			if seen[name] || !shape.MatchString(name) {
				t.Errorf("%s: declared twice or no name", name)
			}
			seen[name] = true
		}
		if !strings.HasSuffix(v.Text, ".") || !slices.Contains(config.Groups(), v.Group) {
			t.Errorf("%s: text %q, group %q", v.Name, v.Text, v.Group)
		}
		if !v.Theirs && (v.Example == "" || v.Expects() == "") {
			t.Errorf("%s: no example or no expectation", v.Name)
		}
		if strings.HasPrefix(v.Name, "SLUICE_") != (v.From == config.Sluice) {
			t.Errorf("%s is from %s", v.Name, v.From)
		}
	}
	for name := range seen {
		if stem, ok := strings.CutSuffix(name, "_FILE"); ok && seen[stem] {
			t.Errorf("%s can be mistaken for the file of %s", name, stem)
		}
	}
}

// Each default and each example must be accepted, and every wired variable must say what its
// default and its example do.
func TestRegistry_DefaultsAndExamples(t *testing.T) {
	home := []string{"HOME=/home/ada"}
	defaults, err := config.Load(config.Input{Environ: home})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range config.Describe() {
		if v.Theirs {
			continue
		}
		item, err := defaults.Explain(v.Name)
		if err != nil || item.Effect == "" || strings.Contains(item.Effect, "{") {
			t.Errorf("%s: default has effect %q, %v", v.Name, item.Effect, err)
		}
		example := config.Inspect(
			config.Input{Environ: append(home, v.Name+"="+strings.Trim(v.Example, "<>"), "NUMBER_OF_PROXIES=1")},
		)
		item, err = example.Explain(v.Name)
		if err != nil || item.Fault != "" || !item.Set || item.Effect == "" || strings.Contains(item.Effect, "{") {
			if v.Name != "DATABASE_TYPE" {
				t.Errorf("%s=%s: %q, effect %q, %v", v.Name, v.Example, item.Fault, item.Effect, err)
			}
		}
	}
}

func TestDocumentationIsFresh(t *testing.T) {
	have, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != config.Markdown() {
		t.Error("docs/configuration.md is stale: run `make golden`")
	}
}
