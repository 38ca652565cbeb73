package cli

import (
	"flag"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts' golden files")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sluice": func() { os.Exit(Main(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// The scripts run the real program. Set -update to write new golden files into them.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", "/home/ada")
			return nil
		},
	})
}

func TestExitCodes(t *testing.T) {
	tests := []struct {
		args string
		want int
	}{
		{"version", 0}, {"--help", 0}, {"config check", 0}, {"config explain PORT", 0},
		{
			"",
			2,
		}, {"nonsense", 2}, {"config", 2}, {"config explain NONSENSE", 2}, {"config check --set PORT=x", 2},
		{"config list --set PORT=x", 2},
		{"config explain PORT --set PORT=x", 2}, {"config explain HOST --set PORT=x", 0},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var out, errs strings.Builder
			if got := Main(strings.Fields(tt.args), []string{"HOME=/home/ada"}, strings.NewReader(""), &out,
				&errs); got != tt.want {
				t.Errorf("exit code %d, want %d", got, tt.want)
			}
			if (errs.Len() > 0) != (tt.want != 0) {
				t.Errorf("standard error: %q", errs.String())
			}
		})
	}
	if got := Main([]string{"version"}, nil, strings.NewReader(""), brokenPipe{},
		new(strings.Builder)); got != exitFailed {
		t.Errorf("output that cannot be written: exit code %d, want %d", got, exitFailed)
	}
}

// brokenPipe is an output whose reader is gone.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestVersionOf(t *testing.T) {
	commit := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"},
		{Key: "vcs.modified", Value: "true"},
	}
	tests := []struct {
		info debug.BuildInfo
		want string
	}{
		{debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: commit}, "v1.2.3"},
		{
			debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: commit},
			"development 0123456789ab, modified",
		},
		{debug.BuildInfo{}, "development"},
	}
	for _, tt := range tests {
		if got := versionOf(&tt.info); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestWrap(t *testing.T) {
	tests := []struct {
		name, line          string
		head, indent, width int
		want                string
	}{
		{"fits", "a b c", 0, 2, 10, "a b c\n"},
		{"breaks", "aaa bbb ccc", 0, 2, 7, "aaa bbb\n  ccc\n"},
		{"head keeps its blanks", "x   y  aaa bbb", 7, 7, 10, "x   y  aaa\n       bbb\n"},
		{"a long word stands alone", "a bbbbbbbbbb c", 0, 1, 5, "a\n bbbbbbbbbb\n c\n"},
		{"counts characters", "äää öö", 0, 0, 6, "äää öö\n"},
		{"empty", "", 4, 4, 10, "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, wrap(tt.line, tt.head, tt.indent, tt.width)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWidth(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want int
	}{
		{nil, defaultWidth}, {[]string{"COLUMNS=80"}, 80}, {[]string{"COLUMNS=20"}, minWidth}, {[]string{"COLUMNS=999"},
			maxWidth},
		{[]string{"COLUMNS=x"}, defaultWidth}, {[]string{"COLUMNS=-1"}, defaultWidth},
	} {
		rt := &Runtime{Env: tt.env, Stdout: new(strings.Builder)}
		if got := rt.width(); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.env, got, tt.want)
		}
	}
}

func TestListenFlags(t *testing.T) {
	rt := &Runtime{
		Globals: Globals{Set: []string{"LOG_LEVEL=debug", "DATABASE_NAME=a=b"}},
		Env:     []string{"HOME=/home/ada", "PORT=4000", "HOST=::1"},
	}
	loaded, err := rt.Load(ListenFlags{Port: "0", Protect: []string{"demo", "http://127.0.0.1:3001"}}.Variables())
	if err != nil {
		t.Fatal(err)
	}
	v := loaded.Values
	if v.Port != 0 || v.Host != "::1" || len(v.Protect) != 2 || v.Database.Name != "a=b" {
		t.Errorf("%+v", v)
	}
	rt.Set = append(rt.Set, "PORT=1")
	if _, err := rt.Load(ListenFlags{Port: "0"}.Variables()); err == nil ||
		err.Error() != "PORT is given twice on the command line" {
		t.Errorf("%v", err)
	}
}
