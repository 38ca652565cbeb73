package identity

import (
	"net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice/internal/problem"
)

var usernameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$`)

func invalid(field, text string) error { return problem.New(problem.Invalid, text).WithField(field) }

// key is the form in which names are compared.
func key(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// cleanUsername checks a username: 2 to 64 ASCII letters, digits, dot, dash and underscore. Other
// scripts would allow two names that look the same.
func cleanUsername(s string) (string, error) {
	s = strings.TrimSpace(s)
	if !usernameForm.MatchString(s) {
		return "", invalid(
			"username",
			"A username must have 2 to 64 letters (a to z), digits, dots, dashes or underscores, and start with a "+
				"letter or digit.",
		)
	}
	return s, nil
}

// cleanEmail checks an address (RFC 5322 addr-spec, at most 254 ASCII characters); empty is
// accepted.
func cleanEmail(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	const expected = "This is not an email address; expected is the form ann@example.com."
	if len(s) > 254 {
		return "", invalid("email", "An email address can have at most 254 characters.")
	}
	for _, r := range s {
		if r > unicode.MaxASCII || r <= ' ' {
			return "", invalid("email", expected)
		}
	}
	parsed, err := mail.ParseAddress(s)
	if err != nil || parsed.Address != s || parsed.Name != "" {
		return "", invalid("email", expected)
	}
	return s, nil
}

// cleanName checks a full name: at most 100 printable characters; empty is accepted.
func cleanName(s string) (string, error) {
	s = strings.Join(strings.Fields(s), " ")
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > 100 {
		return "", invalid("name", "A name can have at most 100 characters.")
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return "", invalid("name", "A name can contain only printable characters.")
		}
	}
	return s, nil
}

// CleanEmail checks an address and trims surrounding blanks; empty is accepted. The problem's Field
// is "email".
func CleanEmail(s string) (string, error) { return cleanEmail(s) }
