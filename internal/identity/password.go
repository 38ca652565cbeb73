package identity

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"sluice/internal/problem"
)

const (
	// MinPassword is the minimum length of a new password in characters, for passwords that are the
	// only factor (NIST SP 800-63B-4 section 3.1.1.2).
	MinPassword = 15
	// MaxPassword is the maximum length in bytes, to bound the work. NIST requires at least 64.
	MaxPassword = 1024
)

func checkPassword(password string, names []string) error {
	refuse := func(text, next string) error {
		return problem.New(problem.Invalid, text).WithField("password").WithNext(next)
	}
	const advice = "Use your own sentence or four unrelated words. All characters are allowed, including spaces."
	if !utf8.ValidString(password) {
		return refuse("The password is not valid text (UTF-8).", advice)
	}
	if len(password) > MaxPassword {
		return refuse("The password is too long: at most 1,024 bytes.", advice)
	}
	normal := norm.NFKC.String(password)
	if min(utf8.RuneCountInString(password), utf8.RuneCountInString(normal)) < MinPassword {
		return refuse("The password is too short: at least 15 characters.", advice)
	}
	if made := guessable(normal, names); len(made) > 0 {
		return refuse("The password is easy to guess: it consists of "+enumerate(made)+".", advice)
	}
	return nil
}

// enumerate joins words as in a sentence.
func enumerate(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
