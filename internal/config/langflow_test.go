package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/config"
)

// pageFile is the .env file of Langflow's page "Start a secure Langflow server with
// authentication", verbatim.
const pageFile = `LANGFLOW_AUTO_LOGIN=False
LANGFLOW_SUPERUSER=administrator
LANGFLOW_SUPERUSER_PASSWORD=securepassword
LANGFLOW_SECRET_KEY=your_generated_key
LANGFLOW_NEW_USER_IS_ACTIVE=False
`

// pageKey is the page's own sample key. It has 42 characters, of which Fernet can make no key.
const pageKey = "dBuuuB_FHLvU8T9eUNlxQF9ppqRxwWpXXQ42kM2_fb"

func loadFile(t *testing.T, text string, flags map[string]string) (*config.Loaded, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Input{EnvFile: file, Flags: flags, Environ: []string{"HOME=/home/ada"}})
}

func TestLangflow_OwnEnvFile(t *testing.T) {
	generated := "RkFLRUtFWUZPUlRFU1RTLTAxMjM0NTY3ODlhYmNkZWY"
	others := "LANGFLOW_DATABASE_URL=sqlite:///./langflow.db\nLANGFLOW_HOST=0.0.0.0\n" +
		"LANGFLOW_PORT=7860\nLANGFLOW_WORKERS=4\nLANGFLOW_SOMETHING_NEW=true\nOPENAI_API_KEY=sk-1\n"
	for name, c := range map[string]struct{ text, key string }{
		"verbatim":       {pageFile, "your_generated_key"},
		"key put in":     {strings.Replace(pageFile, "your_generated_key", generated, 1), generated},
		"the page's key": {strings.Replace(pageFile, "your_generated_key", pageKey, 1), pageKey},
		"quotes":         {strings.Replace(pageFile, "=your_generated_key", `="`+generated+`"`, 1), generated},
		"single quotes": {strings.ReplaceAll(strings.Replace(pageFile, "=your_generated_key", "='"+generated+"'", 1),
			"=False", "='False'"), generated},
		"export": {"export " + strings.ReplaceAll(strings.TrimSpace(pageFile), "\n", "\nexport "),
			"your_generated_key"},
		"CRLF": {strings.ReplaceAll(pageFile, "\n", "\r\n"), "your_generated_key"},
		"comments": {"# Langflow\n" + strings.ReplaceAll(pageFile, "\n", "   # as on the page\n"),
			"your_generated_key"},
		"byte order mark":  {"\uFEFF" + pageFile, "your_generated_key"},
		"other variables":  {pageFile + others, "your_generated_key"},
		"empty ones":       {pageFile + "LANGFLOW_LOG_LEVEL=\nLANGFLOW_CACHE_TYPE=\n", "your_generated_key"},
		"no line at end":   {strings.TrimSpace(pageFile), "your_generated_key"},
		"key with a blank": {strings.Replace(pageFile, "=your_generated_key", " = "+generated+"  ", 1), generated},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := loadFile(t, c.text, nil)
			if err != nil {
				t.Fatal(err)
			}
			v := l.Values
			if v.AutoLogin || v.NewUserActive || v.Superuser.Name != "administrator" ||
				v.Superuser.Password.Reveal() != "securepassword" ||
				v.LangflowKey.Reveal() != c.key {
				t.Errorf("read as %+v, key %q, password %q", v, v.LangflowKey.Reveal(), v.Superuser.Password.Reveal())
			}
			for _, w := range l.Warnings {
				if strings.Contains(w, "did you mean") || strings.Contains(w, "not acted on") {
					t.Errorf("warns %q", w)
				}
			}
		})
	}
}

func TestLangflow_SecretKeyName(t *testing.T) {
	for text, want := range map[string]string{
		"FLOWISE_SECRETKEY_OVERWRITE=0123456789abcdef\n":                    "",
		"LANGFLOW_SECRET_KEY=\n":                                            "",
		"LANGFLOW_SECRET_KEY=<your key>\n":                                  "",
		"LANGFLOW_SECRET_KEY=0123456789abcdef0123456789abcdef\n":            "0123456789abcdef0123456789abcdef",
		"NEW_USER_IS_ACTIVE=true\nLANGFLOW_SECRET_KEY=your_generated_key\n": "your_generated_key",
	} {
		l, err := loadFile(t, text, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Values.LangflowKey.Reveal(); got != want {
			t.Errorf("%q gives the key %q, want %q", text, got, want)
		}
	}
}

func TestAutoLogin_LoopbackOnly(t *testing.T) {
	for name, c := range map[string]struct {
		flags map[string]string
		want  string
	}{
		"on loopback":   {nil, ""},
		"localhost":     {map[string]string{"HOST": "localhost"}, ""},
		"IPv6":          {map[string]string{"HOST": "::1"}, ""},
		"local address": {map[string]string{"APP_URL": "http://localhost:3000"}, ""},
		"local app": {map[string]string{"SLUICE_PROTECT": "http://127.0.0.1:7860@http://langflow.localhost:3000"},
			""},
		"every interface": {map[string]string{"HOST": "0.0.0.0"}, "HOST=0.0.0.0"},
		"one interface":   {map[string]string{"HOST": "192.0.2.1"}, "HOST=192.0.2.1"},
		"a name":          {map[string]string{"HOST": "gate.example.com"}, "HOST=gate.example.com"},
		"a public address": {map[string]string{"APP_URL": "https://gate.example.com"}, "APP_URL is " +
			"https://gate.example.com"},
		"a reverse proxy": {map[string]string{"TRUST_PROXY": "loopback"}, "TRUST_PROXY"},
		"hops":            {map[string]string{"TRUST_PROXY": "1"}, "TRUST_PROXY"},
		"an app with a name": {map[string]string{"SLUICE_PROTECT": "http://127.0.0.1:7860@https://flows.example.com"},
			"https://flows.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := loadFile(t, "LANGFLOW_AUTO_LOGIN=True\n", c.flags)
			switch {
			case c.want == "" && (err != nil || !l.Values.AutoLogin):
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), "LANGFLOW_AUTO_LOGIN is True") ||
				!strings.Contains(err.Error(), c.want)):
				t.Errorf("the start stops with %v, which does not tell of %s", err, c.want)
			}
		})
	}
	if l, err := loadFile(t, "LANGFLOW_AUTO_LOGIN=False\n", map[string]string{"HOST": "0.0.0.0"}); err != nil ||
		l.Values.AutoLogin {
		t.Errorf("False on every interface: %v", err)
	}
}
