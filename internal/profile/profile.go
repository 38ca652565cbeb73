package profile

import (
	"net/http"
	"net/url"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// Public says whether an endpoint may be open to somebody who is not signed in.
type Public uint8

const (
	// PublicNever needs a signed-in principal.
	PublicNever Public = iota
	// PublicAlways is open to everybody: health, the builder's static files.
	PublicAlways
	// PublicFlow is open to strangers if the flow that the request names is published in Sluice.
	// The builder's own flag does not count.
	PublicFlow
)

// Upstream says whose session the builder sees.
type Upstream uint8

const (
	// UpstreamSession lends the service owner's session to signed-in people. Strangers never get
	// it, on any endpoint.
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
	// InBody is a top-level key of a JSON object, or a form field; Whole instead of a key: the body
	// is a list of ids.
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
	// Kind is what the id is of; empty: of nothing that has an owner, such as a chat or a node of a
	// flow.
	Kind flow.Kind
	// Named tells that a flow may stand here by its endpoint name; its id is forwarded in the
	// name's place. What is a UUID is an id.
	Named bool
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
	// Permissions are the finer names that are asked for instead of Action, so that custom roles
	// work; any of them will do. Those of agentflows count only for agentflows, those of chatflows
	// only for other flows, as far as the flow's type is known. Empty: Action itself is asked for.
	Permissions []authz.Action
	// Public opens the endpoint to strangers.
	Public Public
	// Flow is where the flow's id stands. The first place that has a value counts, and all that
	// have one must agree. A place with a kind that lies inside a flow (Job) names the flow by what
	// lies in it.
	Flow []IDRef
	// Objects is where ids of other objects stand.
	Objects []IDRef
	// Stream tells that the answer may be a stream; there is no total timeout then.
	Stream bool
	// Upgrade permits a WebSocket upgrade.
	Upgrade bool
	// Page tells that the answer is an HTML page of the builder: strangers are sent to sign in, and
	// the profile's CSP is set.
	Page bool
	// Upstream is whose session the builder sees.
	Upstream Upstream
	// Own names the answers that Sluice gives instead of the builder.
	Own Own
	// Body holds rules on keys of the JSON body.
	Body []BodyRule
	// Guards names the checks that the request has to pass.
	Guards []string
	// Adds names what Sluice puts into the request for the builder.
	Adds Adds
	// MaxBody is the largest body in bytes; 0 is the server's limit.
	MaxBody int64
	// Runs tells that a request runs the flow that it names, for the audit record.
	Runs bool
	// Result says what a successful answer means for objects, and how it is changed.
	Result Result
	// Shared tells that the endpoint shows or changes what belongs to all workspaces: only
	// superusers may use it.
	Shared bool
	// Blocked is why the endpoint is closed for everybody and what to do instead; empty: open. It
	// is safe to show.
	Blocked string

	// Loose are the placeholders that name no object; NamesObjects tells that there are places of
	// objects' ids, NamesInBody that some are in the body, and ReadsAnswer that the answer tells of
	// objects. They follow from the fields above.
	Loose                                  []string
	NamesObjects, NamesInBody, ReadsAnswer bool

	slash             bool // forwarded with a slash at the end
	params            []string
	askFlow, askAgent []authz.Action
}

// Own are the names of answers that Sluice gives instead of the builder; the builder's package has
// them. An empty name means that there is none.
type Own struct {
	// Answer is given to everybody who may use the endpoint; the request is not forwarded.
	Answer string
	// Stranger is given to somebody who is not signed in, whatever flow they name, where the flow
	// is not open to them; without it they are refused.
	Stranger string
	// Denied is given to a call of the builder's own page by a signed-in person who lacks the
	// right, so that the page continues; without it they are refused.
	Denied string
}

// Adds are what Sluice puts into a request where the builder needs it.
type Adds struct {
	// FlowKey is the kind of the key that the builder may ask for, for the flow; empty: none.
	FlowKey string
	// Flow is the member of the body in which some versions of the builder expect the flow as it is
	// stored; empty: none.
	Flow string
}

// Result says what a successful answer means for objects, and what Sluice changes in it.
type Result struct {
	// Creates is the kind of object that the answer tells of; empty: none. Many tells that the
	// answer is a list of all that were created.
	Creates flow.Kind
	Many    bool
	// Deletes tells that the objects which the request names are gone, Renames that the answer
	// tells their names.
	Deletes, Renames bool
	// Imports tells that the endpoint creates objects which its answer does not name.
	Imports bool
	// List says how the answer lists objects; nil: it does not.
	List *Listing
	// Learn says how the answer tells what lies inside an object; nil: it does not.
	Learn *Lesson
	// Hides names a secret in the answer; nil: there is none.
	Hides *Hiding
	// Locked are the members of the answer, separated by blanks, that are set to true for people
	// who may not change the flow, or where there is none, flows at all; empty: none.
	Locked string
}

// Reads reports whether Sluice reads the answer, as far as it tells of objects.
func (r *Result) Reads() bool {
	return r.Creates != "" || r.Deletes || r.Renames || r.Imports || r.List != nil || r.Learn != nil || r.Hides != nil
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
	// Read tells that there is no answer of Sluice's: the builder's to a GET of the same path goes
	// back, and nothing is changed.
	Read bool
}

// Source is what a Profile is made from: a table file or rows, and a style.
type Source struct {
	// Table is a route table file, see row; Rows are used instead where it is nil.
	Table []byte
	Rows  []*Endpoint
	// Open names the optional rows of the table that the operator opened.
	Open []string
	// KeepSlash forwards a slash at the end of a path even where the pattern has none.
	KeepSlash bool
	// FoldCase compares literals without regard to case.
	FoldCase bool
	// Style is what else the builder's requests and answers have of their own.
	Style Style
}

// Profile is a compiled route table with its style. It is immutable and safe for concurrent use.
type Profile struct {
	table *table
	style Style

	headers map[string]bool // Style.Headers, see dropped
}

// New compiles a profile. Errors: *RowError for a row that cannot be used, problem.Invalid with
// Field "open".
func New(s Source) (*Profile, error) {
	t := &table{trimSlash: !s.KeepSlash, foldCase: s.FoldCase}
	if err := t.load(s); err != nil {
		return nil, err
	}
	if s.Style.Error == nil {
		s.Style.Error = rfc9457
	}
	return &Profile{table: t, style: s.Style, headers: dropped(s.Style.Headers...)}, nil
}

// Match finds the endpoint for a method and a path from Canonical. HEAD follows GET. What is not in
// the table is not found, and denied.
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

// Endpoints lists the rows of the table in file order. The slice and its elements must not be
// changed.
func (p *Profile) Endpoints() []*Endpoint { return p.table.rows }

// Error renders an error as the builder would, so that its pages and clients understand it. Detail,
// next step, rule and request id are safe.
func (p *Profile) Error(e *problem.Error, requestID string) Answer {
	contentType, body := p.style.Error(e, requestID)
	a := JSON(e.Kind.Status(), body)
	a.Header.Set("Content-Type", contentType)
	e.SetHeaders(a.Header)
	return a
}

// ErrorFor is Error for a request with the given headers, as the client sent them. It differs where
// the builder's own pages would lose a person's work: a denied call of theirs is answered as
// Style.PageDenied says.
func (p *Profile) ErrorFor(h http.Header, e *problem.Error, requestID string) Answer {
	if e.Kind != problem.Denied || p.style.PageCall == nil || !p.style.PageCall(h) {
		return p.Error(e, requestID)
	}
	a := p.style.PageDenied(e, requestID)
	e.SetHeaders(a.Header)
	return a
}

// Query parses the raw query of a request strictly (application/x-www-form-urlencoded of the WHATWG
// URL standard, only '&' separates). It refuses with problem.Invalid: more than 8 KiB or 100 pairs,
// broken escapes, control characters, text that is not UTF-8, and, for the parameters by which this
// builder finds objects, repetition, array spelling and values that are not plain tokens.
func (p *Profile) Query(raw string) (url.Values, error) {
	if len(raw) > MaxTarget {
		return nil, badQuery("The query is longer than 8 KiB.", "query.length")
	}
	values := url.Values{}
	if raw == "" {
		return values, nil
	}
	if strings.Count(raw, "&") >= maxPairs {
		return nil, badQuery("The query has more than 100 parameters.", "query.count")
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		key, value, err := p.queryPair(pair)
		if err != nil {
			return nil, err
		}
		if err := p.style.Query.check(key, value, seen); err != nil {
			return nil, err
		}
		values[key] = append(values[key], value)
	}
	return values, nil
}

// queryPair decodes one key=value and judges its characters.
func (p *Profile) queryPair(pair string) (key, value string, err error) {
	for i := range len(pair) {
		if c := pair[i]; c <= ' ' || c >= 0x7f || c == '#' || c == ';' || c == '\\' || c == '<' || c == '>' ||
			c == '"' {
			return "", "", badQuery("The query has a character that must be escaped.", "query.character")
		}
	}
	rawKey, rawValue, _ := strings.Cut(pair, "=")
	key, err1 := url.QueryUnescape(rawKey)
	value, err2 := url.QueryUnescape(rawValue)
	if err1 != nil || err2 != nil {
		return "", "", badQuery("The query has a broken percent escape.", "query.escape")
	}
	if !PlainText(key) || !PlainText(value) {
		return "", "", badQuery("The query has a control character or is not UTF-8.", "query.character")
	}
	if p.style.Query.PlainKeys && !plainKey(key) {
		return "", "", badQuery("The query has a parameter name that this builder does not know.", "query.name")
	}
	return key, value, nil
}
