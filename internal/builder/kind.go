package builder

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"sluice/internal/flow"
	"sluice/internal/guard"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// Kind is everything that Sluice must know about one product. Optional abilities are nil or empty.
// Callers check the field; they never use type assertions. A Kind does not change after it is built
// and is safe for concurrent use.
type Kind struct {
	// Name is the stored word ("acme"), Title what people read ("Acme").
	Name, Title string

	// Profile compiles the route table. Errors: problem.Invalid with the option's name as Field.
	Profile func(Options) (*profile.Profile, error)
	// Answers are the answers that Sluice gives instead of the builder, by the names that rows use.
	Answers map[string]AnswerFunc
	// Guards are the checks of what a request brings to the builder, by the names that rows use.
	Guards map[string]guard.Check

	// Probe recognizes the product at an address. If it is nil, no address is recognized as this
	// kind.
	Probe func(ctx context.Context, v *Visit) (found Found, is bool, err error)
	// Import reads an installation that ran without Sluice; nil if Sluice cannot import this
	// product.
	Import *Import
	// Fallback marks the one kind that covers everything no Probe recognizes. Sluice knows nothing
	// about its paths, bodies and credentials and does not interfere with them.
	Fallback bool
	// BuiltIn marks the one kind that Sluice itself runs.
	BuiltIn bool

	// Bridge carries requests into the builder's own session.
	Bridge func(BridgeConfig) *Bridge
	// Owner is set for builders where a single owner account serves every person; nil otherwise.
	Owner *Owner
	// KeepsCredentials reports that the Bridge has Credentials.
	KeepsCredentials bool
	// Accounts is set for builders that keep their users apart themselves; nil otherwise.
	Accounts *AccountSetup

	// Entry is the path to which a freshly signed-in browser is sent so that the builder's own
	// pages know the person. returnPath is a path of the app's origin that was already checked. If
	// Entry is nil, the browser goes to returnPath.
	Entry func(returnPath string) string
	// Page is what Sluice adds to the builder's HTML pages; nil if it adds nothing.
	Page *Page
	// FlowTypes maps the builder's words for a flow's type to kinds. A word that is missing here
	// means flow.Chatflow.
	FlowTypes map[string]flow.Kind
	// FlowWord is the word that people use for a flow of a kind; nil if the kind alone decides.
	FlowWord func(flow.Kind) string
	// FlowPage is the path of a flow's page; nil or "" if flows have no page with a known path.
	FlowPage func(kind flow.Kind, id string) string
	// RunCall is the call that runs a flow with an API key, for examples; nil if the builder lacks
	// one.
	RunCall *RunCall
	// Stored describes how to read a flow as it is stored, for versions that need it in the request
	// (profile.Adds.Flow); nil if no version does.
	Stored *StoredFlow
	// Shared describes objects that flows name without an id; nil if the builder has no such
	// objects.
	Shared *SharedNames
}

// Options are an operator's choices for a kind.
type Options struct {
	// Open names optional endpoints that are closed unless listed here, such as "metrics".
	Open []string
	// AdminPaths are patterns that need authz.BuilderManage, for a kind without a table. Nil means
	// "/admin" and everything below it.
	AdminPaths []string
}

// Page is what Sluice adds to the builder's HTML pages so that they know who is signed in.
type Page struct {
	// Script is JavaScript that runs before the pages' own code; it may be empty.
	Script []byte
	// Cookies are the cookies that the pages look for before they show anything to a signed-in
	// person. They hold no secret and never reach the builder.
	Cookies []*http.Cookie
	// Token is the bearer token that the pages send because of Cookies; it is not a credential. It
	// is empty if they send no token.
	Token string
}

// RunCall is the call that runs a flow.
type RunCall struct {
	// Path is the part of the path before the flow's id. Body is an example of a JSON body.
	Path, Body string
}

// StoredFlow describes how to read a flow as it is stored.
type StoredFlow struct {
	// Needed reports whether this version of the builder needs the flow in the request.
	Needed func(version string) bool
	// Path is where strangers read a published flow. The needed part is its member "data".
	Path func(flowID string) string
}

// SharedNames describes objects that flows name without an id, in a builder with one set of names
// for all its users.
type SharedNames struct {
	// Kind is the kind of these objects.
	Kind flow.Kind
	// Mentions reports whether a body may name such an object. It is cheap; it may report true by
	// mistake, but never false.
	Mentions func(body []byte) bool
	// Foreign reports whether a body names one of others, or names an object in a way that leaves
	// open which one.
	Foreign func(body []byte, others []string) bool
	// Taken says what to do if a name is taken. Form says how people name their own objects. Both
	// are sentences for people.
	Taken, Form string
}

// Load compiles the route table and refuses one that names an answer or a guard that the kind does
// not have.
func (k *Kind) Load(o Options) (*profile.Profile, error) {
	p, err := k.Profile(o)
	if err != nil {
		return nil, err
	}
	for _, e := range p.Endpoints() {
		for _, name := range [...]string{e.Own.Answer, e.Own.Stranger, e.Own.Denied} {
			if _, ok := k.Answers[name]; name != "" && !ok {
				return nil, fmt.Errorf("%s: route table row %s: there is no answer %q", k.Name, e.Name, name)
			}
		}
		for _, name := range e.Guards {
			if k.Guards[name] == nil {
				return nil, fmt.Errorf("%s: route table row %s: there is no guard %q", k.Name, e.Name, name)
			}
		}
		if e.Adds.Flow != "" && k.Stored == nil {
			return nil, fmt.Errorf(
				"%s: route table row %s: the kind does not define how a flow is stored",
				k.Name,
				e.Name,
			)
		}
	}
	return p, nil
}

// Answer returns the answer with this name. Errors are of package problem and must be rendered with
// Profile.Error.
func (k *Kind) Answer(ctx context.Context, name string, c AnswerContext) (Answer, error) {
	fn := k.Answers[name]
	if fn == nil {
		return Answer{}, problem.New(problem.NotFound, "This builder has no such page.").WithRule("answer." + name)
	}
	c.Kind = k.Name
	return fn(ctx, c)
}

// FlowKind refines flow.Chatflow by the builder's word for the flow's type. Other kinds are
// unchanged.
func (k *Kind) FlowKind(kind flow.Kind, flowType string) flow.Kind {
	if is, ok := k.FlowTypes[flowType]; ok && kind == flow.Chatflow {
		return is
	}
	return kind
}

// EntryPath is the path to which a freshly signed-in browser goes, see Entry.
func (k *Kind) EntryPath(returnPath string) string {
	if k.Entry == nil {
		return returnPath
	}
	return k.Entry(returnPath)
}

// PageScript is the JavaScript that runs on the builder's HTML pages before their own code; it may
// be empty.
func (k *Kind) PageScript() []byte {
	if k.Page == nil {
		return nil
	}
	return k.Page.Script
}

// PageCookies are the cookies that the builder's pages look for before they show anything to a
// signed-in person.
func (k *Kind) PageCookies() []*http.Cookie {
	if k.Page == nil {
		return nil
	}
	return k.Page.Cookies
}

// IsPageToken reports whether an Authorization header holds only the token that the builder's pages
// send because of PageCookies.
func (k *Kind) IsPageToken(authorization string) bool {
	return k.Page != nil && k.Page.Token != "" && authorization == "Bearer "+k.Page.Token
}

// Kinds are the products that Sluice knows, by Kind.Name.
type Kinds map[string]*Kind

// NewKinds collects kinds. It fails if two share a name, if there is not exactly one fallback, if
// more than one is built in, or if a route table cannot be used.
func NewKinds(list ...*Kind) (Kinds, error) {
	all := Kinds{}
	fallbacks, builtIn := 0, 0
	for _, k := range list {
		if k.Name == "" || all[k.Name] != nil {
			return nil, fmt.Errorf("the kind %q appears twice, or has no name", k.Name)
		}
		all[k.Name] = k
		if k.Fallback {
			fallbacks++
		}
		if k.BuiltIn {
			builtIn++
		}
		if _, err := k.Load(Options{}); err != nil {
			return nil, err
		}
	}
	if fallbacks != 1 || builtIn > 1 {
		return nil, fmt.Errorf(
			"expected exactly one fallback kind and at most one built-in kind, found %d and %d",
			fallbacks,
			builtIn,
		)
	}
	return all, nil
}

// Find is the kind with this name. Errors: problem.Invalid with Field "kind".
func (k Kinds) Find(name string) (*Kind, error) {
	if kind := k[name]; kind != nil {
		return kind, nil
	}
	return nil, problem.Newf(problem.Invalid, "Sluice does not know the builder kind %q.", name).
		WithField("kind").WithNext("Use " + strings.Join(k.Names(), ", ") + ".")
}

// Names lists the kinds' names in alphabetical order.
func (k Kinds) Names() []string { return slices.Sorted(maps.Keys(k)) }

// Titles lists the titles of some of the kinds in alphabetical order for people, such as "a, b or
// c"; "" for none.
func (k Kinds) Titles(some func(*Kind) bool) string {
	var titles []string
	for _, kind := range k {
		if some(kind) {
			titles = append(titles, kind.Title)
		}
	}
	slices.Sort(titles)
	return choice(titles)
}

// Products lists the third-party products that a Probe recognizes, in the form of Titles.
func (k Kinds) Products() string {
	return k.Titles(func(kind *Kind) bool { return kind.Probe != nil && !kind.Fallback && !kind.BuiltIn })
}

// Fallback is the kind for everything that no Probe recognizes.
func (k Kinds) Fallback() *Kind {
	for _, kind := range k {
		if kind.Fallback {
			return kind
		}
	}
	return nil
}

// BuiltIn is the kind that Sluice itself runs; nil if no kind is built in.
func (k Kinds) BuiltIn() *Kind {
	for _, kind := range k {
		if kind.BuiltIn {
			return kind
		}
	}
	return nil
}
