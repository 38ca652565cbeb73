package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/importer"
)

// langflow is a database of a Langflow, with its secret key.
func langflow(t *testing.T) (database, secretKey string) {
	t.Helper()
	d := langflowtest.Databases(t)[3]
	return d.File(t), d.SecretKey
}

// shell runs commands on one data folder.
type shell struct {
	t   *testing.T
	env []string
}

func newShell(t *testing.T, env ...string) *shell {
	t.Helper()
	return &shell{
		t,
		append([]string{"HOME=" + t.TempDir(), "DATABASE_PATH=" + t.TempDir(), "PASSWORD_SALT_HASH_ROUNDS=4"}, env...),
	}
}

func (s *shell) run(want int, args ...string) (stdout, stderr string) {
	s.t.Helper()
	var out, errs strings.Builder
	if got := Main(args, s.env, strings.NewReader(""), &out, &errs); got != want {
		s.t.Fatalf("sluice %s: exit code %d: %s%s", strings.Join(args, " "), got, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func TestImport_PlanFirst(t *testing.T) {
	database, secretKey := langflow(t)
	s := newShell(t)
	folder := t.TempDir()
	keyFile, report := filepath.Join(folder, "secret_key"), filepath.Join(folder, "report.json")
	if err := os.WriteFile(keyFile, []byte(secretKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"import", "langflow", "--database", database, "--secret-key-file", keyFile}
	nobody := func() {
		t.Helper()
		if out, _ := s.run(exitDone, "user", "list"); !strings.Contains(out, "No one") {
			t.Errorf("somebody was brought: %s", out)
		}
	}
	out, _ := s.run(exitDone, append(base, "--dry-run", "--report", report)...)
	for _, want := range []string{"2 people: admin, ann", "4 API keys", "--match", "nothing was changed",
		"No Langflow is connected"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan does not say %q:\n%s", want, out)
		}
	}
	nobody()
	if out, errs := s.run(exitUsage, base...); !strings.Contains(errs, "nothing was changed") ||
		!strings.Contains(out, "To import") {
		t.Errorf("without a terminal: %s", errs)
	}
	nobody()
	out, _ = s.run(exitDone, append(base, "--yes", "--report", report)...)
	if !strings.Contains(out, "Done: 5 people, 7 workspaces, 4 API keys, 2 credentials brought.") ||
		!strings.Contains(out, "things brought\n") {
		t.Errorf("%s", out)
	}
	var told importer.Report
	raw, err := os.ReadFile(report)
	if err == nil {
		err = json.Unmarshal(raw, &told)
	}
	if err != nil || !told.Applied || told.Count(importer.KindPerson, importer.Added) != 5 ||
		told.Count(importer.KindPerson, importer.Skipped) != 2 {
		t.Errorf("the report: %+v, %v", told, err)
	}
	for _, leak := range []string{secretKey, "$2b$", "gAAAAA", "sk-openai"} {
		if strings.Contains(out+string(raw), leak) {
			t.Errorf("%q is told", leak)
		}
	}
	if info, err := os.Stat(report); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the report is open to others: %v", info.Mode())
	}
	if out, _ := s.run(exitDone, append(base, "--yes")...); !strings.Contains(out, "There is nothing to import.") {
		t.Errorf("a second run: %s", out)
	}
	if out, _ := s.run(exitDone, "key", "list", "--user", "ann"); !strings.Contains(out, "nightly") ||
		!strings.Contains(out, "sk-") ||
		!strings.Contains(out, "active") {
		t.Errorf("%s", out)
	}
	out, _ = s.run(exitDone, append(base, "--yes", "--rename", "Çelik Ö=celik", "--match", "ANN=ann")...)
	if !strings.Contains(out, "Is called celik here") || !strings.Contains(out, "Is ann here") {
		t.Errorf("%s", out)
	}
}

func TestImport_Errors(t *testing.T) {
	database, secretKey := langflow(t)
	s := newShell(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"import", "langflow", "--database", database}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "missing flags: --database", []string{"import", "langflow"}},
		{exitFailed, "--database: There is no file", []string{"import", "langflow", "--database", "nowhere.db"}},
		{exitFailed, "--secret-key-file: 2 values of this Langflow are encrypted", base},
		{exitFailed, "--secret-key: The secret key opens none", append(base, "--secret-key", "wrong")},
		{exitFailed, "LANGFLOW_SECRET_KEY: The secret key has 42 characters",
			append(base, "--secret-key", strings.Repeat("a", 42))},
		{exitUsage, "both given", append(base, "--secret-key", "x", "--secret-key-file", "y")},
		{exitFailed, "nowhere: no such file", append(base, "--secret-key-file", "nowhere")},
		{exitFailed, "is empty", append(base, "--secret-key-file", empty)},
		{exitFailed, "--app: There is no app", append(base, "--secret-key", secretKey, "--app", "flows")},
		{exitFailed, "--workspaces: A workspace's name", append(base, "--secret-key", secretKey, "--workspaces", "x")},
		{exitFailed, "--match: There is no person called",
			append(base, "--secret-key", secretKey, "--match", "ann=root")},
		{exitFailed, "writing the report",
			append(base, "--secret-key", secretKey, "--dry-run", "--report", "nowhere/report.json")},
	} {
		if _, errs := s.run(c.code, c.args...); !strings.Contains(errs, c.want) || strings.Contains(errs, secretKey) {
			t.Errorf("%v: %s", c.args, errs)
		}
	}
	if out, _ := s.run(exitDone, "user", "list"); !strings.Contains(out, "No one") {
		t.Errorf("somebody was brought: %s", out)
	}
}

// Sluice's root key and Langflow's secret key have one variable. Setting it for the import must not
// lock Sluice's own data.
func TestImport_SecretKey(t *testing.T) {
	database, secretKey := langflow(t)
	s := newShell(t)
	s.run(exitDone, "user", "create", "root@example.com")
	root := func(out string) string {
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "LANGFLOW_SECRET_KEY") {
				return line
			}
		}
		return ""
	}
	before, _ := s.run(exitDone, "secret", "status")
	plain := s.env
	s.env = append(s.env, "LANGFLOW_SECRET_KEY="+secretKey)
	s.run(exitDone, "import", "langflow", "--database", database, "--yes")
	s.env = plain
	after, _ := s.run(exitDone, "secret", "status")
	if a, b := root(before), root(after); a == "" || a != b {
		t.Errorf("the root key was %q and is %q", a, b)
	}
	if out, _ := s.run(exitDone, "user", "list"); !strings.Contains(out, "ann") {
		t.Errorf("nobody was brought: %s", out)
	}
	// Where it is Sluice's own root key too, it stays that.
	shared := langflowtest.Databases(t)[0]
	both := newShell(t, "LANGFLOW_SECRET_KEY="+shared.SecretKey)
	both.run(exitDone, "user", "create", "root@example.com")
	both.run(exitDone, "import", "langflow", "--database", shared.File(t), "--yes")
	if out, _ := both.run(exitDone, "user", "list"); !strings.Contains(out, "ann") {
		t.Errorf("%s", out)
	}
}
