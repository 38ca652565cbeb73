package builder

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Import describes how to read an installation that ran without Sluice, so that package importer
// can import its contents.
type Import struct {
	// Read reads everything that the database with this name holds. The name is a path, or a URL in
	// the form of the product's own configuration. Read changes nothing in the database. Its errors
	// tell people what is wrong with the database: problem.Invalid, or problem.Unavailable for a
	// server that does not answer, with Field "--database".
	Read func(ctx context.Context, database string) (*Installation, error)
	// Unsealer derives the key for encrypted values from the installation's secret key. Errors:
	// problem.Invalid for a text that cannot be such a key.
	Unsealer func(secretKey string) (Unsealer, error)
	// KeyPlaces tells people where to find that key: "in …".
	KeyPlaces string
	// Defaults are the passwords that every new installation starts with, so an attacker would try
	// them.
	Defaults []string
	// KeyForm is what an API key of the product looks like, for people: "sk-…".
	KeyForm string
	// CredentialKind is the kind of credential that a secret variable becomes. CredentialField is
	// the name of its one value.
	CredentialKind, CredentialField string
}

// Unsealer opens values that an installation encrypted.
type Unsealer interface {
	// Open decrypts a value. A value that is not encrypted is returned unchanged. Errors:
	// problem.Invalid for a value encrypted with another key.
	Open(value string) (string, error)
}

// Installation is everything read from an installation. Ids have the form that the product's API
// uses. Times are in UTC; zero means never. Only the form of the contents is checked.
type Installation struct {
	// Where names the database for people, without a password. Revision is the product's own schema
	// version.
	Where, Revision string

	Users     []InstalledUser
	Keys      []InstalledKey
	Variables []InstalledVariable
	Projects  []InstalledProject
	Flows     []InstalledFlow
	Files     []InstalledFile
	// Notes are sentences for people about things that are not imported.
	Notes []string
}

// InstalledUser is a user of an installation.
type InstalledUser struct {
	// Name is the name that the user signs in with, any text; see ShownName.
	ID, Name string
	// Hash is the stored hash of the password, in the product's own form.
	Hash              string
	Active, Superuser bool
	// SignedIn reports that the user signed in at least once. Retired reports that an administrator
	// took the account out of use.
	SignedIn, Retired bool
	// Bridged reports that the account exists because Sluice vouched for a person.
	Bridged bool
	Created time.Time
}

// InstalledKey is an API key of an installation.
type InstalledKey struct {
	ID, User, Name string
	// Stored is the key as stored, encrypted if Sealed.
	Stored string
	Sealed bool
	// Hash is the SHA-256 of the key if Hashed is true: not every product stores it.
	Hash   [32]byte
	Hashed bool
	Active bool
	// Ours reports that the key has the name that Sluice uses for keys it creates in an account it
	// enters.
	Ours             bool
	Created, Expires time.Time
	// Timeless reports that the key's expiry time cannot be read.
	Timeless bool
}

// InstalledVariable is a variable of an installation.
type InstalledVariable struct {
	ID, User, Name string
	// Value is encrypted if Sealed.
	Value  string
	Sealed bool
	// Secret reports that the product hides the value from readers. Setting reports that the
	// product keeps its own settings in it.
	Secret, Setting bool
}

// InstalledProject is a folder of flows. Parent is the project that contains it, "" for none.
type InstalledProject struct {
	ID, User, Name, Parent string
	// Default reports that every new user gets this project.
	Default bool
}

// InstalledFlow is a flow. Project is the project that contains it, "" for none.
type InstalledFlow struct{ ID, User, Name, Project string }

// InstalledFile is a file that a user uploaded.
type InstalledFile struct{ ID, User, Name string }

// maxShownName is how much of a name ShownName keeps, in characters.
const maxShownName = 100

// ShownName makes an untrusted name safe to show on a terminal and on a page: one line of printable
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
