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

// Kind is everything that Sluice must know about one product. What a product does not have is nil
// or empty; whoever uses an ability asks for the field, never for a type. A Kind does not change
// after it was built, and is safe for concurrent use.
type Kind struct {
	// Name is the stored word ("acme"), Title what people read ("Acme").
	Name, Title string

	// Profile compiles the route table. Errors: problem.Invalid with the option's name as Field.
	Profile func(Options) (*profile.Profile, error)
	// Answers are what Sluice answers instead of the builder, by the names that rows use.
	Answers map[string]AnswerFunc
	// Guards are the checks on what a request brings to the builder, by the names that rows use.
	Guards map[string]guard.Check

	// Probe recognizes the product at an address; nil: nothing is ever taken for it by itself.
	Probe func(ctx context.Context, v *Visit) (found Found, is bool, err error)
	// Import reads an installation that ran without Sluice; nil: nothing is brought from one.
	Import *Import
	// Fallback marks the one kind that stands for whatever no Probe recognizes. Sluice knows
	// nothing of its paths, bodies and credentials, so that they are its own matter.
	Fallback bool
	// BuiltIn marks the one kind that Sluice itself runs.
	BuiltIn bool

	// Bridge carries requests into the builder's own session.
	Bridge func(BridgeConfig) *Bridge
	// Owner is set for a builder in which one account, its owner's, serves everybody; nil for
	// others.
	Owner *Owner
	// KeepsCredentials tells that the Bridge has Credentials.
	KeepsCredentials bool
	// Accounts is set for a builder that keeps its users apart itself; nil for others.
	Accounts *AccountSetup

	// Entry is the path to which a freshly signed-in browser is sent so that the builder's own
	// pages know the person. returnPath is a path of the app's origin that was judged. Nil: the
	// returnPath itself.
	Entry func(returnPath string) string
	// Page is what the builder's HTML pages get from Sluice; nil: nothing.
	Page *Page
	// FlowTypes are the builder's words for the type of a flow; a word that is not here means
	// flow.Chatflow.
	FlowTypes map[string]flow.Kind
	// FlowWord is what people call a flow of a kind; nil: by the kind alone.
	FlowWord func(flow.Kind) string
	// FlowPage is the path of a flow's page; nil or "": it has none that can be named.
	FlowPage func(kind flow.Kind, id string) string
	// RunCall is the call that runs a flow with an API key, for examples; nil: there is none.
	RunCall *RunCall
	// Stored tells how a flow is read as it is stored, for versions that need it in the request
	// (profile.Adds.Flow); nil: none does.
	Stored *StoredFlow
	// Shared tells of objects that flows name without an id; nil: there are none.
	Shared *SharedNames
}

// Options are what an operator may decide about a kind.
type Options struct {
	// Open names optional endpoints that are closed unless listed here, such as "metrics".
	Open []string
	// AdminPaths are patterns that need authz.BuilderManage, for a kind without a table; nil:
	// "/admin" and everything below.
	AdminPaths []string
}

// Page is what the builder's HTML pages get so that they know who has signed in.
type Page struct {
	// Script is JavaScript that runs before the pages' own code; empty: none does.
	Script []byte
	// Cookies are those that the pages look for before they show anything to a signed-in person.
	// They hold no secret and never reach the builder.
	Cookies []*http.Cookie
	// Token is what the pages send as a bearer token because of Cookies; it is no credential.
	// Empty: they send none.
	Token string
}

// RunCall is the call that runs a flow.
type RunCall struct {
	// Path stands before the flow's id; Body is an example of a JSON body.
	Path, Body string
}

// StoredFlow tells how a flow is read as it is stored.
type StoredFlow struct {
	// Needed reports whether this version of the builder needs the flow in the request.
	Needed func(version string) bool
	// Path is where strangers read a published flow, whose member "data" is what is needed.
	Path func(flowID string) string
}

// SharedNames tells of objects that flows name without an id, where the builder has one set of
// names for everybody.
type SharedNames struct {
	// Kind is what the objects are.
	Kind flow.Kind
	// Mentions reports whether a body may name one; it is cheap and may be wrong in this direction
	// only.
	Mentions func(body []byte) bool
	// Foreign reports whether a body names one of others, or names one in a way that does not say
	// which.
	Foreign func(body []byte, others []string) bool
	// Taken is what to do where a name is taken; Form is how one's own are named. Both are
	// sentences for people.
	Taken, Form string
}

// Load compiles the route table, and checks that it names no answer and no guard that the kind does
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
				"%s: route table row %s: the kind does not tell how a flow is stored",
				k.Name,
				e.Name,
			)
		}
	}
	return p, nil
}

// Answer gives the answer with this name. Errors are of package problem and to be rendered with
// Profile.Error.
func (k *Kind) Answer(ctx context.Context, name string, c AnswerContext) (Answer, error) {
	fn := k.Answers[name]
	if fn == nil {
		return Answer{}, problem.New(problem.NotFound, "This builder has no such page.").WithRule("answer." + name)
	}
	c.Kind = k.Name
	return fn(ctx, c)
}

// FlowKind is the kind of a flow whose type is known by the builder's word; other kinds stay as
// they are.
func (k *Kind) FlowKind(kind flow.Kind, flowType string) flow.Kind {
	if is, ok := k.FlowTypes[flowType]; ok && kind == flow.Chatflow {
		return is
	}
	return kind
}

// EntryPath is where a freshly signed-in browser goes, see Entry.
func (k *Kind) EntryPath(returnPath string) string {
	if k.Entry == nil {
		return returnPath
	}
	return k.Entry(returnPath)
}

// PageScript is the JavaScript that runs on the builder's HTML pages before their own code; empty:
// none does.
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

// IsPageToken reports whether an Authorization header holds nothing but what the builder's pages
// got by PageCookies.
func (k *Kind) IsPageToken(authorization string) bool {
	return k.Page != nil && k.Page.Token != "" && authorization == "Bearer "+k.Page.Token
}

// Kinds are the products that Sluice knows, by Kind.Name.
type Kinds map[string]*Kind

// NewKinds puts kinds together. It fails where two have one name, where not exactly one is the
// fallback, where two are built in, and where a route table cannot be used.
func NewKinds(list ...*Kind) (Kinds, error) {
	all := Kinds{}
	fallbacks, builtIn := 0, 0
	for _, k := range list {
		if k.Name == "" || all[k.Name] != nil {
			return nil, fmt.Errorf("the kind %q stands twice, or has no name", k.Name)
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
			"exactly one kind is the fallback and at most one is built in; there are %d and %d",
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
	return nil, problem.Newf(problem.Invalid, "%q is not a kind of builder that Sluice knows.", name).
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

// Products lists the products of others that a Probe recognizes, as Titles does.
func (k Kinds) Products() string {
	return k.Titles(func(kind *Kind) bool { return kind.Probe != nil && !kind.Fallback && !kind.BuiltIn })
}

// Fallback is the kind for what no Probe recognizes.
func (k Kinds) Fallback() *Kind {
	for _, kind := range k {
		if kind.Fallback {
			return kind
		}
	}
	return nil
}

// BuiltIn is the kind that Sluice itself runs; nil if there is none.
func (k Kinds) BuiltIn() *Kind {
	for _, kind := range k {
		if kind.BuiltIn {
			return kind
		}
	}
	return nil
}
