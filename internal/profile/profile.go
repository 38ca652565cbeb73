package profile

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/problem"
)

// The kinds of builder.
const (
	// KindFlowise is FlowiseAI's Flowise 3.x.
	KindFlowise = "flowise"
	// KindLangflow is Langflow 1.x.
	KindLangflow = "langflow"
	// KindGeneric is any other web app: judged by method and by rules on admin paths.
	KindGeneric = "generic"
	// KindDemo is the small builder inside Sluice.
	KindDemo = "demo"
)

// Public says whether an endpoint may be open to somebody who is not signed in.
type Public uint8

const (
	// PublicNever needs a signed-in principal.
	PublicNever Public = iota
	// PublicAlways is open to everybody: health, the builder's static files.
	PublicAlways
	// PublicFlow is open to strangers if the flow that the request names is published in Sluice. The builder's own flag does not count.
	PublicFlow
)

// Upstream says whose session the builder sees.
type Upstream uint8

const (
	// UpstreamSession lends the service owner's session to signed-in people. Strangers never get it, on any endpoint.
	UpstreamSession Upstream = iota
	// UpstreamNone never sends a session, whoever asks.
	UpstreamNone
	// UpstreamKey lends an API key of the builder's own, where it takes nothing else.
	UpstreamKey
)

// In is the part of a request where a value stands.
type In uint8

const (
	// InPath is a placeholder of the pattern.
	InPath In = iota
	// InQuery is a query parameter.
	InQuery
	// InBody is a top-level key of a JSON object, or a form field; Whole instead of a key: the body is a list of ids.
	InBody
)

// Whole is the name of an IDRef in a body that is itself the list of ids.
const Whole = "."

// IDRef is a place where an id stands.
type IDRef struct {
	// In is the part of the request.
	In In
	// Name is the placeholder, parameter or key.
	Name string
	// Kind is what the id is of; empty: of nothing that has an owner, such as a chat or a node of a flow.
	Kind flow.Kind
}

// BodyRule asks for a further action when a JSON object (or form) in the body has one of the keys at its top level.
type BodyRule struct {
	// In is the top-level key of a list of objects that the rule is about instead; empty: the body itself.
	In string
	// Keys are compared exactly, after the JSON string was decoded.
	Keys []string
	// Action is needed in addition to Endpoint.Action. Empty: the keys are the builder's to set and are refused for everybody.
	Action authz.Action
	// Permissions are the finer names of Action, see Endpoint.Permissions.
	Permissions []authz.Action
	// Why is said where the keys are refused for everybody; empty: a general sentence.
	Why string
	// Drop takes the keys out of the body of somebody who lacks the right, and lets the request go on without them.
	Drop bool
	// Mark is the key of Keys by which the builder opens a flow to strangers: wherever the rule needs the action; empty:
	// there is none.
	Mark string
	// Unset permits the values null, false and "" without the action: the builder's pages send them for what is not used. See Needs.
	Unset bool
	// Except are texts that need no action. See Needs.
	Except []string
	// Plain permits texts, and lists of texts, that are plain names of files or folders. See Needs.
	Plain bool
}

// Endpoint is one row of a route table. Values are immutable after loading.
type Endpoint struct {
	// Name is stable ("chatflows.update") and shown in denials and the audit.
	Name string
	// Methods are upper case. GET stands for HEAD too.
	Methods []string
	// Pattern is "/literal/{one}/{id:uuid}/{rest...}", see table.go.
	Pattern string
	// Action is the least permission.
	Action authz.Action
	// Permissions are the finer names that are asked for instead of Action, so that custom roles work; any of them will do. Those of agentflows count only for
	// agentflows, those of chatflows only for other flows, as far as the flow's type is known. Empty: Action itself is asked for.
	Permissions []authz.Action
	// Public opens the endpoint to strangers.
	Public Public
	// Flow is where the flow's id stands. The first place that has a value counts, and all that have one must agree. A place with a kind that lies inside a flow
	// (Job) names the flow by what lies in it.
	Flow []IDRef
	// Objects is where ids of other objects stand.
	Objects []IDRef
	// Stream tells that the answer may be a stream; there is no total timeout then.
	Stream bool
	// Upgrade permits a WebSocket upgrade.
	Upgrade bool
	// Upstream is whose session the builder sees.
	Upstream Upstream
	// Answer names what Sluice answers itself, see Profile.Answer; empty: forward.
	Answer string
	// Stranger names what Sluice answers somebody who is not signed in, whatever flow they name, where the flow is not open to them; empty: they are refused.
	Stranger string
	// FlowKey says which key of its own the builder may ask for, for the flow; empty: none. See FlowKeys.
	FlowKey string
	// Body holds rules on keys of the JSON body.
	Body []BodyRule
	// Restores is the member of the body from which older versions of the builder take the flow that they run; empty: none. See Profile.Restores.
	Restores string
	// Guards names the checks of package guard that the request has to pass.
	Guards []string
	// Named tells that the flow may stand in the path by its endpoint name; its id is forwarded in the name's place. What is a UUID is an id.
	Named bool
	// Locked are the members of the answer, separated by blanks, that are set to true for people who may not change the flow, or where there is none, flows at all; empty: none.
	Locked string
	// Denied names what Sluice answers a call of the builder's own page by a signed-in person who lacks the right, so that the page goes on quietly; empty: they are refused.
	Denied string
	// MaxBody is the largest body in bytes; 0 is the server's limit.
	MaxBody int64
	// Page tells that the answer is an HTML page of the builder: strangers are sent to sign in, and the profile's CSP is set.
	Page bool
	// Creates is the kind of object that a successful answer tells of; empty: none. Many tells that the answer is a list of all that were made.
	Creates flow.Kind
	Many    bool
	// Deletes tells that the objects which the request names are gone after a successful answer, Renames that the answer tells their names.
	Deletes, Renames bool
	// List says how the answer lists objects; nil: it does not.
	List *Listing
	// Learn says how the answer tells what lies inside an object; nil: it does not.
	Learn *Lesson
	// Hides names a secret in the answer; nil: there is none.
	Hides *Hiding
	// Runs tells that a request runs the flow that it names, for the audit record.
	Runs bool
	// Imports tells that the endpoint makes objects which its answer does not name.
	Imports bool
	// Shared tells that the endpoint shows or changes what belongs to all workspaces: only superusers may use it.
	Shared bool
	// Blocked is why the endpoint is closed for everybody and what to do instead; empty: open. It is safe to show.
	Blocked string

	// Loose are the placeholders that name no object; NamesObjects tells that there are places of objects' ids, NamesInBody that some are in the body, and
	// ReadsAnswer that the answer tells of objects. They follow from the fields above.
	Loose                                  []string
	NamesObjects, NamesInBody, ReadsAnswer bool

	slash             bool // forwarded with a slash at the end
	params            []string
	askFlow, askAgent []authz.Action
}

// maxParams is the most placeholders that a pattern may have.
const maxParams = 4

// Match is an Endpoint found for a request.
type Match struct {
	// Endpoint is the row; never nil in a match.
	Endpoint *Endpoint
	// Path is what to forward: canonical, escaped, starting with a slash.
	Path string

	values [maxParams]string
}

// Param returns the escaped text of a placeholder, or "".
func (m *Match) Param(name string) string {
	for i, n := range m.Endpoint.params {
		if n == name {
			return m.values[i]
		}
	}
	return ""
}

// Answer is a complete response that Sluice gives in the builder's stead.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// Header holds the content type, Cache-Control and, for some errors, Retry-After.
	Header http.Header
	// Body is the whole body.
	Body []byte
	// Read tells that there is no answer of Sluice's: the builder's to a GET of the same path goes back, and nothing is changed.
	Read bool
}

// AnswerContext is what Profile.Answer may need.
type AnswerContext struct {
	// Principal is who asks; may be anonymous.
	Principal authz.Principal
	// SignInURL is Sluice's sign-in page for this app, absolute.
	SignInURL string
	// SignedOutURL is where a browser goes after signing out, absolute.
	SignedOutURL string
	// SignOut ends the session of Principal.
	SignOut func(context.Context) error
	// Upstream is Bridge.Upstream: the service account as the builder describes it; nil while it is not known.
	Upstream map[string]any
	// Query is the request's parsed query.
	Query url.Values
	// App is the app's id.
	App string
	// Param gives a placeholder of the path, and Body the JSON object of the body, judged like one that is forwarded.
	Param func(name string) string
	Body  func() ([]byte, error)
	// Keys are Sluice's API keys, and Fresh those that were just made; nil where there are none. KeysURL is the page where people manage theirs.
	Keys    *authn.Keys
	Fresh   *FreshKeys
	KeysURL string
	// People are Sluice's people, and Logins how they sign in; nil where the builder's pages show none. NewUserActive tells whether people who are added there may come in at once.
	People        *identity.People
	Logins        *login.Logins
	NewUserActive bool
	// May reports whether the person may use a row of the table, by its name, on an object that Sluice knows.
	May func(endpoint, objectID string) bool
	// AccountURL is the page of one's own account, ConfirmURL where people prove again that it is them, absolute.
	AccountURL, ConfirmURL string
	// Version is the builder's own; "" while it is not known.
	Version string
	// Now is the time of the request.
	Now time.Time
}

// Bridge carries requests into the builder's own session. Implementations: FlowiseBridge, and Passthrough for the rest.
type Bridge interface {
	// Attach adds what the endpoint's upstream needs to the headers of a request about to be forwarded, after the client's own copies were
	// dropped with Profile.CleanRequest. It adds nothing for anonymous principals and for UpstreamNone. While a renewal runs it waits, at
	// most until ctx ends, and then fails with problem.Unavailable.
	Attach(ctx context.Context, h http.Header, l Lent, e *Endpoint) error
	// Rejected is told that the builder answered 401 to the headers that Attach gave. It renews the session once for all callers, and
	// reports whether sending the request again makes sense (after removing what Attach added with Profile.CleanRequest).
	Rejected(ctx context.Context, h http.Header) bool
	// Upstream describes the service account; nil while it is not known. The map must not be changed.
	Upstream() map[string]any
	// Close gives the session back. The bridge cannot be used afterwards.
	Close(ctx context.Context) error
}

// FlowKeys is a Bridge whose builder can ask for a key of its own for single flows, beside the session. People behind Sluice have no such keys and need none.
type FlowKeys interface {
	// FlowKey is the builder's key of a kind (Endpoint.FlowKey) for a flow; "" if it asks for none, or for one that does not exist.
	FlowKey(ctx context.Context, kind, flowID string) (string, error)
}

// Options are what an operator may decide about a profile.
type Options struct {
	// Open names optional endpoints that are closed unless listed here, such as "queues" and "metrics" of Flowise.
	Open []string
	// AdminPaths are patterns of a generic app that need authz.BuilderManage; nil: "/admin" and everything below.
	AdminPaths []string
}

// Profile is what a kind of builder is. It is immutable and safe for concurrent use.
type Profile struct {
	// Kind is one of the Kind constants.
	Kind string
	// Title is the product's name.
	Title string

	table *table
	style style
}

// New makes the profile of a kind. Errors: problem.Invalid with Field "kind" or the option's name.
func New(kind string, o Options) (*Profile, error) {
	switch kind {
	case KindFlowise:
		return newFlowise(o)
	case KindGeneric:
		return newGeneric(o)
	case KindLangflow:
		return newLangflow(o)
	case KindDemo:
		return newDemo()
	}
	return nil, problem.Newf(problem.Invalid, "%q is not a kind of builder that Sluice knows.", kind).
		WithField("kind").WithNext("Use flowise, langflow, generic or demo.")
}

// Match finds the endpoint for a method and a path from Canonical. HEAD follows GET. What is not in the table is not found, and denied.
func (p *Profile) Match(method, canonicalPath string) (Match, bool) {
	return p.table.match(method, canonicalPath)
}

// Endpoint is the row with this name, or nil.
func (p *Profile) Endpoint(name string) *Endpoint {
	for _, e := range p.table.rows {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// Endpoints lists the rows of the table in file order. The slice and its elements must not be changed.
func (p *Profile) Endpoints() []*Endpoint { return p.table.rows }
