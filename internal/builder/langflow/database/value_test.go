package database

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/builder"
)

func TestValue_BothEngines(t *testing.T) {
	for in, want := range map[string]string{
		"0c05aca2ae0b426c96dffb528073be6c":       "0c05aca2-ae0b-426c-96df-fb528073be6c",
		"0C05ACA2-AE0B-426C-96DF-FB528073BE6C":   "0c05aca2-ae0b-426c-96df-fb528073be6c",
		"":                                       "",
		"x":                                      "",
		"0c05aca2ae0b426c96dffb528073be6":        "",
		"{0c05aca2-ae0b-426c-96df-fb528073be6c}": "",
		"00000000000000000000000000000000":       "",
		"urn:uuid:0c05aca2-ae0b-426c-96df-fb528073be6c": "",
	} {
		if got, ok := (text{value: in, given: true}).id(); got != want || ok != (want != "") {
			t.Errorf("%q is the id %q", in, got)
		}
	}
	at := time.Date(2026, 11, 22, 0, 23, 37, 437057000, time.UTC)
	for in, want := range map[string]time.Time{
		"2026-11-22 00:23:37.437057":       at,
		"2026-11-22T00:23:37.437057":       at,
		"2026-11-22 00:23:37.437057+00":    at,
		"2026-11-22 01:23:37.437057+01:00": at,
		"2026-11-22T00:23:37.437057Z":      at,
		"2031-01-02 03:04:05.000000":       time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC),
		"2026-01-01":                       time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		"":                                 {},
	} {
		if got, ok := (text{value: in, given: true}).moment(); !ok || !got.Equal(want) {
			t.Errorf("%q is %s, %v", in, got, ok)
		}
	}
	for _, in := range []string{
		"yesterday",
		"2026-13-40",
		"0001-01-01 00:00:00",
		"infinity",
		"99999-01-01 00:00:00",
		strings.Repeat("1", 100),
		"1795307444",
	} {
		if got, ok := (text{value: in, given: true}).moment(); ok {
			t.Errorf("%q is %s", in, got)
		}
	}
	for in, want := range map[string]bool{
		"1":     true,
		"true":  true,
		"TRUE":  true,
		"t":     true,
		"0":     false,
		"false": false,
		"":      false,
		"2":     false,
		"yes":   false,
	} {
		if got := (text{value: in, given: true}).yes(); got != want {
			t.Errorf("%q is %v", in, got)
		}
	}
}

func TestValue_LiteralSecrets(t *testing.T) {
	flow := func(field string) []byte {
		return []byte(`{"nodes":[{"data":{"node":{"template":{"_type":"Component","f":` + field + `}}}}],"edges":[]}`)
	}
	for field, want := range map[string]int{
		`{"password":true,"load_from_db":false,"value":"sk-1"}`: 1,
		`{"password":true,"value":"sk-1"}`:                      1,
		`{"password":true,"load_from_db":true,"value":"NAME"}`:  0,
		`{"password":true,"value":""}`:                          0,
		`{"password":true,"value":" "}`:                         0,
		`{"password":false,"value":"x"}`:                        0,
		`{"password":true,"value":["x"]}`:                       0,
		`{"password":"yes","value":"x"}`:                        0,
		`null`:                                                  0,
		`"password"`:                                            0,
	} {
		if got := literals(flow(field)); got != want {
			t.Errorf("%s has %d", field, got)
		}
	}
	for _, broken := range []string{
		"",
		"null",
		`{"password"`,
		`{"nodes":"password"}`,
		`{"nodes":[{"data":null}],"password":1}`,
		strings.Repeat(`{"nodes":[`, 5000) + `"password"`,
	} {
		if got := literals([]byte(broken)); got != 0 {
			t.Errorf("%.40s has %d", broken, got)
		}
	}
}

func FuzzValues(f *testing.F) {
	for _, seed := range []string{
		"0c05aca2ae0b426c96dffb528073be6c",
		"0c05aca2-ae0b-426c-96df-fb528073be6c",
		"2026-11-22 00:23:37.437057+00",
		"2026-11-22T00:23:37Z",
		"\x1b[31m",
		"\xff\xfe",
		strings.Repeat("ä", 300),
		"1",
		"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := text{value: s, given: true}
		if id, ok := v.id(); ok {
			again, still := (text{value: strings.ReplaceAll(id, "-", ""), given: true}).id()
			if !still || again != id || len(id) != 36 || strings.ToLower(id) != id {
				t.Errorf("%q is %q, and that %q", s, id, again)
			}
		}
		if at, ok := v.moment(); ok && !at.IsZero() {
			again, still := (text{value: at.Format("2006-01-02 15:04:05.999999999"), given: true}).moment()
			if diff := cmp.Diff(at, again); !still || diff != "" {
				t.Errorf("%q: %s", s, diff)
			}
		}
		if sum, ok := v.digest(); ok && !strings.EqualFold(hex.EncodeToString(sum[:]), s) {
			t.Errorf("%q is a digest", s)
		}
		name := v.shown()
		if !utf8.ValidString(name) || utf8.RuneCountInString(name) > 100 || strings.ContainsAny(name, "\x1b\n\r\x00") ||
			builder.ShownName(name) != name {
			t.Errorf("%q is shown as %q", s, name)
		}
	})
}

func FuzzLiterals(f *testing.F) {
	for _, seed := range []string{
		`{"nodes":[{"data":{"node":{"template":{"f":{"password":true,"value":"x"}}}}}]}`,
		`{"nodes":null,"password":1}`,
		`[]"password"`,
		``,
		`{"nodes":[{"data":{"node":{"template":{"password":[]}}}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if n := literals(data); n < 0 || n > len(data) {
			t.Errorf("%d secrets in %d bytes", n, len(data))
		}
	})
}
