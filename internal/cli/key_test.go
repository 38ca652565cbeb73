package cli

import (
	"regexp"
	"strings"
	"testing"
)

// TestKey_RotateAndRevoke needs the id that was printed, which a script cannot take over.
func TestKey_RotateAndRevoke(t *testing.T) {
	env := []string{"HOME=" + t.TempDir(), "DATABASE_PATH=" + t.TempDir(), "PASSWORD_SALT_HASH_ROUNDS=4"}
	run := func(want int, args ...string) (stdout, stderr string) {
		t.Helper()
		var out, errs strings.Builder
		if got := Main(args, env, strings.NewReader(""), &out, &errs); got != want {
			t.Fatalf("sluice %s: exit code %d: %s%s", strings.Join(args, " "), got, out.String(), errs.String())
		}
		return out.String(), errs.String()
	}
	run(exitDone, "user", "create", "ann@example.com")
	first, told := run(exitDone, "key", "create", "ann", "ci")
	id := regexp.MustCompile(`id ([0-9a-f-]{36})`).FindStringSubmatch(told)[1]
	second, told := run(exitDone, "key", "rotate", id, "--overlap", "24h")
	if second == first || !strings.HasPrefix(second, "sluice_") ||
		!strings.Contains(told, "The previous key works until") {
		t.Errorf("rotated: %q %q", second, told)
	}
	run(exitFailed, "key", "rotate", id, "--overlap", "169h")
	if out, _ := run(exitDone, "key", "revoke", id); out != "Revoked "+id+".\n" {
		t.Errorf("revoked: %q", out)
	}
	if out, _ := run(exitDone, "key", "list"); !strings.Contains(out, "revoked") {
		t.Errorf("the list: %s", out)
	}
	run(exitFailed, "key", "rotate", id)
}
