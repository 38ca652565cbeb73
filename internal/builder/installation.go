package builder

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Import tells how an installation of a product that ran without Sluice is read, so that package
// importer can bring what is in it.
type Import struct {
	// Read reads all that the database with this name holds: a path, or a URL as the product's own
	// configuration has it. It changes nothing there. Errors tell people what is wrong with the
	// database: problem.Invalid, or problem.Unavailable for a server that does not answer, with
	// Field "--database".
	Read func(ctx context.Context, database string) (*Installation, error)
	// Unsealer derives what opens encrypted values from the installation's secret key. Errors:
	// problem.Invalid for a text that cannot be such a key.
	Unsealer func(secretKey string) (Unsealer, error)
	// KeyPlaces tells where people find that key: "in …".
	KeyPlaces string
	// Defaults are passwords with which every installation begins, so that anybody would try them.
	Defaults []string
	// KeyForm is what an API key of the product looks like, for people: "sk-…".
	KeyForm string
	// CredentialKind and CredentialField are the kind of a credential that a secret variable
	// becomes, and the name of its one value.
	CredentialKind, CredentialField string
}

// Unsealer opens values that an installation has encrypted.
type Unsealer interface {
	// Open decrypts a value; one that is not encrypted comes back as it is. Errors: problem.Invalid
	// for a value of another key.
	Open(value string) (string, error)
}

// Installation is what was read of an installation. Ids have the form that the product's API uses,
// times are UTC and zero for never. Nothing in it was checked beyond its form.
type Installation struct {
	// Where names the database for people, without a password. Revision is the product's own mark
	// of its schema's version.
	Where, Revision string

	Users     []InstalledUser
	Keys      []InstalledKey
	Variables []InstalledVariable
	Projects  []InstalledProject
	Flows     []InstalledFlow
	Files     []InstalledFile
	// Notes are sentences for people about what is not brought.
	Notes []string
}

// InstalledUser is a user of an installation.
type InstalledUser struct {
	// Name is what the user signs in with, any text; see ShownName.
	ID, Name string
	// Hash is the stored hash of the password, in the form that the product uses.
	Hash              string
	Active, Superuser bool
	// SignedIn tells that the user has signed in at least once, Retired that an administrator has
	// taken the account out of use.
	SignedIn, Retired bool
	// Bridged tells that the account exists because Sluice has vouched for somebody.
	Bridged bool
	Created time.Time
}

// InstalledKey is an API key of an installation.
type InstalledKey struct {
	ID, User, Name string
	// Stored is the key as it is stored, encrypted if Sealed.
	Stored string
	Sealed bool
	// Hash is the SHA-256 of the key where the product stores it, which Hashed tells.
	Hash   [32]byte
	Hashed bool
	Active bool
	// Ours tells that the key has the name by which Sluice creates one in an account that it
	// enters.
	Ours             bool
	Created, Expires time.Time
	// Timeless tells that the time at which it expires cannot be read.
	Timeless bool
}

// InstalledVariable is a variable of an installation.
type InstalledVariable struct {
	ID, User, Name string
	// Value is encrypted if Sealed.
	Value  string
	Sealed bool
	// Secret tells that the product keeps it from being read. Setting tells that the product keeps
	// its own settings in it.
	Secret, Setting bool
}

// InstalledProject is a folder of flows. Parent is the project that it lies in, "" for none.
type InstalledProject struct {
	ID, User, Name, Parent string
	// Default tells that every user begins with it.
	Default bool
}

// InstalledFlow is a flow. Project is where it lies, "" for nowhere.
type InstalledFlow struct{ ID, User, Name, Project string }

// InstalledFile is a file that a user has uploaded.
type InstalledFile struct{ ID, User, Name string }

// maxShownName is how much of a name ShownName keeps, in characters.
const maxShownName = 100

// ShownName is a foreign name as it can be shown on a terminal and on a page: one line of printable
// characters, at most 100 of them.
func ShownName(s string) string {
	if len(s) > 16*maxShownName {
		s = strings.ToValidUTF8(s[:16*maxShownName], "")
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > maxShownName {
		s = string([]rune(s)[:maxShownName-1]) + "…"
	}
	return s
}
