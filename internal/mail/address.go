package mail

import (
	"net/mail"
	"strings"
	"unicode"

	"sluice/internal/problem"
)

// Address is a person's name and email address.
type Address struct {
	// Name may be empty.
	Name string
	// Email is an RFC 5322 addr-spec of at most 254 ASCII characters.
	Email string
}

const maxAddress = 254

// check refuses a text that is not an address. Above all it refuses line breaks, which could inject
// headers or SMTP commands.
func (a Address) check() error {
	bad := problem.New(problem.Invalid, "This is not an email address; expected is the form ann@example.com.").
		WithField("email")
	if a.Email == "" || len(a.Email) > maxAddress ||
		strings.ContainsFunc(a.Email, func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII || r == 0x7f }) {
		return bad
	}
	parsed, err := mail.ParseAddress(a.Email)
	if err != nil || parsed.Address != a.Email || parsed.Name != "" {
		return bad
	}
	return nil
}

// standard is the address with a name that is safe in a header.
func (a Address) standard() *mail.Address {
	return &mail.Address{Name: header(a.Name), Address: a.Email}
}
