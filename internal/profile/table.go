package profile

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// row is an Endpoint as written in a table file. A path is made of segments:
//
//	literal        exactly this text; unreserved characters only
//	{name}         one segment, any canonical text
//	{name:token}   one segment of unreserved characters, ':' and '@', unchanged by any decoding
//	{name:uuid}    a UUID in lower case (RFC 9562 section 4), as builders store it
//	{name...}      one or more segments to the end; must be last
//
// A path that ends in a slash matches with and without it, and is always forwarded with it.
type row struct {
	Name       string         `yaml:"name"`
	Methods    []string       `yaml:"methods"`
	Path       string         `yaml:"path"`
	Action     authz.Action   `yaml:"action"`
	Permission []authz.Action `yaml:"permission"`
	Public     string         `yaml:"public"`
	Flow       []string       `yaml:"flow"`
	Objects    []string       `yaml:"objects"`
	Stream     bool           `yaml:"stream"`
	Upgrade    bool           `yaml:"upgrade"`
	Upstream   string         `yaml:"upstream"`
	Answer     string         `yaml:"answer"`
	Stranger   string         `yaml:"stranger"`
	FlowKey    string         `yaml:"flow_key"`
	Restores   string         `yaml:"restores"`
	Guards     []string       `yaml:"guards"`
	Named      bool           `yaml:"named"`
	Locked     string         `yaml:"locked"`
	Denied     string         `yaml:"denied"`
	Body       []struct {
		Keys       []string       `yaml:"keys"`
		Action     authz.Action   `yaml:"action"`
		Permission []authz.Action `yaml:"permission"`
		In         string         `yaml:"in"`
		Unset      bool           `yaml:"unset"`
		Except     []string       `yaml:"except"`
		Plain      bool           `yaml:"plain"`
		Drop       bool           `yaml:"drop"`
		Mark       string         `yaml:"mark"`
		// Refused means that no action is enough; it replaces Action. Why explains the refusal.
		Refused bool   `yaml:"refused"`
		Why     string `yaml:"why"`
	} `yaml:"body"`
	Creates  flow.Kind `yaml:"creates"`
	Many     bool      `yaml:"many"`
	Deletes  bool      `yaml:"deletes"`
	Renames  bool      `yaml:"renames"`
	Imports  bool      `yaml:"imports"`
	Runs     bool      `yaml:"runs"`
	Shared   bool      `yaml:"shared"`
	List     *Listing  `yaml:"list"`
	Learn    *Lesson   `yaml:"learn"`
	Hides    *Hiding   `yaml:"hides"`
	MaxBody  int64     `yaml:"max_body"`
	Page     bool      `yaml:"page"`
	Blocked  string    `yaml:"blocked"`
	Optional string    `yaml:"optional"`
}

// RowError is an invalid row of a route table.
type RowError struct {
	// Name and Pattern are the row's.
	Name, Pattern string
	// Err says what is wrong.
	Err error
}

// Error names the row and its fault.
func (e *RowError) Error() string {
	return fmt.Sprintf("route table row %s (%s): %v", e.Name, e.Pattern, e.Err)
}

// Unwrap returns the fault.
func (e *RowError) Unwrap() error { return e.Err }

// load fills the table with the rows of a source.
func (t *table) load(s Source) error {
	rows := s.Rows
	if s.Table != nil {
		var err error
		if rows, err = readTable(s.Table, s.Open); err != nil {
			return err
		}
	}
	for _, e := range rows {
		if err := t.add(e); err != nil {
			return &RowError{Name: e.Name, Pattern: e.Pattern, Err: err}
		}
	}
	return nil
}

// readTable reads a table file. open names the optional rows that the operator opened.
func readTable(data []byte, open []string) ([]*Endpoint, error) {
	var rows []row
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&rows); err != nil {
		return nil, fmt.Errorf("reading the route table: %w", err)
	}
	for _, name := range open {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.Optional == name }) {
			return nil, problem.Newf(problem.Invalid, "%q is not an optional route of this builder.", name).
				WithField("open")
		}
	}
	out := make([]*Endpoint, len(rows))
	for i, r := range rows {
		e, err := r.endpoint(open)
		if err != nil {
			return nil, &RowError{Name: r.Name, Pattern: r.Path, Err: err}
		}
		out[i] = e
	}
	return out, nil
}

func (r *row) endpoint(open []string) (*Endpoint, error) {
	e := &Endpoint{
		Name:        r.Name,
		Methods:     r.Methods,
		Pattern:     r.Path,
		Action:      r.Action,
		Permissions: r.Permission,
		Stream:      r.Stream,
		Upgrade:     r.Upgrade,
		Page:        r.Page,
		Own:         Own{Answer: r.Answer, Stranger: r.Stranger, Denied: r.Denied},
		Guards:      r.Guards,
		Adds:        Adds{FlowKey: r.FlowKey, Flow: r.Restores},
		MaxBody:     r.MaxBody,
		Runs:        r.Runs,
		Result: Result{
			Creates: r.Creates,
			Many:    r.Many,
			Deletes: r.Deletes,
			Renames: r.Renames,
			Imports: r.Imports,
			List:    r.List,
			Learn:   r.Learn,
			Hides:   r.Hides,
			Locked:  r.Locked,
		},
		Shared:  r.Shared,
		Blocked: strings.TrimSpace(r.Blocked),
	}
	if r.Optional != "" && slices.Contains(open, r.Optional) {
		e.Blocked = ""
	}
	for _, b := range r.Body {
		e.Body = append(e.Body, BodyRule{
			In:          b.In,
			Keys:        b.Keys,
			Action:      b.Action,
			Permissions: b.Permission,
			Unset:       b.Unset,
			Except:      b.Except,
			Plain:       b.Plain,
			Drop:        b.Drop,
			Mark:        b.Mark,
			Why:         b.Why,
		})
	}
	var ok1, ok2 bool
	e.Public, ok1 = map[string]Public{"": PublicNever, "always": PublicAlways, "flow": PublicFlow}[r.Public]
	e.Upstream, ok2 = map[string]Upstream{
		"": UpstreamSession, "session": UpstreamSession, "none": UpstreamNone, "key": UpstreamKey,
	}[r.Upstream]
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("public %q or upstream %q is not a known word", r.Public, r.Upstream)
	}
	var err error
	if e.Flow, err = idRefs(r.Flow, flow.Chatflow); err != nil {
		return nil, err
	}
	for i := range e.Flow {
		e.Flow[i].Named = r.Named && e.Flow[i].In == InPath && e.Flow[i].Kind == flow.Chatflow
	}
	if e.Objects, err = idRefs(r.Objects, ""); err != nil {
		return nil, err
	}
	return e, r.check(e)
}

// check finds rows that say too little or contradict themselves.
func (r *row) check(e *Endpoint) error {
	named := func(ref IDRef) bool { return ref.Named }
	switch {
	case e.Name == "" || len(e.Methods) == 0:
		return fmt.Errorf("name and methods are needed")
	case r.Optional != "" && r.Blocked == "":
		return fmt.Errorf("an optional row needs the sentence for when it is closed")
	case e.Action == "" && r.Blocked == "":
		return fmt.Errorf("a row that is not blocked needs an action")
	case e.Action != "" && !slices.Contains(authz.Actions(), e.Action):
		return fmt.Errorf("action %q does not exist", e.Action)
	case (e.Public == PublicFlow || e.Adds.FlowKey != "") && len(e.Flow) == 0:
		return fmt.Errorf("public: flow and flow_key need the place of the flow's id")
	case r.Named && !slices.ContainsFunc(e.Flow, named):
		return fmt.Errorf("named needs the flow's place in the path")
	case r.Locked != "" && !slices.Contains(e.Methods, http.MethodGet):
		return fmt.Errorf("locked is only for rows that read")
	case r.Denied != "" && (e.Blocked != "" || e.Public != PublicNever):
		return fmt.Errorf("denied is for rows that need a right")
	case r.Many && r.Creates == "":
		return fmt.Errorf("many needs creates")
	case r.Answer != "" && (len(e.Guards) > 0 || e.Upstream != UpstreamSession):
		return fmt.Errorf("what Sluice answers itself needs no guards and no upstream")
	}
	if err := checkObjects(e); err != nil {
		return err
	}
	for _, b := range r.Body {
		if len(b.Keys) == 0 || b.Refused == slices.Contains(authz.Actions(), b.Action) || b.Refused && b.Action != "" {
			return fmt.Errorf("body rule %v: keys are needed, and either an existing action or refused", b)
		}
		if b.Drop && (b.Refused || b.In != "") {
			return fmt.Errorf("body rule %v: only top-level keys that need an action can be dropped", b)
		}
		if b.Mark != "" && (b.In != "" || !slices.Contains(b.Keys, b.Mark)) {
			return fmt.Errorf("body rule %v: the mark is none of its top-level keys", b)
		}
	}
	return nil
}

// idRefs reads "path.flow", "query.chatflowid", "body.chatflowid", and with a kind "path.tool
// tool".
func idRefs(texts []string, kind flow.Kind) ([]IDRef, error) {
	var refs []IDRef
	for _, text := range texts {
		where, word, kinded := strings.Cut(text, " ")
		in, name, ok := strings.Cut(where, ".")
		place, known := map[string]In{"path": InPath, "query": InQuery, "body": InBody}[in]
		if !ok || !known || name == "" {
			return nil, fmt.Errorf(
				"id place %q must be path.NAME, query.NAME or body.NAME, and a kind may follow",
				text,
			)
		}
		ref := IDRef{In: place, Name: name, Kind: kind}
		if kinded {
			if ref.Kind = flow.Kind(word); !owned(ref.Kind) && !inside(ref.Kind) {
				return nil, fmt.Errorf("id place %q: there is no such kind of object", text)
			}
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// verb indexes the methods that a table may hold.
type verb int

const (
	verbGet verb = iota
	verbPost
	verbPut
	verbPatch
	verbDelete
	verbs
)

func verbOf(method string) (verb, bool) {
	switch method {
	case http.MethodGet, http.MethodHead:
		return verbGet, true
	case http.MethodPost:
		return verbPost, true
	case http.MethodPut:
		return verbPut, true
	case http.MethodPatch:
		return verbPatch, true
	case http.MethodDelete:
		return verbDelete, true
	}
	return 0, false
}

// class is the set of texts that a placeholder accepts.
type class int

const (
	classUUID class = iota // tried first
	classToken
	classAny
	classes
)

// node is one segment of the trie.
type node struct {
	literal map[string]*node
	param   [classes]*node
	ends    *[verbs]*Endpoint // rows that end here
	rest    *[verbs]*Endpoint // rows that end in {name...} below here
}

// table is a compiled route table.
type table struct {
	rows      []*Endpoint
	root      node
	trimSlash bool // forward "/x/" as "/x"
	foldCase  bool // compare literals without regard to case
}

// add compiles a row into the trie.
func (t *table) add(e *Endpoint) error {
	if !strings.HasPrefix(e.Pattern, "/") {
		return fmt.Errorf("path %q must start with a slash", e.Pattern)
	}
	n, rest := &t.root, false
	literal := func(seg string) string { return seg }
	if t.foldCase {
		literal = strings.ToLower
	}
	path, slash := strings.CutSuffix(e.Pattern[1:], "/")
	e.slash = slash
	for seg := range strings.SplitSeq(path, "/") {
		if rest || slash && strings.HasSuffix(seg, "...}") {
			return fmt.Errorf("path %q: {name...} must be last", e.Pattern)
		}
		if seg == "" {
			if e.Pattern == "/" {
				break
			}
			return fmt.Errorf("path %q has an empty segment", e.Pattern)
		}
		if seg[0] != '{' {
			if strings.Trim(seg, ".") == "" || strings.ContainsFunc(seg, func(r rune) bool {
				return r > 0x7e || !unreserved(byte(r))
			}) {
				return fmt.Errorf("path %q: %q is not a plain segment", e.Pattern, seg)
			}
			n = n.child(literal(seg))
			continue
		}
		name, kind, isRest, err := placeholder(seg)
		if err != nil || slices.Contains(e.params, name) || len(e.params) == maxParams {
			return fmt.Errorf("path %q: %q is not a placeholder, is used twice, or is one too many", e.Pattern, seg)
		}
		e.params, rest = append(e.params, name), isRest
		if !isRest {
			n = n.childOf(kind)
		}
	}
	e.prepare()
	t.rows = append(t.rows, e)
	return n.put(e, rest)
}

// placeholder reads "{name}", "{name:class}" and "{name...}".
func placeholder(seg string) (name string, kind class, rest bool, err error) {
	inner, ok := strings.CutSuffix(seg[1:], "}")
	inner, rest = strings.CutSuffix(inner, "...")
	name, word, typed := strings.Cut(inner, ":")
	kind, known := map[string]class{"uuid": classUUID, "token": classToken, "": classAny}[word]
	if !ok || name == "" || !known || typed && (rest || word == "") || strings.ContainsAny(name, "{}") {
		return "", 0, false, fmt.Errorf("%q is not a placeholder", seg)
	}
	return name, kind, rest, nil
}

func (n *node) child(seg string) *node {
	if n.literal == nil {
		n.literal = map[string]*node{}
	}
	if n.literal[seg] == nil {
		n.literal[seg] = &node{}
	}
	return n.literal[seg]
}

func (n *node) childOf(kind class) *node {
	if n.param[kind] == nil {
		n.param[kind] = &node{}
	}
	return n.param[kind]
}

func (n *node) put(e *Endpoint, rest bool) error {
	slot := &n.ends
	if rest {
		slot = &n.rest
	}
	if *slot == nil {
		*slot = &[verbs]*Endpoint{}
	}
	for _, m := range e.Methods {
		v, ok := verbOf(m)
		if !ok || m == http.MethodHead {
			return fmt.Errorf("method %q is not allowed in a table", m)
		}
		if other := (*slot)[v]; other != nil {
			return fmt.Errorf("%s %s is the row %s already", m, e.Pattern, other.Name)
		}
		(*slot)[v] = e
	}
	return nil
}
