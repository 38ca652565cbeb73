package builder

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/profile"
)

// OnBehalf says for whom and where a request goes into the builder's session.
type OnBehalf struct {
	// Principal is the person; anonymous gets no session.
	authz.Principal
	// Workspace is the one that the request is about. It may be another one of the person's than
	// the one they work in.
	Workspace string
	// Account is the builder's account that holds what the request names; "": the one of Workspace,
	// and of the person where each has one.
	Account string
}

// Session carries requests into the builder's own session.
type Session interface {
	// Attach adds what the endpoint's upstream needs to the headers of a request about to be
	// forwarded, after the client's own copies were dropped with Profile.CleanRequest. It adds
	// nothing for anonymous principals and for UpstreamNone. While a renewal runs it waits, at most
	// until ctx ends, and then fails with problem.Unavailable.
	Attach(ctx context.Context, h http.Header, o OnBehalf, e *profile.Endpoint) error
	// Rejected is told that the builder answered 401 to the headers that Attach gave. It renews the
	// session once for all callers, and reports whether sending the request again makes sense
	// (after removing what Attach added with Profile.CleanRequest).
	Rejected(ctx context.Context, h http.Header) bool
	// Upstream describes the service account; nil while it is not known. The map must not be
	// changed.
	Upstream() map[string]any
	// Close gives the session back. The session cannot be used afterwards.
	Close(ctx context.Context) error
}

// Bridge is what Sluice can do with one connected builder. Session is always there; each other
// ability is nil where the builder does not have it.
type Bridge struct {
	Session

	// Connect makes sure that people can get in, and tells what is wrong otherwise; for health
	// checks.
	Connect func(ctx context.Context) error
	// FlowKey is the key of the builder's own, of a kind (profile.Adds), that it asks for where a
	// flow is run; "" if it asks for none, or for one that does not exist.
	FlowKey func(ctx context.Context, kind, flowID string) (string, error)
	// SetPublic sets the builder's own mark of a public flow; account holds it, "" for builders
	// without accounts. Errors: problem.NotFound.
	SetPublic func(ctx context.Context, account, flowID string, public bool) error
	// Inventory lists every object that has an owner, of all kinds.
	Inventory func(ctx context.Context) ([]FoundObject, error)
	// Parent asks the builder in which object something lies; hint is the object that the request
	// names beside it, or "". Errors: problem.NotFound.
	Parent func(ctx context.Context, kind flow.Kind, id, hint string) (string, error)
	// FlowsOf lists the ids of the flows in which a profile.Message, by its id, or a
	// profile.ChatSession, by its text, lies, as the accounts of Accounts.Of see it. None: there is
	// no such thing.
	FlowsOf func(ctx context.Context, o OnBehalf, kind flow.Kind, id string) ([]string, error)
	// Credentials keep credentials in the builder.
	Credentials *Credentials
	// Accounts are those of a builder that keeps its users apart itself.
	Accounts *Accounts
	// Users are all users of such a builder, those that Sluice does not use among them.
	Users *Users
}

// FoundObject is an object of a builder, as the builder lists it.
type FoundObject struct {
	// ID is the builder's own, Name may be empty.
	ID, Name string
	Kind     flow.Kind
	// Account is the builder's account that holds it; "" for builders without accounts.
	Account string
}

// BridgeConfig is what a Bridge is made from. A kind uses what it needs.
type BridgeConfig struct {
	// Base is the builder's address as Sluice reaches it.
	Base *url.URL
	// Client carries the bridge's own calls; its redirect rule and cookie jar are not used.
	Client *http.Client
	// Access opens the builder.
	Access Access
	// Now is the clock.
	Now func() time.Time
	// Log gets what an operator should know; nil: nobody does.
	Log *slog.Logger

	AccountConfig
}

// Access is what opens a builder: the owner's account, or what Sluice needs to get into accounts.
// Fields that a kind does not use are empty.
type Access struct {
	// Email and Password are the owner's; Superuser is the name that Password belongs to where
	// accounts have names.
	Email, Password, Superuser string
	// SecretKey signs the builder's own tokens.
	SecretKey string
}

// AccountConfig is what the Bridge of a builder with accounts needs besides.
type AccountConfig struct {
	// Mode is how people get into accounts. PerPerson gives every person of a workspace an account
	// of their own.
	Mode      Mode
	PerPerson bool
	// Workspace is the app's first one; its account is what a health check looks at.
	Workspace string
	// Accounts are the known ones.
	Accounts []Account
	// Keep stores a new or changed account, and forgets the one with the id gone, if there is one,
	// because the builder no longer has it. It returns the account that is stored: of two nodes
	// that create the account of one home at the same time, the one that won.
	Keep func(ctx context.Context, a Account, gone string) (Account, error)
	// Username is what the account for a workspace, or for a person in it, is called in the
	// builder. It must be different for every home and every app.
	Username func(ctx context.Context, workspace, person string) (string, error)
	// Sign signs assertions (secret.Signer.Sign). Issuer is Sluice's origin, JWKS the address of
	// its keys.
	Sign         func(claims any) (string, error)
	Issuer, JWKS string
}
