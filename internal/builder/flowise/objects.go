package flowise

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// lists are the Flowise lists that together hold every object.
var lists = []struct {
	path  string
	kind  flow.Kind
	pages bool // the list exists only in pages of at most pageSize
}{
	{"/api/v1/chatflows", flow.Chatflow, false},
	{"/api/v1/tools", flow.Tool, false},
	{"/api/v1/credentials", flow.Credential, false},
	{"/api/v1/variables", flow.Variable, false},
	{"/api/v1/assistants", flow.Assistant, false},
	{"/api/v1/document-store/store", flow.DocumentStore, false},
	{"/api/v1/marketplaces/custom", flow.Template, false},
	{"/api/v1/custom-mcp-servers", flow.MCPServer, true},
}

// pageSize is the largest page that Flowise returns, and maxPages how many pages are read.
const (
	pageSize = 100
	maxPages = 1000
)

// object is an object as Flowise's lists describe it.
type object struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	KeyName string `json:"keyName"`
	Type    string `json:"type"`
	Details string `json:"details"`
}

// inventory is Bridge.Inventory.
func (b *bridge) inventory(ctx context.Context) ([]builder.FoundObject, error) {
	var all []builder.FoundObject
	for _, list := range lists {
		add := func(o object) {
			if o.ID != "" {
				all = append(all, builder.FoundObject{ID: o.ID, Name: o.title(), Kind: flowKind(list.kind, o.Type)})
			}
		}
		read := func(dec *json.Decoder) error { return builder.EachElement(dec, add) }
		if list.pages {
			read = func(dec *json.Decoder) error {
				var page struct{ Data []object }
				err := dec.Decode(&page)
				for _, o := range page.Data {
					add(o)
				}
				return err
			}
		}
		for page, last := 1, -1; page <= maxPages && len(all) != last; page++ {
			last = len(all)
			path := list.path
			if list.pages {
				path = fmt.Sprintf("%s?page=%d&limit=%d", path, page, pageSize)
			}
			if err := b.readList(ctx, path, read); err != nil {
				return nil, err
			}
			if !list.pages || len(all)-last < pageSize {
				break
			}
		}
	}
	return all, nil
}

// title is the object's name for people. An assistant's name is inside a JSON text.
func (o *object) title() string {
	if o.Name+o.KeyName != "" || o.Details == "" {
		return o.Name + o.KeyName
	}
	name, _ := builder.DecodeObject([]byte(o.Details))["name"].(string)
	return name
}

// flowTypes are Flowise's words for flows that are not chatflows.
var flowTypes = map[string]flow.Kind{
	"AGENTFLOW":  flow.Agentflow,
	"MULTIAGENT": flow.Agentflow,
	"ASSISTANT":  flow.Assistantflow,
}

// flowKind refines flow.Chatflow by the flow's type. Other kinds are unchanged.
func flowKind(kind flow.Kind, flowType string) flow.Kind {
	if is, ok := flowTypes[flowType]; ok && kind == flow.Chatflow {
		return is
	}
	return kind
}

// parent is Bridge.Parent.
func (b *bridge) parent(ctx context.Context, kind flow.Kind, id, hint string) (string, error) {
	unknown := problem.New(problem.NotFound, "There is no such object in Flowise.")
	if !profile.IsUUID(id) {
		return "", unknown
	}
	parent := ""
	var err error
	switch kind {
	case profile.Execution:
		err = b.readList(ctx, "/api/v1/executions/"+id, func(dec *json.Decoder) error {
			var e struct {
				AgentflowID string `json:"agentflowId"`
			}
			err := dec.Decode(&e)
			parent = e.AgentflowID
			return err
		})
	case profile.Feedback:
		if !profile.IsUUID(hint) {
			return "", unknown
		}
		err = b.readList(ctx, "/api/v1/feedback/"+hint, func(dec *json.Decoder) error {
			return builder.EachElement(dec, func(o object) {
				if o.ID == id {
					parent = hint
				}
			})
		})
	}
	if err != nil {
		return "", err
	}
	if parent == "" {
		return "", unknown
	}
	return parent, nil
}

// readList reads a Flowise answer with the owner's session, up to builder.MaxList. If Flowise
// refuses, the error is problem.NotFound: it answers 404 and 500 for missing objects.
func (b *bridge) readList(ctx context.Context, path string, read func(*json.Decoder) error) error {
	s, err := b.current(ctx)
	if err != nil {
		return err
	}
	res, err := b.client.Open(ctx, path, s.header)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		return problem.New(problem.Unavailable, "Flowise currently does not accept Sluice's session.").
			WithRetryAfter(refusalGrace)
	case res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json"):
		return problem.New(problem.NotFound, "There is no such object in Flowise.").
			WithRule(fmt.Sprintf("flowise status %d", res.StatusCode))
	}
	if err := read(json.NewDecoder(io.LimitReader(res.Body, builder.MaxList))); err != nil {
		return problem.New(problem.Upstream, "Flowise sent a list that Sluice cannot read.").
			WithCause(fmt.Errorf("%s: %w", path, err))
	}
	return nil
}

const credentialsPath = "/api/v1/credentials"

// putCredential is Credentials.Put. Flowise takes the id from the body when it creates a credential
// (seen in 3.1.4). If a version chooses another id, that one is returned.
func (b *bridge) putCredential(ctx context.Context, c builder.Credential) (string, error) {
	there, err := b.hasCredential(ctx, c.ID, c.Kind)
	if err != nil {
		return "", err
	}
	body := map[string]any{"name": c.Name, "credentialName": c.Kind, "plainDataObj": c.Values}
	method, path := http.MethodPut, credentialsPath+"/"+c.ID
	if !there {
		method, path = http.MethodPost, credentialsPath
		body["id"] = c.ID
	}
	res, err := b.call(ctx, method, path, body)
	if err != nil {
		return "", err
	}
	if id := res.Text("id"); profile.IsUUID(id) {
		return id, nil
	}
	return "", problem.New(
		problem.Upstream,
		"Sluice cannot read Flowise's answer to the new credential.",
	)
}

func (b *bridge) hasCredential(ctx context.Context, id, kind string) (found bool, err error) {
	err = b.readList(ctx, credentialsPath+"?credentialName="+url.QueryEscape(kind), func(dec *json.Decoder) error {
		return builder.EachElement(dec, func(o object) { found = found || strings.EqualFold(o.ID, id) })
	})
	return found, err
}

// deleteCredential is Credentials.Delete.
func (b *bridge) deleteCredential(ctx context.Context, id string) error {
	if !profile.IsUUID(id) {
		return problem.New(problem.Invalid, "This is not the id of a credential in Flowise.").WithField("id")
	}
	_, err := b.call(ctx, http.MethodDelete, credentialsPath+"/"+id, nil)
	return err
}

// call sends a request with the owner's session, and once more if Flowise has forgotten the
// session. Every status except success is an error. The error never quotes the request or the
// answer.
func (b *bridge) call(ctx context.Context, method, path string, body any) (*builder.Reply, error) {
	s, err := b.current(ctx)
	if err != nil {
		return nil, err
	}
	res, err := b.client.Send(ctx, method, path, s.header, body)
	if err == nil && res.Status == http.StatusUnauthorized {
		if s, err = b.again(ctx, s); err == nil {
			res, err = b.client.Send(ctx, method, path, s.header, body)
		}
	}
	if err != nil {
		return nil, err
	}
	if res.Status < 200 || res.Status > 299 || !res.JSON {
		return nil, problem.Newf(problem.Upstream, "Flowise answered with status %d.", res.Status).
			WithNext("Check Flowise's log, then try again.")
	}
	return res, nil
}

// again returns a session that replaces a refused one.
func (b *bridge) again(ctx context.Context, refused *session) (*session, error) {
	done, err := b.renew(refused, true)
	if err != nil {
		return nil, err
	}
	return b.wait(ctx, done)
}

// field is an input of a type of credential as Flowise describes it.
type field struct {
	Name, Label, Type string
	Rows              int
	Optional          bool
	Default           any
	Options           []struct{ Name string }
}

// credentialKinds is Credentials.Kinds.
func (b *bridge) credentialKinds(ctx context.Context) ([]builder.CredentialKind, error) {
	var kinds []builder.CredentialKind
	err := b.readList(ctx, "/api/v1/components-credentials", func(dec *json.Decoder) error {
		return builder.EachElement(dec, func(k struct {
			Name, Label string
			Inputs      []field
		}) {
			out := builder.CredentialKind{Name: k.Name, Label: k.Label}
			for _, in := range k.Inputs {
				out.Fields = append(out.Fields, in.field())
			}
			kinds = append(kinds, out)
		})
	})
	slices.SortFunc(kinds, func(a, b builder.CredentialKind) int {
		return strings.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label))
	})
	return kinds, err
}

func (in field) field() builder.CredentialField {
	f := builder.CredentialField{
		Name:     in.Name,
		Label:    in.Label,
		Secret:   in.Type == "password",
		Long:     in.Rows > 1 || in.Type == "json",
		Optional: in.Optional,
	}
	for _, o := range in.Options {
		f.Options = append(f.Options, o.Name)
	}
	if text, ok := in.Default.(string); ok {
		f.Default = text
	}
	return f
}

// flowsWith is Credentials.FlowsWith.
func (b *bridge) flowsWith(ctx context.Context, ids []string) (map[string][]builder.FoundObject, error) {
	found := map[string][]builder.FoundObject{}
	err := b.readList(ctx, "/api/v1/chatflows", func(dec *json.Decoder) error {
		return builder.EachElement(dec, func(o struct {
			ID, Name, Type, FlowData string
		}) {
			for _, id := range ids {
				if strings.Contains(o.FlowData, id) {
					found[id] = append(
						found[id],
						builder.FoundObject{ID: o.ID, Name: o.Name, Kind: flowKind(flow.Chatflow, o.Type)},
					)
				}
			}
		})
	})
	return found, err
}

// The kinds of keys that Flowise requires.
const (
	boundKey = "apikey"
	mcpToken = "mcp"
)

const (
	// flowKeyFresh is how long an answer stays fresh. It is refreshed in the background; only the
	// first run of a flow waits for it.
	flowKeyFresh = time.Minute
	// flowKeyWait bounds how long a run waits, and flowKeysKept how many flows are remembered.
	flowKeyWait  = 5 * time.Second
	flowKeysKept = 10_000
)

// flowKeys remembers which flows require a key, and which key.
type flowKeys struct {
	mu      sync.Mutex               // also held while a lookup starts, so that none starts after stop
	known   map[string]*flowKeyEntry // by kind and flow
	running sync.WaitGroup
}

// stop waits for the running lookups. The bridge's life is already canceled by then, and anyone who
// gets the lock afterwards sees that.
func (k *flowKeys) stop() {
	k.mu.Lock()
	running := &k.running
	k.mu.Unlock()
	running.Wait()
}

type flowKeyEntry struct {
	ready  chan struct{} // closed when value is first valid
	value  string
	asked  time.Time
	asking bool
}

// flowKey is Bridge.FlowKey. If Flowise does not answer, the flow runs without a key: if it needs
// one, Flowise says so.
func (b *bridge) flowKey(ctx context.Context, kind, flowID string) (string, error) {
	k, now, name := &b.keys, b.cfg.Now(), kind+" "+flowID
	k.mu.Lock()
	e := k.known[name]
	if e == nil {
		if k.known == nil || len(k.known) >= flowKeysKept {
			k.known = map[string]*flowKeyEntry{}
		}
		e = &flowKeyEntry{ready: make(chan struct{})}
		k.known[name] = e
	}
	if b.life.Err() != nil {
		k.mu.Unlock()
		return "", problem.New(problem.Unavailable, "This app is being removed or restarted.").
			WithRetryAfter(time.Second)
	}
	if !e.asking && (e.asked.IsZero() || now.Sub(e.asked) >= flowKeyFresh) {
		e.asking = true
		k.running.Go(func() { b.askFlowKey(kind, flowID, e) })
	}
	k.mu.Unlock()
	select {
	case <-e.ready:
	case <-ctx.Done():
		return "", problem.New(problem.Unavailable, "Flowise has not yet answered whether the flow needs a key.").
			WithRetryAfter(time.Second).
			WithCause(ctx.Err())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return e.value, nil
}

// askFlowKey asks Flowise for a flow's key. After a failure the previous answer is kept.
func (b *bridge) askFlowKey(kind, flowID string, e *flowKeyEntry) {
	ctx, cancel := context.WithTimeout(b.life, flowKeyWait)
	defer cancel()
	value, err := b.lookUpFlowKey(ctx, kind, flowID)
	b.keys.mu.Lock()
	defer b.keys.mu.Unlock()
	if err == nil || problem.Is(err, problem.NotFound) {
		e.value = value
	}
	first := e.asked.IsZero()
	e.asked, e.asking = b.cfg.Now(), false
	if first {
		close(e.ready)
	}
}

func (b *bridge) lookUpFlowKey(ctx context.Context, kind, flowID string) (value string, err error) {
	if !profile.IsUUID(flowID) {
		return "", nil
	}
	if kind == mcpToken {
		var server struct {
			Enabled bool   `json:"enabled"`
			Token   string `json:"token"`
		}
		err := b.readList(
			ctx,
			"/api/v1/mcp-server/"+flowID,
			func(dec *json.Decoder) error { return dec.Decode(&server) },
		)
		if err != nil || !server.Enabled {
			return "", err
		}
		return server.Token, nil
	}
	var flow struct {
		KeyID string `json:"apikeyid"`
	}
	if err := b.readList(ctx, "/api/v1/chatflows/"+flowID, func(dec *json.Decoder) error {
		return dec.Decode(&flow)
	}); err != nil ||
		flow.KeyID == "" {
		return "", err
	}
	type key struct {
		ID     string `json:"id"`
		APIKey string `json:"apiKey"`
	}
	err = b.readList(ctx, "/api/v1/apikey", func(dec *json.Decoder) error {
		return builder.EachElement(dec, func(k key) {
			if k.ID == flow.KeyID {
				value = k.APIKey
			}
		})
	})
	return value, err
}
