package builder

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"sluice/internal/flow"
)

// Mode is how people get into the accounts of a builder that keeps users apart itself. Its text is
// stored. The zero value means that none was chosen.
type Mode string

// Account is an account of a builder that people are carried into. What it holds belongs to its
// workspace.
type Account struct {
	// ID is the builder's own, Username its name there.
	ID, Username string
	// Workspace is where it belongs. Person is whose it is; "": the whole workspace shares it.
	Workspace, Person string
	// Adopted tells that it was there before. Nothing new is created in it, unless a request names
	// something that it holds.
	Adopted bool
	// Password and Key open it, as far as Sluice has them. Key is an API key of the builder's.
	Password, Key string
}

// Accounts are those of a builder with an account for each workspace or person.
type Accounts struct {
	// Set tells which accounts there are now. What is in use of those that stay the same stays.
	Set func(accounts []Account)
	// Of lists the ids of the accounts that a request may go into, the one for new things first if
	// it exists already. It does no I/O.
	Of func(o OnBehalf) []string
	// Own is the id of the account for new things; it is created if it does not exist.
	Own func(ctx context.Context, o OnBehalf) (string, error)
	// Find looks in the accounts of Of for something that Sluice does not know yet. Errors:
	// problem.NotFound.
	Find func(ctx context.Context, o OnBehalf, kind flow.Kind, id string) (account string, found FoundObject, err error)
	// FlowNamed is the id of the flow with this endpoint name in the accounts of Of. Errors:
	// problem.NotFound.
	FlowNamed func(ctx context.Context, o OnBehalf, name string) (flowID string, err error)
	// HomeOf is the workspace that an account belongs to; "" if Sluice does not know it.
	HomeOf func(account string) string
	// Holdings is everything in one account that Sluice knows. Errors: problem.NotFound.
	Holdings func(ctx context.Context, account string) ([]FoundObject, error)
}

// Users are the users that a builder with accounts has, whether Sluice uses them or not.
type Users struct {
	// List lists all, with how much each holds. Errors: problem.Conflict without a superuser.
	List func(ctx context.Context) ([]User, error)
	// Get is one of them, without what it holds. Errors: problem.NotFound.
	Get func(ctx context.Context, id string) (User, error)
	// Superuser is the one that Sluice has, and how much it holds apart from what every user has.
	// Errors: problem.Conflict without a superuser.
	Superuser func(ctx context.Context) (user User, held int, err error)
}

// UnknownCount is the number of objects in an account that Sluice cannot look into.
const UnknownCount = -1

// User is a user of a builder, with what it holds.
type User struct {
	// ID and Username are the builder's own.
	ID, Username      string
	Active, Superuser bool
	// Flows, Projects and Files are how many it holds; UnknownCount where Sluice cannot look into
	// the account without changing its password.
	Flows, Projects, Files int
}

// Owner is for a builder with one owner account, whose session is used on behalf of everybody.
type Owner struct {
	// NewPassword is a password of more than 128 random bits that the builder accepts.
	NewPassword func() string
	// Register creates the first account of a builder. Errors: problem.Conflict if it has an owner
	// already, problem.Invalid with the field if it refuses the name, address or password,
	// problem.Upstream or Timeout.
	Register func(ctx context.Context, c *http.Client, base *url.URL, a OwnerAccount) error
	// Test signs the owner in once and out again. Errors: problem.Unauthenticated with Field
	// "owner_password", problem.Upstream, Unavailable or Timeout. The Bridge of the same builder is
	// closed before, so that two sign-ins never meet.
	Test func(ctx context.Context, c *http.Client, base *url.URL, a OwnerAccount) error
}

// OwnerAccount is the owner's account of a builder.
type OwnerAccount struct {
	// Name is only used for registration.
	Name string
	// Email is the account's address, Password its password.
	Email, Password string
}

// AccountSetup is for a builder that keeps its users apart itself: how Sluice gets into their
// accounts.
type AccountSetup struct {
	// Modes are the ways in, the best one first.
	Modes []ModeText
	// Test tries each way in with what is known, in the order of Modes. It signs in at most once.
	Test func(ctx context.Context, c BridgeConfig) []Trial
	// TrustLines are the settings by which the builder trusts Sluice's assertions, as lines of a
	// .env file.
	TrustLines func(issuer, jwks string) string
	// Texts are sentences for people.
	Texts AccountTexts
	// Form is what the page that connects the builder says in the builder's own words.
	Form AccountForm
}

// AccountForm is what the page that connects a builder with accounts says in the builder's own
// words.
type AccountForm struct {
	// SecretName is what the builder calls its secret key, SecretHint where it is found.
	SecretName, SecretHint string
	// SuperuserHint says what the builder calls its superuser.
	SuperuserHint string
	// TrustNote says which versions do not know TrustLines; "" if all do.
	TrustNote string
	// Command is the command line that connects the builder at this address.
	Command func(upstream string) string
}

// AccountTexts are sentences about a builder with accounts.
type AccountTexts struct {
	// NotConnected is what to do where nobody has chosen a way in, NoWay where none works.
	NotConnected, NoWay string
}

// ModeNames lists the ways in for people, such as "a, b or c".
func (s *AccountSetup) ModeNames() string {
	names := make([]string, len(s.Modes))
	for i, m := range s.Modes {
		names[i] = string(m.Mode)
	}
	return choice(names)
}

// choice lists words for people, such as "a, b or c".
func choice(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Mode is the text of a way in; ok is false if there is no such way.
func (s *AccountSetup) Mode(m Mode) (text ModeText, ok bool) {
	for _, text := range s.Modes {
		if text.Mode == m {
			return text, true
		}
	}
	return ModeText{}, false
}

// ModeText is what people read about a way into the accounts.
type ModeText struct {
	Mode Mode
	// Title and Tradeoff are for whoever chooses.
	Title, Tradeoff string
	// How ends the sentence "people get in …".
	How string
	// Assertions tells that the builder verifies what Sluice signs, so that it needs TrustLines.
	// NewPasswords tells that users which are adopted get another password.
	Assertions, NewPasswords bool
}

// Trial is what a test of one way into the accounts found.
type Trial struct {
	Mode Mode
	// OK means that it works now.
	OK bool
	// Detail says what was seen; Next what to set or to do. Both are safe to show.
	Detail, Next string
}
