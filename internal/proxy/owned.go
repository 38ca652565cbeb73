package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// readsAnswer reports whether the answer tells of objects and goes to somebody who works with them, or of a run, whoever has started it.
func (x *exchange) readsAnswer() bool {
	e := x.match.Endpoint
	return x.lend.SignedIn() && (e.ReadsAnswer || x.locked) || startsJob(e)
}

// startsJob reports whether the answer may tell of a run that goes on.
func startsJob(e *profile.Endpoint) bool {
	return e.Result.Learn != nil && e.Result.Learn.Kind == profile.Job
}

// own records what an answer tells of objects before it is let go, and takes out of it what belongs to other workspaces.
func (x *exchange) own(res *http.Response) error {
	if !x.readsAnswer() {
		return nil
	}
	e := x.match.Endpoint
	if e.Result.List != nil || x.locked {
		// These describe the answer as the builder gave it.
		delete(res.Header, "Etag")
		delete(res.Header, "Last-Modified")
	}
	switch {
	case startsJob(e) && !isJSON(res.Header):
		return nil // the run itself, as a stream
	case res.StatusCode == http.StatusSeeOther && e.Result.Creates != "":
		return x.claimLocation(res.Header.Get("Location"))
	case res.StatusCode < 200 || res.StatusCode > 299:
		return nil
	case x.r.Method == http.MethodHead:
		delete(res.Header, "Content-Length")
		return nil
	case e.Result.Deletes:
		x.forget()
		return nil
	case e.Result.Imports && x.accounts() == nil:
		return x.claimImported()
	}
	body, err := x.readAnswer(res)
	if err != nil {
		return err
	}
	if body, err = x.readObjects(body); err != nil {
		return err
	}
	if e.Result.Hides != nil {
		if body, err = e.Result.Hides.Clean(body); err != nil {
			return x.unreadable("something else than objects")
		}
	}
	setBody(res, body)
	return nil
}

// readObjects takes from an answer what it tells of objects, and out of it what is not for the person.
func (x *exchange) readObjects(body []byte) ([]byte, error) {
	e := x.match.Endpoint
	if e.Result.Creates != "" {
		if err := x.claimAnswer(body); err != nil {
			return nil, err
		}
	}
	if e.Result.Renames {
		x.noteName(body)
	}
	if e.Result.Learn != nil {
		var err error
		if body, err = x.learn(body); err != nil {
			return nil, err
		}
	}
	if e.Result.List != nil {
		return x.filter(body)
	}
	if x.locked {
		return objects.SetTrue(body, e.Result.Locked), nil
	}
	return body, nil
}

// claimAnswer records the object that an answer tells of.
func (x *exchange) claimAnswer(body []byte) error {
	var m objects.Created
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		var list []objects.Created
		if json.Unmarshal(body, &list) != nil {
			return x.unreadable("an answer that is not JSON")
		}
		if x.match.Endpoint.Result.Many {
			return x.claimMany(list)
		}
		m = x.newest(list)
	} else if json.Unmarshal(body, &m) != nil {
		return x.unreadable("an answer that is not JSON")
	}
	if m.ID == "" {
		return nil
	}
	public := x.marksPublic()
	return x.claim(flow.Object{
		ID:     m.ID,
		Name:   m.Title(),
		Kind:   x.app.Kind.FlowKind(x.match.Endpoint.Result.Creates, m.Type),
		Public: public != nil && *public,
	})
}

// claimMany records all objects that were made at once, but for those that are somebody's already.
func (x *exchange) claimMany(list []objects.Created) error {
	var fresh []flow.Object
	for _, m := range list {
		if _, _, taken := x.up.objects.Owner(m.ID); !taken && m.ID != "" {
			fresh = append(fresh, flow.Object{ID: m.ID, Name: m.Title(), Kind: x.app.Kind.FlowKind(x.match.Endpoint.Result.Creates, m.Type)})
		}
	}
	return x.claim(fresh...)
}

// newest finds the object that was just created in a list of all.
func (x *exchange) newest(list []objects.Created) objects.Created {
	wanted := ""
	if x.body != nil {
		for _, key := range [...]string{"keyName", "name"} {
			if s, err := x.body.textAt(key); err == nil && s != "" {
				wanted = s
				break
			}
		}
	}
	return objects.Newest(list, wanted, func(id string) bool {
		_, _, taken := x.up.objects.Owner(id)
		return taken
	})
}

// claim records objects as made by the person in the request's workspace. If that fails they are nobody's, can be adopted later, and the client is told.
func (x *exchange) claim(created ...flow.Object) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), objects.ClaimTimeout)
	defer cancel()
	account, err := x.entered(ctx)
	for i := range created {
		created[i].App, created[i].Workspace, created[i].Owner, created[i].Account = x.app.ID, x.at.Workspace, x.who.ID, account
	}
	if err == nil {
		err = x.p.cfg.Apps.Flows.Create(ctx, x.act(), x.creation(), created...)
	}
	if err != nil {
		return problem.New(problem.Unavailable, "It was created, but Sluice could not record that it belongs to your workspace.").WithRule("object not recorded").
			WithNext("Ask an admin to assign it to your workspace on Sluice's page of the app.").WithCause(err)
	}
	return nil
}

// claimLocation records an object whose page the browser is sent to.
func (x *exchange) claimLocation(location string) error {
	id := location[strings.LastIndexByte(location, '/')+1:]
	if !profile.PlainID(id) || id == "" {
		return nil
	}
	return x.claim(flow.Object{ID: id, Kind: x.match.Endpoint.Result.Creates})
}

// forget removes what was deleted from the map. A row that stays is no harm: its id is never given to anything else.
func (x *exchange) forget() {
	ids := append(x.named(), x.doomed...)
	if err := x.p.cfg.Apps.Flows.Delete(context.WithoutCancel(x.r.Context()), x.act(), ids...); err != nil {
		x.p.cfg.Log.Warn("a deleted object stays in the ownership map", "app", x.app.Slug, "error", err)
	}
}

// noteName keeps the name that lists show up to date.
func (x *exchange) noteName(body []byte) {
	var m objects.Created
	ids := x.named()
	if json.Unmarshal(body, &m) != nil || len(ids) != 1 || m.ID != "" && m.ID != ids[0] {
		return
	}
	saved := flow.Saved{Name: m.Title(), Public: x.marksPublic()}
	if err := x.p.cfg.Apps.Flows.Save(context.WithoutCancel(x.r.Context()), x.act(), ids[0], saved); err != nil {
		x.p.cfg.Log.Warn("the new name of an object was not recorded", "app", x.app.Slug, "object", ids[0], "error", err)
	}
}

// beginMaking holds imports and single creations apart: an import finds out what it made by comparing before and after.
func (x *exchange) beginMaking() error {
	e := x.match.Endpoint
	switch {
	case !x.lend.SignedIn():
	case e.Result.Deletes:
		x.findDoomed()
	case e.Result.Imports && x.accounts() == nil:
		x.up.making.Lock()
		x.frees = append(x.frees, x.up.making.Unlock)
		if x.app.Bridge == nil || x.app.Bridge.Inventory == nil {
			return nil
		}
		before, err := x.app.Bridge.Inventory(x.r.Context())
		if err != nil {
			return err
		}
		x.before = make(map[string]bool, len(before))
		for _, o := range before {
			x.before[o.ID] = true
		}
	case e.Result.Creates != "":
		x.up.making.RLock()
		x.frees = append(x.frees, x.up.making.RUnlock)
	}
	return nil
}

// claimImported records what an import has made.
func (x *exchange) claimImported() error {
	if x.app.Bridge == nil || x.app.Bridge.Inventory == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), objects.ClaimTimeout)
	defer cancel()
	after, err := x.app.Bridge.Inventory(ctx)
	if err != nil {
		return err
	}
	var fresh []flow.Object
	for _, o := range after {
		if _, _, taken := x.up.objects.Owner(o.ID); !taken && !x.before[o.ID] {
			fresh = append(fresh, flow.Object{ID: o.ID, Name: o.Name, Kind: o.Kind})
		}
	}
	slices.SortFunc(fresh, func(a, b flow.Object) int { return strings.Compare(a.ID, b.ID) })
	return x.claim(fresh...)
}
