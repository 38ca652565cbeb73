package identity

import (
	"strings"
	"unicode/utf8"

	zxcvbn "github.com/ccojocar/zxcvbn-go"
	"golang.org/x/text/unicode/norm"

	"sluice/internal/problem"
)

const (
	// MinPassword is the least length of a new password in characters, for passwords that are the only factor (NIST SP 800-63B-4 section 3.1.1.2).
	MinPassword = 15
	// MaxPassword is the greatest length in bytes, against work without bound. NIST asks for at least 64.
	MaxPassword = 1024
	// guessable is how many characters of a password are looked at by the strength estimate, which grows worse than linearly.
	guessable = 64
)

// CheckPassword reports why a new password is not acceptable: too short, too long, or easy to guess. Hints are words that an attacker would try first
// (username, e-mail, product); they count as guessable. The problem's Field is "password".
func CheckPassword(password string, hints ...string) error {
	refuse := func(text, next string) error {
		return problem.New(problem.Invalid, text).WithField("password").WithNext(next)
	}
	const advice = "Use a sentence or four unrelated words; any characters are fine, blanks too."
	if !utf8.ValidString(password) {
		return refuse("The password is not valid text (UTF-8).", advice)
	}
	if len(password) > MaxPassword {
		return refuse("The password is too long: at most 1,024 bytes.", advice)
	}
	normal := norm.NFKC.String(password)
	if utf8.RuneCountInString(normal) < MinPassword {
		return refuse("The password is too short: at least 15 characters.", advice)
	}
	inputs := []string{"sluice", "flowise", "langflow"}
	for _, h := range hints {
		inputs = append(inputs, h)
		if local, _, ok := strings.Cut(h, "@"); ok {
			inputs = append(inputs, local)
		}
	}
	if zxcvbn.PasswordStrength(prefix(normal, guessable), inputs).Score < 2 {
		return refuse("The password is easy to guess: it is made of common passwords, repeated or neighbouring characters, or your own names.", advice)
	}
	return nil
}

func prefix(s string, runes int) string {
	for i := range s {
		if runes == 0 {
			return s[:i]
		}
		runes--
	}
	return s
}
