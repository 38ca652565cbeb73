package identity

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authz"
	"sluice/internal/problem"
)

// MaxForeignRounds is the greatest cost of a hash that is taken over. Those of the product that is
// imported have this one; each more would double the time for which one wrong password keeps
// everybody else waiting.
const MaxForeignRounds = 12

var foreignForm = regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)

// ForeignHash is the stored form of a bcrypt hash that another product has made. Errors:
// problem.Invalid for what is none, and for one that costs too much.
func ForeignHash(hash string) (string, error) {
	if !foreignForm.MatchString(hash) {
		return "", problem.New(problem.Invalid, "This is no bcrypt hash.").WithField("password")
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil || cost < bcrypt.MinCost || cost > MaxForeignRounds {
		return "", problem.Newf(problem.Invalid, "The hash has a cost that is not between %d "+
			"and %d.", bcrypt.MinCost, MaxForeignRounds).
			WithField("password")
	}
	return foreignTag + hash, nil
}

// costOf is bcrypt's cost of a stored form, such as "$2b$12$…"; what cannot be read needs no
// filling.
func costOf(stored string) int {
	parts := strings.SplitN(stored, "$", 4)
	if len(parts) < 4 {
		return MaxForeignRounds
	}
	cost, err := strconv.Atoi(parts[2])
	if err != nil {
		return MaxForeignRounds
	}
	return cost
}

// verifyForeign is verifyPassword for a hash of another product. A right password always asks for a
// hash of our own.
func verifyForeign(hash, password string) (ok, upgrade bool, err error) {
	err = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)[:min(len(password), bcryptLimit)])
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("reading a stored password hash: %w", err)
	}
	return true, true, nil
}

// ImportedUser is somebody who has an account in another product.
type ImportedUser struct {
	// Username is required, Email may be empty; it counts as not proven.
	Username, Email string
	// Hash is a ForeignHash; "" means that a reset link will set a password.
	Hash string
	// Superuser and Active are the account's flags. Waiting means that nobody has let this person
	// in there yet.
	Superuser, Active, Waiting bool
	// CreatedAt is when the account was made there.
	CreatedAt time.Time
}

// In is the account with another first membership. The workspace may be made in the same
// transaction.
func (p Prepared) In(workspaceID, role string) Prepared {
	p.workspace, p.role = workspaceID, role
	return p
}

// Resource is the account as the gate sees it.
func (p Prepared) Resource() authz.Resource {
	return authz.Resource{Type: "User", ID: p.account.ID, Name: p.account.Username}
}

// CleanUsername checks a username and takes surrounding blanks away. The problem's Field is
// "username".
func CleanUsername(s string) (string, error) { return cleanUsername(s) }

// Resource is the workspace as the gate sees it.
func (w Workspace) Resource() authz.Resource { return workspaceResource(w.ID, w.Name) }

// NameKey is the form in which usernames and addresses are compared.
func NameKey(name string) string { return key(strings.ToValidUTF8(name, "")) }
