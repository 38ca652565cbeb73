package builder

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"sluice/internal/flow"
)

// Mode is how people get into the accounts of a builder that keeps its users apart itself. Its text
// is stored. The zero value means that no mode is chosen yet.
type Mode string

// Account is a builder account in which the bridge acts for people. The objects in it belong to the
// account's workspace.
type Account struct {
	// ID is the builder's own id for the account. Username is its name in the builder.
	ID, Username string
	// Workspace is the account's workspace. Person is its only user, or "" if the whole workspace
	// shares it.
	Workspace, Person string
	// Adopted reports that the account existed before Sluice used it. Nothing new is created in it,
	// unless a request names an object that it holds.
	Adopted bool
	// Password and Key open the account, as far as Sluice has them. Key is one of the builder's API
	// keys.
	Password, Key string
}

// Accounts are the accounts of a builder that has one for each workspace or person.
type Accounts struct {
	// Set replaces the list of accounts. Accounts that stay the same keep the sessions they have in
	// use.
	Set func(accounts []Account)
	// Of lists the ids of the accounts that a request may go into. The account for new objects
	// comes first, if it exists already. Of does no I/O.
	Of func(o OnBehalf) []string
	// Own is the id of the account for new objects. It is created if it does not exist.
	Own func(ctx context.Context, o OnBehalf) (string, error)
	// Find looks in the accounts of Of for an object that Sluice does not know yet. Errors:
	// problem.NotFound.
	Find func(ctx context.Context, o OnBehalf, kind flow.Kind, id string) (account string, found FoundObject, err error)
	// FlowNamed is the id of the flow with this endpoint name in the accounts of Of. Errors:
	// problem.NotFound.
	FlowNamed func(ctx context.Context, o OnBehalf, name string) (flowID string, err error)
	// HomeOf is the workspace of an account; "" if Sluice does not know the account.
	HomeOf func(account string) string
	// Holdings lists every object in one account of a kind that Sluice knows. Errors:
	// problem.NotFound.
	Holdings func(ctx context.Context, account string) ([]FoundObject, error)
}

// Users are all users of a builder with accounts, whether or not Sluice acts in their accounts.
type Users struct {
	// List lists all users and how much each holds. Errors: problem.Conflict without a superuser.
	List func(ctx context.Context) ([]User, error)
	// Get is one user, without its holdings. Errors: problem.NotFound.
	Get func(ctx context.Context, id string) (User, error)
	// Superuser is the superuser whose credentials Sluice has. held is how much it holds beyond
	// what every user has from the start. Errors: problem.Conflict without a superuser.
	Superuser func(ctx context.Context) (user User, held int, err error)
}

// UnknownCount is the number of objects in an account that Sluice cannot look into.
const UnknownCount = -1

// User is a user of a builder and how much it holds.
type User struct {
	// ID and Username are the builder's own.
	ID, Username      string
	Active, Superuser bool
	// Flows, Projects and Files are how many of each the user holds. They are UnknownCount if
	// Sluice cannot look into the account without changing its password.
	Flows, Projects, Files int
}

// Owner describes a builder with a single owner account, whose session is used on behalf of
// everyone.
type Owner struct {
	// NewPassword generates a password of more than 128 random bits that the builder accepts.
	NewPassword func() string
	// Register creates the first account of a builder. Errors: problem.Conflict if the builder
	// already has an owner, problem.Invalid with the field if it refuses the name, address or
	// password, problem.Upstream or Timeout.
	Register func(ctx context.Context, c *http.Client, base *url.URL, a OwnerAccount) error
	// Test signs the owner in and out once. Errors: problem.Unauthenticated with Field
	// "owner_password", problem.Upstream, Unavailable or Timeout. Close the Bridge of the same
	// builder first, so that two sign-ins never overlap.
	Test func(ctx context.Context, c *http.Client, base *url.URL, a OwnerAccount) error
}

// OwnerAccount is the owner's account of a builder.
type OwnerAccount struct {
	// Name is only used for registration.
	Name string
	// Email is the account's address, Password its password.
	Email, Password string
}

// AccountSetup describes how Sluice gets into the accounts of a builder that keeps its users apart
// itself.
type AccountSetup struct {
	// Modes are the ways in, the best one first.
	Modes []ModeText
	// Test tries each way in with the known credentials, in the order of Modes. It signs in at most
	// once.
	Test func(ctx context.Context, c BridgeConfig) []Trial
	// TrustLines are the settings that make the builder trust Sluice's assertions, as lines of a
	// .env file.
	TrustLines func(issuer, jwks string) string
	// Texts are sentences for people.
	Texts AccountTexts
	// Form holds the builder's own words for the page that connects it.
	Form AccountForm
}

// AccountForm holds the builder's own words for the page that connects a builder with accounts.
type AccountForm struct {
	// SecretName is the builder's name for its secret key. SecretHint says where to find it.
	SecretName, SecretHint string
	// SuperuserHint gives the builder's name for its superuser.
	SuperuserHint string
	// TrustNote says which versions do not support TrustLines; "" if all do.
	TrustNote string
	// Command is the command line that connects the builder at this address.
	Command func(upstream string) string
}

// AccountTexts are sentences about a builder with accounts.
type AccountTexts struct {
	// NotConnected says what to do if no way in is chosen yet, NoWay if none of them works.
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

// Mode is the text of a way in. ok is false if the builder does not have it.
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
	// Title and Tradeoff help the person who chooses.
	Title, Tradeoff string
	// How completes the sentence "people get in …".
	How string
	// Assertions reports that the builder verifies what Sluice signs, so it needs TrustLines.
	// NewPasswords reports that adopted users get a new password.
	Assertions, NewPasswords bool
}

// Trial is the outcome of testing one way into the accounts.
type Trial struct {
	Mode Mode
	// OK means that it works now.
	OK bool
	// Detail says what the test saw. Next says what to set or do. Both are safe to show.
	Detail, Next string
}
