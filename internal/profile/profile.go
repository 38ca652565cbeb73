package profile

import (
	"net/http"
	"net/url"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// Public says when an endpoint is open to people who are not signed in.
type Public uint8

const (
	// PublicNever needs a signed-in principal.
	PublicNever Public = iota
	// PublicAlways is open to everyone: health, the builder's static files.
	PublicAlways
	// PublicFlow is open to strangers if the flow that the request names is published in Sluice.
	// The builder's own flag is ignored.
	PublicFlow
)

// Upstream says whose session the builder sees.
type Upstream uint8

const (
	// UpstreamSession uses the service owner's session on behalf of signed-in people. Strangers
	// never get it, on any endpoint.
	UpstreamSession Upstream = iota
	// UpstreamNone never sends a session, for any principal.
	UpstreamNone
	// UpstreamKey uses one of the builder's own API keys on behalf of signed-in people, for
	// endpoints that accept nothing else.
	UpstreamKey
)

// In is the part of a request that holds a value.
type In uint8

const (
	// InPath is a placeholder of the pattern.
	InPath In = iota
	// InQuery is a query parameter.
	InQuery
	// InBody is a top-level key of a JSON object, or a form field. With Whole instead of a key, the
	// body is a list of ids.
	InBody
)

// Whole is the name of an IDRef in a body that is itself the list of ids.
const Whole = "."

// IDRef is a place that holds an id.
type IDRef struct {
	// In is the part of the request.
	In In
	// Name is the placeholder, parameter or key.
	Name string
	// Kind is the kind of object with this id. It is empty for ids without an owner, such as those
	// of a chat or of a node in a flow.
	Kind flow.Kind
	// Named reports that a flow's endpoint name is also allowed here. Sluice forwards the flow's id
	// instead of the name. A UUID is always taken as an id.
	Named bool
}

// Endpoint is one row of a route table. Values are immutable after loading.
type Endpoint struct {
	// Name is stable ("chatflows.update") and appears in denials and the audit.
	Name string
	// Methods are upper case. GET includes HEAD.
	Methods []string
	// Pattern is "/literal/{one}/{id:uuid}/{rest...}", see table.go.
	Pattern string
	// Action is the minimum permission.
	Action authz.Action
	// Permissions are finer names that are checked instead of Action, so that custom roles work;
	// any one of them is enough. Those of agentflows only apply to agentflows and those of
	// chatflows only to other flows, as far as the flow's type is known. If it is empty, Action
	// itself is checked.
	Permissions []authz.Action
	// Public opens the endpoint to strangers.
	Public Public
	// Flow lists the places of the flow's id. The first place with a value is used, and all places
	// with a value must agree. A place whose kind is inside a flow (Job) identifies the flow
	// through the object inside it.
	Flow []IDRef
	// Objects lists the places of other objects' ids.
	Objects []IDRef
	// Stream reports that the answer may be a stream; it then has no total timeout.
	Stream bool
	// Upgrade permits a WebSocket upgrade.
	Upgrade bool
	// Page reports that the answer is an HTML page of the builder: strangers are sent to sign in,
	// and the profile's CSP is set.
	Page bool
	// Upstream says whose session the builder sees.
	Upstream Upstream
	// Own names the answers that Sluice gives instead of the builder.
	Own Own
	// Body holds rules on keys of the JSON body.
	Body []BodyRule
	// Guards names the checks that the request must pass.
	Guards []string
	// Adds names the values that Sluice adds to the request for the builder.
	Adds Adds
	// MaxBody is the largest body in bytes; 0 means the server's limit.
	MaxBody int64
	// Runs reports that a request runs the flow that it names, for the audit record.
	Runs bool
	// Result says what a successful answer means for objects, and how Sluice changes it.
	Result Result
	// Shared reports that the endpoint shows or changes objects of all workspaces. Only superusers
	// may use it.
	Shared bool
	// Blocked says why the endpoint is closed for everyone and what to do instead; empty means
	// open. It is safe to show.
	Blocked string

	// Loose are the placeholders that do not name an object. NamesObjects reports that there are
	// places of objects' ids, NamesInBody that some of them are in the body, and ReadsAnswer that
	// Sluice reads the answer. They are derived from the fields above.
	Loose                                  []string
	NamesObjects, NamesInBody, ReadsAnswer bool

	slash             bool // forwarded with a slash at the end
	params            []string
	askFlow, askAgent []authz.Action
}

// Own holds the names of answers that Sluice gives instead of the builder; the builder's package
// defines them. An empty name means no such answer.
type Own struct {
	// Answer is given to everyone who may use the endpoint; the request is not forwarded.
	Answer string
	// Stranger is given to a person who is not signed in, if the flow that they name is not open to
	// them. It is the same for every flow. Without it they are refused.
	Stranger string
	// Denied is given to a call of the builder's own page by a signed-in person who lacks the
	// permission, so that the page can continue. Without it they are refused.
	Denied string
}

// Adds are values that Sluice adds to a request if the builder needs them.
type Adds struct {
	// FlowKey is the kind of the key that the builder may require for the flow; empty for none.
	FlowKey string
	// Flow is the body member in which some versions of the builder expect the stored flow; empty
	// for none.
	Flow string
}

// Result says what a successful answer means for objects, and how Sluice changes it.
type Result struct {
	// Creates is the kind of the created object in the answer; empty for none. Many reports that
	// the answer is a list of all created objects.
	Creates flow.Kind
	Many    bool
	// Deletes reports that the objects named in the request are gone, Renames that the answer has
	// their names.
	Deletes, Renames bool
	// Imports reports that the endpoint creates objects that its answer does not name.
	Imports bool
	// List says how the answer lists objects; nil if it lists none.
	List *Listing
	// Learn says how the answer reveals what is inside an object; nil if it does not.
	Learn *Lesson
	// Hides names a secret in the answer; nil if it has none.
	Hides *Hiding
	// Locked are members of the answer, separated by blanks. They are set to true for people who
	// may not change the flow, or any flow if the request names none. It is empty for none.
	Locked string
}

// Reads reports whether Sluice reads the answer for objects.
func (r *Result) Reads() bool {
	return r.Creates != "" || r.Deletes || r.Renames || r.Imports || r.List != nil || r.Learn != nil || r.Hides != nil
}

// maxParams is how many placeholders a pattern may have.
const maxParams = 4

// Match is an Endpoint found for a request.
type Match struct {
	// Endpoint is the row; never nil in a match.
	Endpoint *Endpoint
	// Path is the path to forward: canonical, escaped, starting with a slash.
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

// Answer is a complete response that Sluice gives instead of the builder.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// Header holds the content type, Cache-Control and, for some errors, Retry-After.
	Header http.Header
	// Body is the whole body.
	Body []byte
	// Read reports that Sluice has no answer of its own: the client gets the builder's answer to a
	// GET of the same path, and nothing is changed.
	Read bool
}

// Source is the input for a Profile: a table file or rows, and a style.
type Source struct {
	// Table is a route table file, see row. If it is nil, Rows are used instead.
	Table []byte
	Rows  []*Endpoint
	// Open names the optional rows of the table that the operator opened.
	Open []string
	// KeepSlash forwards a slash at the end of a path even if the pattern has none.
	KeepSlash bool
	// FoldCase compares literals case-insensitively.
	FoldCase bool
	// Style describes the remaining peculiarities of the builder's requests and answers.
	Style Style
}

// Profile is a compiled route table with its style. It is immutable and safe for concurrent use.
type Profile struct {
	table *table
	style Style

	headers map[string]bool // Style.Headers, see dropped
}

// New compiles a profile. Errors: *RowError for an invalid row, problem.Invalid with Field "open".
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

// Match finds the endpoint for a method and a path from Canonical. HEAD uses the row of GET. If no
// row matches, the request is denied.
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

// Endpoints lists the rows of the table in file order. Callers must not change the slice or its
// elements.
func (p *Profile) Endpoints() []*Endpoint { return p.table.rows }

// Error renders an error in the builder's shape, so that its pages and clients understand it.
// Detail, next step, rule and request id are safe to show.
func (p *Profile) Error(e *problem.Error, requestID string) Answer {
	contentType, body := p.style.Error(e, requestID)
	a := JSON(e.Kind.Status(), body)
	a.Header.Set("Content-Type", contentType)
	e.SetHeaders(a.Header)
	return a
}

// ErrorFor is Error for a request with the given headers, as the client sent them. If the builder's
// own pages would lose a person's work on a denied call, Style.PageDenied renders the answer.
func (p *Profile) ErrorFor(h http.Header, e *problem.Error, requestID string) Answer {
	if e.Kind != problem.Denied || p.style.PageCall == nil || !p.style.PageCall(h) {
		return p.Error(e, requestID)
	}
	a := p.style.PageDenied(e, requestID)
	e.SetHeaders(a.Header)
	return a
}

// Query parses the raw query of a request strictly (application/x-www-form-urlencoded of the WHATWG
// URL standard, with only '&' as a separator). It returns problem.Invalid for more than 8 KiB or
// 100 pairs, broken escapes, control characters, and text that is not UTF-8. For the parameters by
// which this builder looks up objects, it also refuses repetition, array spelling, and values that
// are not plain tokens.
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

// queryPair decodes one key=value and checks its characters.
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
