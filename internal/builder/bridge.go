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

// OnBehalf says for whom and where a request enters the builder's session.
type OnBehalf struct {
	// Principal is the person; an anonymous one gets no session.
	authz.Principal
	// Workspace is the one that the request is about. It may differ from the one the person works
	// in.
	Workspace string
	// Account is the builder account that holds the object a request names. "" means the account of
	// Workspace, or of the person if each person has an account.
	Account string
}

// Session carries requests into the builder's own session.
type Session interface {
	// Attach adds the headers that the endpoint's upstream needs to a request about to be
	// forwarded, after Profile.CleanRequest has dropped the client's own copies. It adds nothing
	// for anonymous principals and for UpstreamNone. During a renewal it waits until ctx is done at
	// most, and then fails with problem.Unavailable.
	Attach(ctx context.Context, h http.Header, o OnBehalf, e *profile.Endpoint) error
	// Rejected handles a 401 of the builder to the headers that Attach gave. It renews the session
	// once for all callers, and reports whether sending the request again makes sense (after
	// removing what Attach added with Profile.CleanRequest).
	Rejected(ctx context.Context, h http.Header) bool
	// Upstream describes the service account; nil while unknown. Callers must not change the map.
	Upstream() map[string]any
	// Close gives the session back. It cannot be used afterwards.
	Close(ctx context.Context) error
}

// Bridge is what Sluice can do with one connected builder. Session is always set. Every other
// ability is nil if the builder does not have it.
type Bridge struct {
	Session

	// Connect makes sure that people can get in, and otherwise says what is wrong. Health checks
	// use it.
	Connect func(ctx context.Context) error
	// FlowKey is the builder's own key of a kind (profile.Adds) that it requires to run a flow. It
	// is "" if the flow requires no key, or one that does not exist.
	FlowKey func(ctx context.Context, kind, flowID string) (string, error)
	// SetPublic sets the builder's own public mark of a flow. account holds the flow; it is "" for
	// builders without accounts. Errors: problem.NotFound.
	SetPublic func(ctx context.Context, account, flowID string, public bool) error
	// Inventory lists every object that has an owner, of all kinds.
	Inventory func(ctx context.Context) ([]FoundObject, error)
	// Parent asks the builder which object contains this one. hint is the object that the request
	// names beside it, or "". Errors: problem.NotFound.
	Parent func(ctx context.Context, kind flow.Kind, id, hint string) (string, error)
	// FlowsOf lists the ids of the flows that contain a profile.Message, given by its id, or a
	// profile.ChatSession, given by its text, as seen from the accounts of Accounts.Of. An empty
	// list means that it does not exist.
	FlowsOf func(ctx context.Context, o OnBehalf, kind flow.Kind, id string) ([]string, error)
	// Credentials keep credentials in the builder.
	Credentials *Credentials
	// Accounts are those of a builder that keeps its users apart itself.
	Accounts *Accounts
	// Users are all users of such a builder, including those that Sluice does not use.
	Users *Users
}

// FoundObject is an object as the builder lists it.
type FoundObject struct {
	// ID is the builder's own id. Name may be empty.
	ID, Name string
	Kind     flow.Kind
	// Account is the builder account that holds it; "" for builders without accounts.
	Account string
}

// BridgeConfig holds everything a kind may need to create a Bridge.
type BridgeConfig struct {
	// Base is the builder's address as Sluice reaches it.
	Base *url.URL
	// Client carries the bridge's own calls; its redirect rule and cookie jar are not used.
	Client *http.Client
	// Access opens the builder.
	Access Access
	// Now is the clock.
	Now func() time.Time
	// Log receives events for the operator; nil disables them.
	Log *slog.Logger

	AccountConfig
}

// Access holds the credentials that open a builder: the owner's account, or those that get Sluice
// into accounts. Fields that a kind does not use are empty.
type Access struct {
	// Email and Password are the owner's. Superuser is the name that Password belongs to if
	// accounts have names.
	Email, Password, Superuser string
	// SecretKey signs the builder's own tokens.
	SecretKey string
}

// AccountConfig is what the Bridge of a builder with accounts needs in addition.
type AccountConfig struct {
	// Mode is how people get into accounts. PerPerson gives every person of a workspace their own
	// account.
	Mode      Mode
	PerPerson bool
	// Workspace is the app's first one. Health checks look at its account.
	Workspace string
	// Accounts are the known ones.
	Accounts []Account
	// Keep stores a new or changed account. It also forgets the account with the id gone, if gone
	// is not "", because the builder no longer has it. It returns the stored account: if two nodes
	// create the account of the same home at once, that is the one that won.
	Keep func(ctx context.Context, a Account, gone string) (Account, error)
	// Username is the builder's name for the account of a workspace, or of a person in it. It must
	// be different for every home and every app.
	Username func(ctx context.Context, workspace, person string) (string, error)
	// Sign signs assertions (secret.Signer.Sign). Issuer is Sluice's origin, and JWKS the address
	// of its keys.
	Sign         func(claims any) (string, error)
	Issuer, JWKS string
}
