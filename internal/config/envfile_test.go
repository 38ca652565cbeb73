package config_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/config"
)

func TestParseEnvFile(t *testing.T) {
	tests := []struct {
		name, text string
		want       []config.Entry
	}{
		{"empty", "", nil},
		{"blank lines and comments", "\n  \n# X=1\n  # Y=2\n", nil},
		{"plain", "X=1", []config.Entry{{"X", "1", 1}}},
		{"no value", "X=\nY=2\n", []config.Entry{{"X", "", 1}, {"Y", "2", 2}}},
		{"blanks around", " \tX \t=\t a b \t\n", []config.Entry{{"X", "a b", 1}}},
		{
			"export",
			"export X=1\nexport\tY=2\nexportZ=3",
			[]config.Entry{{"X", "1", 1}, {"Y", "2", 2}, {"exportZ", "3", 3}},
		},
		{"a variable named export", "export=1", []config.Entry{{"export", "1", 1}}},
		{"CRLF", "X=1\r\nY=2\r\n", []config.Entry{{"X", "1", 1}, {"Y", "2", 2}}},
		{"byte order mark", "\uFEFFX=1\n", []config.Entry{{"X", "1", 1}}},
		{"comment after a value", "X=360  # 6 hours\nY=1\t# tab", []config.Entry{{"X", "360", 1}, {"Y", "1", 2}}},
		{"only a comment", "X= # nothing\nY=2", []config.Entry{{"X", "", 1}, {"Y", "2", 2}}},
		{"# inside a value", "X=a#b\nY=#c", []config.Entry{{"X", "a#b", 1}, {"Y", "#c", 2}}},
		{"equals signs", "X=a=b==", []config.Entry{{"X", "a=b==", 1}}},
		{"quotes in the middle", `X=a"b'c`, []config.Entry{{"X", `a"b'c`, 1}}},
		{"single quotes are literal", `X='a # \n "b" ' # c`, []config.Entry{{"X", `a # \n "b" `, 1}}},
		{"backticks are literal", "X=`a'\"\\n`", []config.Entry{{"X", `a'"\n`, 1}}},
		{"double quotes", `X = "a # \"b\" \\ \$c\td"# e`, []config.Entry{{"X", "a # \"b\" \\ $c\td", 1}}},
		{"unknown escapes stay", `X="C:\data\é"`, []config.Entry{{"X", `C:\data\é`, 1}}},
		{"no expansion", "X=${HOME}\nY=\"$HOME\"", []config.Entry{{"X", "${HOME}", 1}, {"Y", "$HOME", 2}}},
		{"several lines", "X=\"-----BEGIN-----\nabc\n-----END-----\"\nY='a\r\nb'\nZ=1", []config.Entry{
			{"X", "-----BEGIN-----\nabc\n-----END-----", 1}, {"Y", "a\nb", 4}, {"Z", "1", 6}}},
		{"twice", "X=1\nX=2", []config.Entry{{"X", "1", 1}, {"X", "2", 2}}},
		{"placeholder", "X=<32-byte-hex-string>", []config.Entry{{"X", "<32-byte-hex-string>", 1}}},
		{"no line end at the end of quotes", `X="1"`, []config.Entry{{"X", "1", 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := config.ParseEnvFile([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnvFile_Errors(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no equals sign", "X=1\nhunter2\n", "line 2: expected NAME=VALUE; there is no = on this line"},
		{"YAML", "X: 1", "line 1: expected NAME=VALUE; this looks like NAME: VALUE"},
		{"no name", "=1", "line 1: expected NAME=VALUE; there is no name before the ="},
		{
			"name with a dash",
			"A-B=1",
			"line 1: expected NAME=VALUE; a name has letters, digits and underscores only and does not begin with a " +
				"digit",
		},
		{
			"name with a digit first",
			"1X=1",
			"line 1: expected NAME=VALUE; a name has letters, digits and underscores only and does not begin with a " +
				"digit",
		},
		{"open quote", "A=1\nX=\"abc\nY=2\nZ=3", `line 2: the quote " opened here is never closed`},
		{
			"text after a quote",
			`X="hun"ter2`,
			`line 1: unexpected text after the " that closes the value begun on line 1`,
		},
		{"control character", "X=a\x01b", "line 1: the value of X holds a control character"},
		{"NUL", "X=a\x00b", "line 1: the value of X holds a control character"},
		{"not UTF-8", "X=1\nY=\xff\n", "line 2: is not UTF-8 text"},
		{"UTF-16", "\xff\xfeX\x00=\x001\x00", "line 1: the file is UTF-16; save it as UTF-8"},
		{
			"every line is told",
			"a\nX=1\nb",
			"line 1: expected NAME=VALUE; there is no = on this line\nline 3: expected NAME=VALUE; there is no = on " +
				"this line",
		},
		{"too large", strings.Repeat("#", config.MaxEnvFile+1), "line 1: the file is larger than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.ParseEnvFile([]byte(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2") {
				t.Error("the error repeats a value")
			}
		})
	}
}

// Whatever the bytes: no panic, line numbers inside the file, names that are names, no word of a
// value in an error, and a value written back in single quotes reads as itself.
func FuzzEnvFile(f *testing.F) {
	for _, seed := range []string{"X=1", "export X = 'a' # b", "X=\"a\\n\nb\"\nY=`c`", "\uFEFFX=1\r\n", "X", "=", "X='",
		"\xff", "A: b", "X= # c", "JWT=<32-byte>  # 6 hours"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := config.ParseEnvFile(data)
		lines := 1 + strings.Count(string(data), "\n")
		last := 0
		for _, e := range entries {
			if e.Line <= last || e.Line > lines {
				t.Fatalf("line %d after %d of %d", e.Line, last, lines)
			}
			last = e.Line
			checkRoundTrip(t, e)
		}
		var le *config.LineError
		if errors.As(err, &le) && (le.Line < 1 || le.Line > lines || le.Problem == "") {
			t.Fatalf("bad error %+v", le)
		}
	})
}

func checkRoundTrip(t *testing.T, e config.Entry) {
	t.Helper()
	if strings.ContainsAny(e.Name, " =\n") || !utf8.ValidString(e.Value) {
		t.Fatalf("bad entry %+v", e)
	}
	if strings.ContainsAny(e.Value, "'\r") {
		return
	}
	again, err := config.ParseEnvFile([]byte(e.Name + "='" + e.Value + "'"))
	if err != nil || len(again) != 1 || again[0].Name != e.Name || again[0].Value != e.Value {
		t.Fatalf("%+v reads back as %+v, %v", e, again, err)
	}
}
