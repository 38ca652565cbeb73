package proxy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/guard"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// heldBody is a request body in memory: read whole, judged if the endpoint asks, and sent on byte for byte. Because it is held it can be
// sent a second time.
type heldBody struct {
	data   []byte
	fields []field // top-level keys; nil unless inspected
	list   []byte  // the body, if it is a list and the endpoint takes one
	free   func()
}

type field struct{ key, value []byte }

// guard applies the endpoint's rules on the keys of the body.
func (x *exchange) guard() error {
	e := x.match.Endpoint
	if limit := x.maxBody(); x.r.ContentLength > limit {
		return tooLarge(limit)
	}
	if e.Own.Answer != "" || x.instead != "" {
		return nil
	}
	wanted, err := x.wantsInspection()
	if err != nil {
		return err
	}
	if wanted {
		if err := x.inspect(); err != nil {
			return err
		}
	} else if x.r.ContentLength != 0 && !x.app.Kind.Fallback {
		if err := x.hold(x.maxBody()); err != nil {
			return err
		}
	}
	if !x.app.Kind.Fallback {
		if err := x.checkForeign(); err != nil {
			return err
		}
		if err := x.checkSharedNames(); err != nil {
			return err
		}
	}
	if !wanted {
		return nil
	}
	if err := x.applyRules(); err != nil || x.instead != "" {
		return err
	}
	if _, err = x.flowID(); err != nil {
		return err
	}
	return x.checkFlowType()
}

// applyRules judges the keys of the body, and takes those out that the sender lacks the right to and that may be missing.
func (x *exchange) applyRules() error {
	e := x.match.Endpoint
	var dropped []string
	for _, f := range x.body.fields {
		key := string(f.key)
		for i := range e.Body {
			rule := &e.Body[i]
			switch {
			case !rule.Needs(key, f.value):
			case rule.Drop && !x.mayKey(rule):
				dropped = append(dropped, key)
			case x.mayGoOn() && !x.mayKey(rule):
				x.goOn("body.key " + key)
				return nil
			default:
				if err := x.allowKey(rule, key); err != nil {
					return err
				}
			}
		}
	}
	if dropped != nil {
		if err := x.judgeDropped(); err != nil {
			return err
		}
		x.body.drop(dropped)
	}
	return nil
}

// mayKey reports whether the sender has the right to set what a rule is about, without recording anything.
func (x *exchange) mayKey(rule *profile.BodyRule) bool {
	if rule.Action == "" || !x.who.SignedIn() {
		return false
	}
	asked := rule.Asks(x.at.Kind)
	if len(asked) == 0 {
		asked = []authz.Action{rule.Action}
	}
	res := x.resource()
	return slices.ContainsFunc(asked, func(a authz.Action) bool { return x.p.cfg.Gate.Decide(x.who, a, res).Allowed })
}

// wantsInspection reports whether the body is to be judged: because the endpoint has rules on it, because a stranger sends it, or because
// it is short JSON, which costs next to nothing. The bodies of apps that Sluice knows nothing about are their own matter.
func (x *exchange) wantsInspection() (bool, error) {
	e := x.match.Endpoint
	if len(e.Body) > 0 || refersToBody(e) {
		return true, nil
	}
	if x.r.ContentLength == 0 || x.app.Kind.Fallback {
		return false, nil
	}
	if x.r.Header["Content-Encoding"] != nil {
		return false, compressed()
	}
	kind, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
	switch kind = strings.ToLower(strings.TrimSpace(kind)); {
	case kind == "application/json":
		return true, nil
	case kind == "multipart/form-data", x.lend.SignedIn() && x.app.Kind.BuiltIn:
		return false, nil
	case x.lend.SignedIn() && kind != "application/x-www-form-urlencoded":
		return false, nil
	}
	return false, problem.New(problem.Invalid, "The body must be application/json or multipart/form-data.").WithRule("body.type").WithField("Content-Type")
}

func compressed() error {
	return problem.New(problem.Invalid, "Compressed request bodies are not taken here.").WithRule("body.encoding").WithField("Content-Encoding")
}

func (x *exchange) allowKey(rule *profile.BodyRule, key string) error {
	if rule.Action == "" {
		why := cmp.Or(rule.Why, "The body sets a value that only the builder itself may set.")
		return problem.New(problem.Denied, why).WithField(key).WithRule("body.key")
	}
	if !x.who.SignedIn() {
		return needSignIn()
	}
	if err := x.checkAny(rule.Action, rule.Asks(x.at.Kind)); err != nil {
		return problem.Of(err).WithField(key)
	}
	return nil
}

// refersToBody reports whether the flow is named in the body.
func refersToBody(e *profile.Endpoint) bool {
	for _, ref := range e.Flow {
		if ref.In == profile.InBody {
			return true
		}
	}
	return false
}

// inspect reads the body and takes it apart. It is strict: whatever the builder's parsers could read differently is refused, and so is
// every encoding of a body but plain JSON, since the builders read forms into the same variables.
func (x *exchange) inspect() error {
	if x.body != nil && x.body.fields != nil {
		return nil
	}
	if x.r.ContentLength == 0 {
		x.body = &heldBody{fields: []field{}}
		return nil
	}
	if err := plainJSON(x.r.Header); err != nil {
		return err
	}
	limit := x.maxBody()
	if !x.who.SignedIn() {
		limit = min(limit, x.p.cfg.MaxStrangerBody)
	}
	if err := x.hold(limit); err != nil {
		return err
	}
	if err := x.takeApart(); err != nil {
		return problem.Newf(problem.Invalid, "The body cannot be passed on: %v.", err).WithRule("body.json")
	}
	return nil
}

// takeApart reads the body as a JSON object, or as a list where the endpoint takes a list of ids.
func (x *exchange) takeApart() error {
	fields := []field{}
	visit := func(k, v []byte) { fields = append(fields, field{k, v}) }
	data := bytes.TrimSpace(x.body.data)
	if !bytes.HasPrefix(data, []byte("[")) || !takesList(x.match.Endpoint) {
		err := guard.ScanObject(x.body.data, visit)
		x.body.fields = fields
		return err
	}
	err := guard.ScanObject(slices.Concat([]byte(`{"list":`), data, []byte("}")), visit)
	if err == nil && (len(fields) != 1 || len(fields[0].value) != len(data)) {
		err = errors.New("something follows the list")
	}
	x.body.fields, x.body.list = []field{}, data
	return err
}

// takesList reports whether the body of a request is a list of ids.
func takesList(e *profile.Endpoint) bool {
	return slices.ContainsFunc(e.Objects, func(ref profile.IDRef) bool { return ref.In == profile.InBody && ref.Name == profile.Whole })
}

// plainJSON judges the headers that say what the body is.
func plainJSON(h http.Header) error {
	if h["Content-Encoding"] != nil {
		return compressed()
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset, named := params["charset"]
	if err != nil || kind != "application/json" || named && !strings.EqualFold(charset, "utf-8") {
		return problem.New(problem.Invalid, "The body must be application/json in UTF-8.").WithRule("body.type").WithField("Content-Type")
	}
	return nil
}

// hold reads the body into memory, at most limit bytes of it.
func (x *exchange) hold(limit int64) error {
	if x.body != nil {
		return nil
	}
	size := x.r.ContentLength
	if size > limit {
		return tooLarge(limit)
	}
	if size < 0 {
		size = limit
	}
	free, err := x.reserve(size)
	if err != nil {
		return err
	}
	x.body = &heldBody{free: free}
	data, err := x.readAll(limit)
	if err != nil {
		return err
	}
	x.body.data = data
	return nil
}

// reserve takes a share of the memory for bodies.
func (x *exchange) reserve(size int64) (free func(), err error) {
	p := x.p
	if p.held.Add(size) > p.cfg.MaxHeld {
		p.held.Add(-size)
		return nil, problem.New(problem.Unavailable, "Sluice is busy with large requests.").WithRetryAfter(2 * time.Second).WithRule("body.memory")
	}
	return func() { p.held.Add(-size) }, nil
}

func (x *exchange) readAll(limit int64) ([]byte, error) {
	body := x.patient(http.MaxBytesReader(x.w.ResponseWriter, x.r.Body, limit))
	if n := x.r.ContentLength; n >= 0 {
		data := make([]byte, n)
		_, err := io.ReadFull(body, data)
		return data, readError(err)
	}
	data, err := io.ReadAll(body)
	return data, readError(err)
}

func readError(err error) error {
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	default:
		return problem.New(problem.Invalid, "The body did not arrive in full.").WithRule("body.read").WithCause(err)
	}
}

func (x *exchange) maxBody() int64 {
	if n := x.match.Endpoint.MaxBody; n > 0 {
		return n
	}
	return x.p.cfg.MaxBody
}

func tooLarge(limit int64) error {
	return problem.Newf(problem.TooLarge, "The body is larger than %s.", size(limit)).WithRule("body.size")
}

func size(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// textAt is the string at a top-level key; "" if the key is missing or null.
func (b *heldBody) textAt(key string) (string, error) { return textIn(b.valueAt(key), key) }

// textIn is the string that the value at a key is; "" if there is none, or null.
func textIn(value []byte, key string) (string, error) {
	if value == nil || string(value) == "null" {
		return "", nil
	}
	if value[0] != '"' {
		return "", problem.New(problem.Invalid, "This must be a text.").WithField(key).WithRule("flow.id")
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return "", problem.New(problem.Invalid, "This must be a text.").WithField(key).WithRule("flow.id").WithCause(err)
	}
	return s, nil
}

// valueAt is the JSON value at a top-level key, at a key of an object in it ("inputs.session"), or "." for a body that is a list; nil if there is none.
func (b *heldBody) valueAt(key string) []byte {
	if key == "." {
		return b.list
	}
	for _, f := range b.fields {
		if string(f.key) == key {
			return f.value
		}
	}
	outer, inner, nested := strings.Cut(key, ".")
	if !nested || outer == "" {
		return nil
	}
	var found []byte
	for _, f := range b.fields {
		if string(f.key) == outer && f.value[0] == '{' {
			err := guard.ScanObject(f.value, func(k, v []byte) {
				if string(k) == inner {
					found = v
				}
			})
			if err != nil {
				return nil // never: it was read as a part of the body
			}
		}
	}
	return found
}

// reader is the body once more from its start.
func (b *heldBody) reader() io.ReadCloser { return io.NopCloser(bytes.NewReader(b.data)) }
