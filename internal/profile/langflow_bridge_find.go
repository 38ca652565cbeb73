package profile

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"sluice/internal/flow"
	"sluice/internal/problem"
)

const (
	// langflowNamesKept is how long the endpoint names of an account's flows are kept.
	langflowNamesKept = 3 * time.Second
	// maxLangflowNames bounds the flows that are looked at for one account.
	maxLangflowNames = 20_000
	// langflowFindTime bounds a search through the accounts of a workspace.
	langflowFindTime = 15 * time.Second
)

// langflowNames are the flows of an account by their endpoint name, as of a moment.
type langflowNames struct {
	at    time.Time
	flows map[string]string
}

// langflowObject is what lists of Langflow say of an object.
type langflowObject struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	UserID   string `json:"user_id"`
	Endpoint string `json:"endpoint_name"`
	// Component marks a saved component, which stands among the flows.
	Component bool `json:"is_component"`
}

// langflowLists are the lists that together hold everything of an account. Lists of flows are without their definitions.
var langflowLists = []struct {
	kind        flow.Kind
	path, query string
}{
	{flow.Chatflow, "/api/v1/flows/", "get_all=true&header_flows=true&remove_example_flows=true"},
	{flow.Project, "/api/v1/projects/", ""},
	{flow.Variable, "/api/v1/variables/", ""},
	{flow.StoredFile, "/api/v2/files/", ""},
}

// list reads one list of an account.
func (b *LangflowBridge) list(ctx context.Context, e *langflowEntry, path, query string, visit func(langflowObject)) error {
	s, err := b.sessionOf(ctx, e)
	if err != nil {
		return err
	}
	return b.listAs(ctx, s, path, query, visit)
}

func (b *LangflowBridge) listAs(ctx context.Context, s *langflowSession, path, query string, visit func(langflowObject)) error {
	res, err := langflowCall{method: http.MethodGet, path: path, query: query, header: s.header()}.open(ctx, b.client)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK || !isJSON(res.Header) {
		data, _ := io.ReadAll(io.LimitReader(res.Body, maxReply))
		r := langflowReply{reply: reply{status: res.StatusCode, header: res.Header, json: isJSON(res.Header), body: data}}
		return r.trouble("reading a list")
	}
	n := 0
	err = eachElement(json.NewDecoder(io.LimitReader(res.Body, maxInventory)), func(o langflowObject) {
		if n++; n <= maxLangflowNames && o.ID != "" {
			visit(o)
		}
	})
	if err != nil {
		return problem.New(problem.Upstream, "Langflow gave a list that Sluice cannot read.").WithCause(err)
	}
	return nil
}

// Find implements Accounts.
func (b *LangflowBridge) Find(ctx context.Context, l Lent, kind flow.Kind, id string) (account string, found FoundObject, err error) {
	unknown := problem.New(problem.NotFound, "There is no such object in this workspace.")
	if !isUUID(id) {
		return "", found, unknown
	}
	ctx, cancel := context.WithTimeout(ctx, langflowFindTime)
	defer cancel()
	dir := b.dir.Load()
	var failed error
	for _, account := range dir.accounts(b, l) {
		found, err := b.findIn(ctx, dir.byID[account], kind, id)
		if err == nil {
			return account, found, nil
		}
		if !problem.Is(err, problem.NotFound) {
			failed = err
		}
	}
	if failed != nil {
		return "", found, unavailableLangflow(failed)
	}
	return "", found, unknown
}

// findIn looks for an object in one account.
func (b *LangflowBridge) findIn(ctx context.Context, e *langflowEntry, kind flow.Kind, id string) (found FoundObject, err error) {
	if kind == flow.Chatflow {
		return b.findFlow(ctx, e, id)
	}
	for _, list := range langflowLists {
		if list.kind != kind {
			continue
		}
		err = b.list(ctx, e, list.path, list.query, func(o langflowObject) {
			if strings.EqualFold(o.ID, id) {
				found = FoundObject{ID: o.ID, Name: o.Name, Kind: kind, Account: e.ID}
			}
		})
	}
	if err == nil && found.ID == "" {
		err = problem.New(problem.NotFound, "There is no such object in this account.")
	}
	return found, err
}

// findFlow asks for one flow. One that an account can read is not always its own: shipped examples belong to nobody, and public flows to others.
func (b *LangflowBridge) findFlow(ctx context.Context, e *langflowEntry, id string) (found FoundObject, err error) {
	s, err := b.sessionOf(ctx, e)
	if err != nil {
		return found, err
	}
	res, err := langflowCall{method: http.MethodGet, path: "/api/v1/flows/" + id, header: s.header()}.open(ctx, b.client)
	if err != nil {
		return found, err
	}
	defer func() { _ = res.Body.Close() }()
	missing := problem.New(problem.NotFound, "There is no such flow in this account.")
	if res.StatusCode != http.StatusOK || !isJSON(res.Header) {
		r := langflowReply{reply: reply{status: res.StatusCode, header: res.Header, json: isJSON(res.Header)}}
		if r.page() || r.status == http.StatusNotFound || r.status == http.StatusForbidden || r.status == http.StatusUnprocessableEntity {
			return found, missing
		}
		return found, r.trouble("reading a flow")
	}
	var o langflowObject
	if err := json.NewDecoder(io.LimitReader(res.Body, maxInventory)).Decode(&o); err != nil {
		return found, problem.New(problem.Upstream, "Langflow gave a flow that Sluice cannot read.").WithCause(err)
	}
	if o.UserID != e.ID || !strings.EqualFold(o.ID, id) {
		return found, missing
	}
	return FoundObject{ID: o.ID, Name: o.Name, Kind: flow.Chatflow, Account: e.ID}, nil
}

// FlowNamed implements Accounts.
func (b *LangflowBridge) FlowNamed(ctx context.Context, l Lent, name string) (string, error) {
	unknown := problem.New(problem.NotFound, "There is no flow with this name in this workspace.")
	if name == "" || len(name) > 200 {
		return "", unknown
	}
	ctx, cancel := context.WithTimeout(ctx, langflowFindTime)
	defer cancel()
	dir := b.dir.Load()
	for _, account := range dir.accounts(b, l) {
		names, err := b.namesOf(ctx, dir.byID[account])
		if err != nil {
			return "", unavailableLangflow(err)
		}
		if id := names.flows[name]; id != "" {
			return id, nil
		}
	}
	return "", unknown
}

// namesOf are the endpoint names of an account's flows, at most langflowNamesKept old.
func (b *LangflowBridge) namesOf(ctx context.Context, e *langflowEntry) (*langflowNames, error) {
	now := b.cfg.Now()
	if names := e.names.Load(); names != nil && now.Sub(names.at) < langflowNamesKept {
		return names, nil
	}
	names := &langflowNames{at: now, flows: map[string]string{}}
	err := b.list(ctx, e, langflowLists[0].path, langflowLists[0].query, func(o langflowObject) {
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

// langflowAtOnce is how many accounts are read at the same time.
const langflowAtOnce = 4

// Inventory implements Inventory: everything in the accounts that Sluice knows.
func (b *LangflowBridge) Inventory(ctx context.Context) ([]FoundObject, error) {
	list := b.dir.Load().list
	parts, errs := make([][]FoundObject, len(list)), make([]error, len(list))
	var group sync.WaitGroup
	slots := make(chan struct{}, langflowAtOnce)
	for i, e := range list {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			parts[i], errs[i] = b.inventoryOf(ctx, e)
		})
	}
	group.Wait()
	var all []FoundObject
	for i := range list {
		if errs[i] != nil {
			return nil, unavailableLangflow(errs[i])
		}
		all = append(all, parts[i]...)
	}
	return all, nil
}

// Holdings is everything in one account that Sluice knows. Errors: problem.NotFound.
func (b *LangflowBridge) Holdings(ctx context.Context, account string) ([]FoundObject, error) {
	e := b.dir.Load().byID[account]
	if e == nil {
		return nil, problem.New(problem.NotFound, "Sluice does not know this account.")
	}
	all, err := b.inventoryOf(ctx, e)
	return all, unavailableUnless(err)
}

func (b *LangflowBridge) inventoryOf(ctx context.Context, e *langflowEntry) (all []FoundObject, err error) {
	for _, list := range langflowLists {
		err := b.list(ctx, e, list.path, list.query, func(o langflowObject) {
			all = append(all, FoundObject{ID: o.ID, Name: o.Name, Kind: list.kind, Account: e.ID})
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Parent implements Inventory: nothing of Langflow's has to be asked for, its jobs are remembered.
func (b *LangflowBridge) Parent(context.Context, flow.Kind, string, string) (string, error) {
	return "", problem.New(problem.NotFound, "There is no such object in Langflow.")
}

// SetPublic sets a flow's own access type: Langflow's public pages show flows with PUBLIC only. Errors: problem.NotFound.
func (b *LangflowBridge) SetPublic(ctx context.Context, account, flowID string, public bool) error {
	missing := problem.New(problem.NotFound, "There is no flow with this id in Langflow.").WithField("flow_id").WithNext("Copy the id from the end of the flow's address in the builder.")
	e := b.dir.Load().byID[account]
	if e == nil || !isUUID(flowID) {
		return missing
	}
	s, err := b.sessionOf(ctx, e)
	if err != nil {
		return unavailableLangflow(err)
	}
	access := "PRIVATE"
	if public {
		access = "PUBLIC"
	}
	res, err := langflowCall{
		method: http.MethodPatch, path: "/api/v1/flows/" + flowID, header: s.header(), json: map[string]string{"access_type": access},
	}.open(ctx, b.client)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	r := langflowReply{reply: reply{status: res.StatusCode, header: res.Header, json: isJSON(res.Header)}}
	if r.page() || r.status == http.StatusNotFound {
		return missing
	}
	var got struct {
		ID     string `json:"id"`
		Access string `json:"access_type"`
	}
	if r.status != http.StatusOK {
		return r.trouble("changing who may see a flow")
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxInventory)).Decode(&got); err != nil || got.Access != access {
		return problem.New(problem.Upstream, "Langflow did not take the change.").WithNext("See Langflow's own log.").WithCause(err)
	}
	return nil
}

var _ Inventory = (*LangflowBridge)(nil)
