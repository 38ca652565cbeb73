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

// MaxForeignRounds is the highest cost of an imported hash. The product that Sluice imports from
// uses this cost; each further round would double the time for which one wrong password delays
// everyone else.
const MaxForeignRounds = 12

var foreignForm = regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)

// ForeignHash returns the stored form of a bcrypt hash from another product. Errors:
// problem.Invalid for a text that is not a bcrypt hash, and for a hash that costs too much.
func ForeignHash(hash string) (string, error) {
	if !foreignForm.MatchString(hash) {
		return "", problem.New(problem.Invalid, "This is not a bcrypt hash.").WithField("password")
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil || cost < bcrypt.MinCost || cost > MaxForeignRounds {
		return "", problem.Newf(problem.Invalid, "The hash has a cost that is not between %d "+
			"and %d.", bcrypt.MinCost, MaxForeignRounds).
			WithField("password")
	}
	return foreignTag + hash, nil
}

// costOf is bcrypt's cost of a stored form, such as "$2b$12$…". An unreadable form gets the maximum
// cost, so it is never padded.
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

// verifyForeign is verifyPassword for a hash from another product. A correct password always
// requests a hash of our own.
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

// ImportedUser is a person with an account in another product.
type ImportedUser struct {
	// Username is required. Email may be empty, and is unverified.
	Username, Email string
	// Hash is a ForeignHash; "" means that a reset link will set a password.
	Hash string
	// Superuser and Active are the account's flags. Waiting means that no one has approved this
	// person there yet.
	Superuser, Active, Waiting bool
	// CreatedAt is when the account was created there.
	CreatedAt time.Time
}

// In returns the account with another first membership. The same transaction may create the
// workspace.
func (p Prepared) In(workspaceID, role string) Prepared {
	p.workspace, p.role = workspaceID, role
	return p
}

// Resource is the account as the gate sees it.
func (p Prepared) Resource() authz.Resource {
	return authz.Resource{Type: "User", ID: p.account.ID, Name: p.account.Username}
}

// CleanUsername checks a username and trims surrounding blanks. The problem's Field is "username".
func CleanUsername(s string) (string, error) { return cleanUsername(s) }

// Resource is the workspace as the gate sees it.
func (w Workspace) Resource() authz.Resource { return workspaceResource(w.ID, w.Name) }

// NameKey is the form in which usernames and addresses are compared.
func NameKey(name string) string { return key(strings.ToValidUTF8(name, "")) }
