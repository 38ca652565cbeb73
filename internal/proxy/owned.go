package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// maxRead is how much of an answer is read to find objects in it, in bytes.
const maxRead = 32 << 20

// readsAnswer reports whether the answer tells of objects and goes to somebody who works with them.
func (x *exchange) readsAnswer() bool {
	return x.match.Endpoint.ReadsAnswer && x.lend.SignedIn()
}

// askPlain makes the builder give an answer that can be read: whole, not compressed, and not "as before".
func askPlain(h http.Header) {
	for _, name := range [...]string{"Accept-Encoding", "If-None-Match", "If-Modified-Since", "If-Range", "Range"} {
		delete(h, name)
	}
	h["Accept-Encoding"] = identityEncoding
}

var identityEncoding = []string{"identity"}

// own records what an answer tells of objects before it is let go, and takes out of it what belongs to other workspaces.
func (x *exchange) own(res *http.Response) error {
	if !x.readsAnswer() {
		return nil
	}
	e := x.match.Endpoint
	if e.List != nil {
		// These describe the whole list of the builder.
		delete(res.Header, "Etag")
		delete(res.Header, "Last-Modified")
	}
	switch {
	case res.StatusCode == http.StatusSeeOther && e.Creates != "":
		return x.claimLocation(res.Header.Get("Location"))
	case res.StatusCode < 200 || res.StatusCode > 299:
		return nil
	case x.r.Method == http.MethodHead:
		delete(res.Header, "Content-Length")
		return nil
	case e.Deletes:
		x.forget()
		return nil
	case e.Imports:
		return x.claimImported()
	}
	body, err := x.readAnswer(res)
	if err != nil {
		return err
	}
	if e.Creates != "" {
		if err := x.claimAnswer(body); err != nil {
			return err
		}
	}
	if e.Renames {
		x.noteName(body)
	}
	if e.Learn != nil {
		x.learn(body)
	}
	if e.List != nil {
		if body, err = x.filter(body); err != nil {
			return err
		}
	}
	res.Body, res.ContentLength, res.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	res.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// readAnswer reads the builder's JSON into memory. What cannot be read is not passed on.
func (x *exchange) readAnswer(res *http.Response) ([]byte, error) {
	defer func() { _ = res.Body.Close() }()
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" || res.Header.Get("Content-Encoding") != "" && res.Header.Get("Content-Encoding") != "identity" {
		return nil, x.unreadable("an answer in another form than was asked for")
	}
	if res.ContentLength > maxRead {
		return nil, x.tooLong()
	}
	size := res.ContentLength
	if size < 0 {
		size = maxRead
	}
	free, err := x.reserve(size)
	if err != nil {
		return nil, err
	}
	x.frees = append(x.frees, free)
	body, err := io.ReadAll(io.LimitReader(res.Body, maxRead+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxRead {
		return nil, x.tooLong()
	}
	return body, nil
}

func (x *exchange) unreadable(what string) error {
	return problem.Newf(problem.Upstream, "%s gave %s. Sluice cannot tell in it what belongs to your workspace, and passes nothing on.", x.app.Name, what).
		WithRule("answer unreadable")
}

func (x *exchange) tooLong() error {
	return problem.Newf(problem.Upstream, "The list that %s gave is longer than %s. Sluice cannot tell in it what belongs to your workspace, and passes nothing on.",
		x.app.Name, size(maxRead)).WithRule("answer too long").WithNext("Ask for less at a time.")
}

// made is what the builder says of an object.
type made struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	KeyName     string `json:"keyName"`
	Type        string `json:"type"`
	Details     string `json:"details"`
	UpdatedDate string `json:"updatedDate"`
}

// title is what people call the object. The name of an assistant stands in a text of JSON.
func (m *made) title() string {
	if m.Name+m.KeyName == "" && m.Details != "" {
		var inner struct {
			Name string `json:"name"`
		}
		if json.Unmarshal([]byte(m.Details), &inner) == nil {
			return inner.Name
		}
	}
	return m.Name + m.KeyName
}

// claimTimeout bounds how long a created object may take to be recorded.
const claimTimeout = 10 * time.Second

// claimAnswer records the object that an answer tells of.
func (x *exchange) claimAnswer(body []byte) error {
	var m made
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		var list []made
		if json.Unmarshal(body, &list) != nil {
			return x.unreadable("an answer that is not JSON")
		}
		m = x.newest(list)
	} else if json.Unmarshal(body, &m) != nil {
		return x.unreadable("an answer that is not JSON")
	}
	if m.ID == "" {
		return nil
	}
	return x.claim(flow.Object{ID: m.ID, Name: m.title(), Kind: profile.FlowKind(x.match.Endpoint.Creates, m.Type)})
}

// newest finds the object that was just made in a list of all: nobody's yet, with the name that was asked for, and the last.
func (x *exchange) newest(list []made) made {
	wanted := ""
	if x.body != nil {
		for _, key := range [...]string{"keyName", "name"} {
			if s, err := x.body.textAt(key); err == nil && s != "" {
				wanted = s
				break
			}
		}
	}
	var found made
	for _, m := range list {
		_, _, taken := x.up.objects.Owner(m.ID)
		if !taken && (wanted == "" || m.title() == wanted) && (found.ID == "" || m.UpdatedDate > found.UpdatedDate) {
			found = m
		}
	}
	return found
}

// claim records objects as made by the person in the request's workspace. If that fails they are nobody's, can be adopted later, and the client is told.
func (x *exchange) claim(objects ...flow.Object) error {
	for i := range objects {
		objects[i].App, objects[i].Workspace, objects[i].Owner = x.app.ID, x.at.workspace, x.who.ID
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), claimTimeout)
	defer cancel()
	if err := x.p.cfg.Apps.Flows.Claim(ctx, objects...); err != nil {
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
	return x.claim(flow.Object{ID: id, Kind: x.match.Endpoint.Creates})
}

// forget removes what was deleted from the map. A row that stays is no harm: its id is never given to anything else.
func (x *exchange) forget() {
	if err := x.p.cfg.Apps.Flows.Forget(context.WithoutCancel(x.r.Context()), x.app.ID, x.named()...); err != nil {
		x.p.cfg.Log.Warn("a deleted object stays in the ownership map", "app", x.app.Slug, "error", err)
	}
}

// noteName keeps the name that lists show up to date.
func (x *exchange) noteName(body []byte) {
	var m made
	ids := x.named()
	if json.Unmarshal(body, &m) != nil || len(ids) != 1 || m.ID != "" && m.ID != ids[0] {
		return
	}
	if err := x.p.cfg.Apps.Flows.Note(context.WithoutCancel(x.r.Context()), x.app.ID, ids[0], m.title()); err != nil {
		x.p.cfg.Log.Warn("the new name of an object was not recorded", "app", x.app.Slug, "object", ids[0], "error", err)
	}
}

// learn remembers what lies in the object that the request names.
func (x *exchange) learn(body []byte) {
	lesson := x.match.Endpoint.Learn
	parent := x.match.Param(lesson.Parent)
	list := json.RawMessage(body)
	if lesson.At != "" {
		var root map[string]json.RawMessage
		if json.Unmarshal(body, &root) != nil {
			return
		}
		list = root[lesson.At]
	}
	var elements []map[string]json.RawMessage
	if json.Unmarshal(list, &elements) != nil {
		return
	}
	for _, el := range elements {
		if id := textOf(el[lesson.By]); id != "" {
			x.p.cfg.Apps.Flows.Learn(x.app.ID, id, parent)
		}
	}
}

func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// beginMaking holds imports and single creations apart: an import finds out what it made by comparing before and after.
func (x *exchange) beginMaking() error {
	e := x.match.Endpoint
	switch {
	case !x.lend.SignedIn():
	case e.Imports:
		x.up.making.Lock()
		x.frees = append(x.frees, x.up.making.Unlock)
		builder, ok := x.app.Bridge.(profile.Inventory)
		if !ok {
			return nil
		}
		before, err := builder.Inventory(x.r.Context())
		if err != nil {
			return err
		}
		x.before = make(map[string]bool, len(before))
		for _, o := range before {
			x.before[o.ID] = true
		}
	case e.Creates != "":
		x.up.making.RLock()
		x.frees = append(x.frees, x.up.making.RUnlock)
	}
	return nil
}

// claimImported records what an import has made.
func (x *exchange) claimImported() error {
	builder, ok := x.app.Bridge.(profile.Inventory)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), claimTimeout)
	defer cancel()
	after, err := builder.Inventory(ctx)
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
