package langflow

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

const (
	// namesKept is how long the endpoint names of an account's flows are cached.
	namesKept = 3 * time.Second
	// maxNames bounds how many flows of one account are looked at.
	maxNames = 20_000
	// findTime bounds a search through the accounts of a workspace.
	findTime = 15 * time.Second
)

// flowNames are the flows of an account by endpoint name, at one moment.
type flowNames struct {
	at    time.Time
	flows map[string]string
}

// listed is an object as Langflow's lists describe it.
type listed struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	UserID   string `json:"user_id"`
	Endpoint string `json:"endpoint_name"`
	// Component marks a saved component, which Langflow lists among the flows.
	Component bool `json:"is_component"`
}

// lists are the lists that together hold everything in an account. Lists of flows omit the
// definitions.
var lists = []struct {
	kind        flow.Kind
	path, query string
}{
	{flow.Chatflow, "/api/v1/flows/", "get_all=true&header_flows=true&remove_example_flows=true"},
	{flow.Project, "/api/v1/projects/", ""},
	{flow.Variable, "/api/v1/variables/", ""},
	{flow.StoredFile, "/api/v2/files/", ""},
}

// contents reads what the accounts hold: flows, projects, variables, files and messages.
type contents struct {
	cfg      *builder.BridgeConfig
	wire     *wire
	accounts *accounts
	sessions *sessions
}

// list reads one list of an account.
func (cs *contents) list(ctx context.Context, e *entry, path, query string, visit func(listed)) error {
	s, err := cs.sessions.of(ctx, e)
	if err != nil {
		return err
	}
	return cs.listAs(ctx, s, path, query, visit)
}

func (cs *contents) listAs(ctx context.Context, s *session, path, query string, visit func(listed)) error {
	res, err := cs.wire.open(ctx, call{method: http.MethodGet, path: path, query: query, header: s.header()})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK || !builder.IsJSON(res.Header) {
		data, _ := io.ReadAll(io.LimitReader(res.Body, builder.MaxReply))
		r := reply{
			Reply: builder.Reply{
				Status: res.StatusCode,
				Header: res.Header,
				JSON:   builder.IsJSON(res.Header),
				Body:   data,
			},
		}
		return r.trouble("reading a list")
	}
	n := 0
	err = builder.EachElement(json.NewDecoder(io.LimitReader(res.Body, builder.MaxList)), func(o listed) {
		if n++; n <= maxNames && o.ID != "" {
			visit(o)
		}
	})
	if err != nil {
		return problem.New(problem.Upstream, "Langflow sent a list that Sluice cannot read.").WithCause(err)
	}
	return nil
}

// find is Accounts.Find.
func (cs *contents) find(
	ctx context.Context,
	o builder.OnBehalf,
	kind flow.Kind,
	id string,
) (account string, found builder.FoundObject, err error) {
	unknown := problem.New(problem.NotFound, "There is no such object in this workspace.")
	if !profile.IsUUID(id) {
		return "", found, unknown
	}
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	dir := cs.accounts.dir.Load()
	var failed error
	for _, account := range cs.accounts.ids(dir, o) {
		found, err := cs.findIn(ctx, dir.byID[account], kind, id)
		if err == nil {
			return account, found, nil
		}
		if !problem.Is(err, problem.NotFound) {
			failed = err
		}
	}
	if failed != nil {
		return "", found, unavailable(failed)
	}
	return "", found, unknown
}

// findIn looks for an object in one account.
func (cs *contents) findIn(
	ctx context.Context,
	e *entry,
	kind flow.Kind,
	id string,
) (found builder.FoundObject, err error) {
	if kind == flow.Chatflow {
		return cs.findFlow(ctx, e, id)
	}
	for _, list := range lists {
		if list.kind != kind {
			continue
		}
		err = cs.list(ctx, e, list.path, list.query, func(o listed) {
			if strings.EqualFold(o.ID, id) {
				found = builder.FoundObject{ID: o.ID, Name: o.Name, Kind: kind, Account: e.ID}
			}
		})
	}
	if err == nil && found.ID == "" {
		err = problem.New(problem.NotFound, "There is no such object in this account.")
	}
	return found, err
}

// findFlow gets one flow. An account can read flows that are not its own: shipped examples belong
// to no one, and public flows to others.
func (cs *contents) findFlow(ctx context.Context, e *entry, id string) (found builder.FoundObject, err error) {
	s, err := cs.sessions.of(ctx, e)
	if err != nil {
		return found, err
	}
	res, err := cs.wire.open(ctx, call{method: http.MethodGet, path: "/api/v1/flows/" + id, header: s.header()})
	if err != nil {
		return found, err
	}
	defer func() { _ = res.Body.Close() }()
	missing := problem.New(problem.NotFound, "There is no such flow in this account.")
	if res.StatusCode != http.StatusOK || !builder.IsJSON(res.Header) {
		r := reply{Reply: builder.Reply{Status: res.StatusCode, Header: res.Header, JSON: builder.IsJSON(res.Header)}}
		if r.page() || r.Status == http.StatusNotFound || r.Status == http.StatusForbidden ||
			r.Status == http.StatusUnprocessableEntity {
			return found, missing
		}
		return found, r.trouble("reading a flow")
	}
	var o listed
	if err := json.NewDecoder(io.LimitReader(res.Body, builder.MaxList)).Decode(&o); err != nil {
		return found, problem.New(problem.Upstream, "Langflow sent a flow that Sluice cannot read.").WithCause(err)
	}
	if o.UserID != e.ID || !strings.EqualFold(o.ID, id) {
		return found, missing
	}
	return builder.FoundObject{ID: o.ID, Name: o.Name, Kind: flow.Chatflow, Account: e.ID}, nil
}

// flowNamed is Accounts.FlowNamed.
func (cs *contents) flowNamed(ctx context.Context, o builder.OnBehalf, name string) (string, error) {
	unknown := problem.New(problem.NotFound, "There is no flow with this name in this workspace.")
	if name == "" || len(name) > 200 {
		return "", unknown
	}
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	dir := cs.accounts.dir.Load()
	for _, account := range cs.accounts.ids(dir, o) {
		names, err := cs.namesOf(ctx, dir.byID[account])
		if err != nil {
			return "", unavailable(err)
		}
		if id := names.flows[name]; id != "" {
			return id, nil
		}
	}
	return "", unknown
}

// namesOf are the endpoint names of an account's flows, at most namesKept old.
func (cs *contents) namesOf(ctx context.Context, e *entry) (*flowNames, error) {
	now := cs.cfg.Now()
	if names := e.names.Load(); names != nil && now.Sub(names.at) < namesKept {
		return names, nil
	}
	names := &flowNames{at: now, flows: map[string]string{}}
	err := cs.list(ctx, e, lists[0].path, lists[0].query, func(o listed) {
		if o.Endpoint != "" {
			names.flows[o.Endpoint] = o.ID
		}
	})
	if err != nil {
		return nil, err
	}
	e.names.Store(names)
	return names, nil
}

// atOnce is how many accounts are read concurrently.
const atOnce = 4

// inventory is Bridge.Inventory: everything in the accounts that Sluice knows.
func (cs *contents) inventory(ctx context.Context) ([]builder.FoundObject, error) {
	list := cs.accounts.dir.Load().list
	parts, errs := make([][]builder.FoundObject, len(list)), make([]error, len(list))
	var group sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, e := range list {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			parts[i], errs[i] = cs.inventoryOf(ctx, e)
		})
	}
	group.Wait()
	var all []builder.FoundObject
	for i := range list {
		if errs[i] != nil {
			return nil, unavailable(errs[i])
		}
		all = append(all, parts[i]...)
	}
	return all, nil
}

// holdings lists every object in one account of a kind that Sluice knows. Errors: problem.NotFound.
func (cs *contents) holdings(ctx context.Context, account string) ([]builder.FoundObject, error) {
	e := cs.accounts.dir.Load().byID[account]
	if e == nil {
		return nil, problem.New(problem.NotFound, "Sluice does not know this account.")
	}
	all, err := cs.inventoryOf(ctx, e)
	return all, unavailableUnless(err)
}

func (cs *contents) inventoryOf(ctx context.Context, e *entry) (all []builder.FoundObject, err error) {
	for _, list := range lists {
		err := cs.list(ctx, e, list.path, list.query, func(o listed) {
			all = append(all, builder.FoundObject{ID: o.ID, Name: o.Name, Kind: list.kind, Account: e.ID})
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// setPublic sets a flow's own access type: Langflow's public pages show only flows with PUBLIC.
// Errors: problem.NotFound.
func (cs *contents) setPublic(ctx context.Context, account, flowID string, public bool) error {
	missing := problem.New(problem.NotFound, "There is no flow with this id in Langflow.").
		WithField("flow_id").
		WithNext("Copy the id from the end of the flow's address in the builder.")
	e := cs.accounts.dir.Load().byID[account]
	if e == nil || !profile.IsUUID(flowID) {
		return missing
	}
	s, err := cs.sessions.of(ctx, e)
	if err != nil {
		return unavailable(err)
	}
	access := "PRIVATE"
	if public {
		access = "PUBLIC"
	}
	res, err := cs.wire.open(ctx, call{
		method: http.MethodPatch,
		path:   "/api/v1/flows/" + flowID,
		header: s.header(),
		json:   map[string]string{"access_type": access},
	})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	r := reply{Reply: builder.Reply{Status: res.StatusCode, Header: res.Header, JSON: builder.IsJSON(res.Header)}}
	if r.page() || r.Status == http.StatusNotFound {
		return missing
	}
	var got struct {
		ID     string `json:"id"`
		Access string `json:"access_type"`
	}
	if r.Status != http.StatusOK {
		return r.trouble("changing who may see a flow")
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, builder.MaxList)).Decode(&got); err != nil ||
		got.Access != access {
		return problem.New(problem.Upstream, "Langflow refused the change.").
			WithNext("See Langflow's log.").
			WithCause(err)
	}
	return nil
}
