package proxy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// results reads the builder's answer for facts about objects. It records objects that were created,
// changed, deleted or run before the answer leaves, and removes objects from lists that the
// requester may not see.
type results struct {
	v    *Verdict
	trip *trip
	sent *http.Request // what was sent to the builder, for further pages of a list

	before      map[string]bool // objects that existed before an import
	alsoDeleted []string        // objects that are deleted along with the request's object
	unlock      func()          // releases the lock that begin holds; may be nil
}

// reads reports whether the answer has to be read: because it has facts about objects for a
// requester who works with them, or about a run of any requester.
func (s *results) reads() bool {
	e := s.v.endpoint()
	return s.v.delegated && (e.ReadsAnswer || s.v.locked) || startsJob(e)
}

// mustBeRecorded reports whether the request changes something that Sluice records: objects that
// are created, changed or deleted, and the access of strangers to a flow.
func (s *results) mustBeRecorded() bool {
	e := s.v.endpoint()
	return !safe(s.v.Request.http.Method) && s.v.delegated &&
		(e.Result.Creates != "" || e.Result.Imports || e.Result.Deletes || e.Result.Renames ||
			e.Action == authz.FlowPublish)
}

// noAnswer is the status of a request that the builder did not answer.
const noAnswer = 0

// startsJob reports whether the answer may start a background run.
func startsJob(e *profile.Endpoint) bool {
	return e.Result.Learn != nil && e.Result.Learn.Kind == profile.Job
}

// begin prepares for the request's effect on objects, before it is sent. It keeps imports and
// single creations apart, because an import detects the objects that it created by comparing before
// and after.
func (s *results) begin(ctx context.Context) error {
	e, up := s.v.endpoint(), s.v.Request.up
	switch {
	case !s.v.delegated:
	case e.Result.Deletes:
		s.findAlsoDeleted(ctx)
	case s.importsUnseen():
		up.creating.Lock()
		s.unlock = up.creating.Unlock
		before, err := s.inventory(ctx)
		if err != nil {
			return err
		}
		s.before = make(map[string]bool, len(before))
		for _, o := range before {
			s.before[o.ID] = true
		}
	case e.Result.Creates != "":
		up.creating.RLock()
		s.unlock = up.creating.RUnlock
	}
	return nil
}

// end releases the lock that begin holds.
func (s *results) end() {
	if s.unlock != nil {
		s.unlock()
	}
}

// importsUnseen reports whether the request imports objects into a builder whose answer does not
// list them.
func (s *results) importsUnseen() bool {
	return s.v.endpoint().Result.Imports && s.v.Request.accounts() == nil
}

// inventory lists the objects that the builder holds; nil if it cannot list them.
func (s *results) inventory(ctx context.Context) ([]builder.FoundObject, error) {
	bridge := s.v.Request.app.Bridge
	if bridge == nil || bridge.Inventory == nil {
		return nil, nil
	}
	return bridge.Inventory(ctx)
}

// findAlsoDeleted determines which flows are deleted along with a project. Flows that it does not
// find stay in the map, where they do no harm.
func (s *results) findAlsoDeleted(ctx context.Context) {
	project := slices.ContainsFunc(s.v.endpoint().Objects, func(ref profile.IDRef) bool {
		return ref.In == profile.InPath && ref.Kind == flow.Project
	})
	if !project || s.v.Request.accounts() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, objects.ResolveTimeout)
	defer cancel()
	status, body, err := ask(ctx, s.v.Request, s.v.behalf(), s.v.match.Path, maxRead)
	l, ok := objects.OpenList(body, "flows")
	if err != nil || status != http.StatusOK || !ok {
		return
	}
	for _, el := range l.Elements {
		var m objects.Created
		if json.Unmarshal(el, &m) == nil && m.ID != "" {
			s.alsoDeleted = append(s.alsoDeleted, m.ID)
		}
	}
}

// read records an answer's facts about objects before the answer leaves, and removes objects of
// other workspaces from it.
func (s *results) read(ctx context.Context, res *http.Response) error {
	if !s.reads() {
		return nil
	}
	e := s.v.endpoint()
	if e.Result.List != nil || s.v.locked {
		// These headers describe the answer before it is changed.
		delete(res.Header, "Etag")
		delete(res.Header, "Last-Modified")
	}
	switch {
	case startsJob(e) && !isJSON(res.Header):
		return nil // the run itself, as a stream
	case res.StatusCode == http.StatusSeeOther && e.Result.Creates != "":
		return s.recordLocation(ctx, res.Header.Get("Location"))
	case res.StatusCode < 200 || res.StatusCode > 299:
		return nil
	case s.v.Request.http.Method == http.MethodHead:
		delete(res.Header, "Content-Length")
		return nil
	case e.Result.Deletes:
		s.forget(ctx)
		return nil
	case s.importsUnseen():
		return s.recordImported(ctx)
	}
	body, err := readAnswer(s.v.Request, res)
	if err != nil {
		return err
	}
	if body, err = s.readObjects(ctx, body); err != nil {
		return err
	}
	if e.Result.Hides != nil {
		if body, err = e.Result.Hides.Clean(body); err != nil {
			return unreadable(s.v.Request, "something other than objects")
		}
	}
	setBody(res, body)
	return nil
}

// readObjects records an answer's facts about objects, and removes everything that the person may
// not see.
func (s *results) readObjects(ctx context.Context, body []byte) ([]byte, error) {
	e := s.v.endpoint()
	if e.Result.Creates != "" {
		if err := s.recordAnswer(ctx, body); err != nil {
			return nil, err
		}
	}
	if e.Result.Renames {
		s.noteName(ctx, body)
	}
	if e.Result.Learn != nil {
		var err error
		if body, err = s.learn(ctx, body); err != nil {
			return nil, err
		}
	}
	if e.Result.List != nil {
		return s.filter(ctx, body)
	}
	if s.v.locked {
		return objects.SetTrue(body, e.Result.Locked), nil
	}
	return body, nil
}

// taken reports whether an object already has an owner.
func (s *results) taken(id string) bool {
	_, _, taken := s.v.Request.up.objects.Owner(id)
	return taken
}

// kindOf is the kind of a created object; flowType is the builder's name for the type of a flow.
func (s *results) kindOf(flowType string) flow.Kind {
	return s.v.Request.app.Kind.FlowKind(s.v.endpoint().Result.Creates, flowType)
}

// recordAnswer records the object that an answer describes.
func (s *results) recordAnswer(ctx context.Context, body []byte) error {
	var m objects.Created
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		var list []objects.Created
		if json.Unmarshal(body, &list) != nil {
			return unreadable(s.v.Request, "an answer that is not JSON")
		}
		if s.v.endpoint().Result.Many {
			return s.recordMany(ctx, list)
		}
		m = objects.Newest(list, s.wantedName(), s.taken)
	} else if json.Unmarshal(body, &m) != nil {
		return unreadable(s.v.Request, "an answer that is not JSON")
	}
	if m.ID == "" {
		return nil
	}
	public := s.marksPublic()
	return s.recordCreated(ctx, flow.Object{
		ID:     m.ID,
		Name:   m.Title(),
		Kind:   s.kindOf(m.Type),
		Public: public != nil && *public,
	})
}

// recordMany records all objects that were created at once, except those that already have an
// owner.
func (s *results) recordMany(ctx context.Context, list []objects.Created) error {
	var fresh []flow.Object
	for _, m := range list {
		if m.ID != "" && !s.taken(m.ID) {
			fresh = append(fresh, flow.Object{ID: m.ID, Name: m.Title(), Kind: s.kindOf(m.Type)})
		}
	}
	return s.recordCreated(ctx, fresh...)
}

// wantedName is the name that the request gives to the new object; "" for none.
func (s *results) wantedName() string {
	for _, key := range [...]string{"keyName", "name"} {
		if name, err := s.v.body.textAt(key); err == nil && name != "" {
			return name
		}
	}
	return ""
}

// recordCreated records objects as created by the person in the request's workspace. If that fails,
// they are unassigned and can be adopted later, and the client gets an error.
func (s *results) recordCreated(ctx context.Context, created ...flow.Object) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), objects.RecordTimeout)
	defer cancel()
	account, err := s.entered(ctx)
	for i := range created {
		o := &created[i]
		o.App, o.Workspace, o.Account = s.v.Request.app.ID, s.v.place.Workspace, account
		o.Owner = s.v.requester.who().ID
	}
	if err == nil {
		err = s.flows().Create(ctx, s.act(), s.creation(), created...)
	}
	if err != nil {
		return problem.New(
			problem.Unavailable,
			"It was created, but Sluice could not record that it belongs to your workspace.",
		).WithRule("object not recorded").
			WithNext("Ask an admin to assign it to your workspace on Sluice's page of the app.").WithCause(err)
	}
	return nil
}

func (s *results) flows() *flow.Library { return s.v.Request.p.cfg.Apps.Flows }

// entered returns the account that the request went into; "" for a builder without accounts.
func (s *results) entered(ctx context.Context) (string, error) {
	accounts := s.v.Request.accounts()
	if accounts == nil || s.v.place.Account != "" {
		return s.v.place.Account, nil
	}
	return accounts.Own(ctx, s.v.behalf())
}

// recordLocation records an object whose page the browser is sent to.
func (s *results) recordLocation(ctx context.Context, location string) error {
	id := location[strings.LastIndexByte(location, '/')+1:]
	if !profile.PlainID(id) || id == "" {
		return nil
	}
	return s.recordCreated(ctx, flow.Object{ID: id, Kind: s.v.endpoint().Result.Creates})
}

// recordImported records the objects that an import has created.
func (s *results) recordImported(ctx context.Context) error {
	if bridge := s.v.Request.app.Bridge; bridge == nil || bridge.Inventory == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), objects.RecordTimeout)
	defer cancel()
	after, err := s.inventory(ctx)
	if err != nil {
		return err
	}
	var fresh []flow.Object
	for _, o := range after {
		if !s.before[o.ID] && !s.taken(o.ID) {
			fresh = append(fresh, flow.Object{ID: o.ID, Name: o.Name, Kind: o.Kind})
		}
	}
	slices.SortFunc(fresh, func(a, b flow.Object) int { return strings.Compare(a.ID, b.ID) })
	return s.recordCreated(ctx, fresh...)
}

// forget removes deleted objects from the map. A leftover row does no harm, because the builder
// never reuses its id.
func (s *results) forget(ctx context.Context) {
	ids := slices.Concat(s.v.named, s.alsoDeleted)
	if err := s.flows().Delete(context.WithoutCancel(ctx), s.act(), ids...); err != nil {
		s.warn("a deleted object stays in the ownership map", "error", err)
	}
}

// noteName updates the name that lists show.
func (s *results) noteName(ctx context.Context, body []byte) {
	var m objects.Created
	ids := s.v.named
	if json.Unmarshal(body, &m) != nil || len(ids) != 1 || m.ID != "" && m.ID != ids[0] {
		return
	}
	saved := flow.Saved{Name: m.Title(), Public: s.marksPublic()}
	if err := s.flows().Save(context.WithoutCancel(ctx), s.act(), ids[0], saved); err != nil {
		s.warn("the new name of an object was not recorded", "object", ids[0], "error", err)
	}
}

// warn logs a problem that does not stop the request.
func (s *results) warn(text string, args ...any) {
	s.v.Request.p.cfg.Log.Warn(text, append([]any{"app", s.v.Request.app.Slug}, args...)...)
}

// act identifies, for the audit record, the person and the app of a change to a flow.
func (s *results) act() flow.Act {
	app := s.v.Request.app
	return flow.Act{Who: *s.v.requester.who(), App: app.ID, AppName: app.Name}
}

// creation is the audit record's word for the endpoint's kind of creation.
func (s *results) creation() string {
	e := s.v.endpoint()
	if e.Result.Imports || slices.Contains(e.Permissions, "chatflows:import") {
		return flow.Imported
	}
	return flow.Created
}

// recordStatus records everything about a flow that the status alone reveals: runs, changes of what
// strangers may do, and the builder's refusals. Creations, deletions and saves are recorded with
// their objects.
func (s *results) recordStatus(ctx context.Context, status int) error {
	e, id := s.v.endpoint(), s.v.flow
	failed := status >= http.StatusBadRequest || status == noAnswer
	switch {
	case e.Runs && id != "":
		s.flows().Ran(s.act(), id, status)
	case safe(s.v.Request.http.Method):
	case e.Action == authz.FlowPublish && id != "":
		if failed {
			s.flows().Failed(s.act(), authz.FlowPublish, id, status)
			return nil
		}
		if err := s.flows().Expose(context.WithoutCancel(ctx), s.act(), id); err != nil {
			return problem.New(problem.Unavailable, "The action succeeded, but Sluice could not record it.").
				WithRule("change not recorded").WithCause(err)
		}
	case failed && (e.Result.Creates.IsFlow() || e.Result.Imports ||
		id != "" && (e.Result.Deletes || e.Result.Renames)):
		s.flows().Failed(s.act(), authz.FlowEdit, id, status)
	}
	return nil
}

// marksPublic returns the value that the body sets for the builder's own mark of public flows; nil
// if it does not set the mark.
func (s *results) marksPublic() *bool {
	rules := s.v.endpoint().Body
	for i := range rules {
		rule := &rules[i]
		for _, f := range s.v.body.fields {
			if rule.Mark != "" && string(f.key) == rule.Mark {
				public := rule.Needs(rule.Mark, f.value)
				return &public
			}
		}
	}
	return nil
}

// learn remembers the parts of the request's object that an answer lists. It returns the answer for
// the client, without sessions of other workspaces.
func (s *results) learn(ctx context.Context, body []byte) ([]byte, error) {
	lesson := s.v.endpoint().Result.Learn
	parent := s.lessonParent(lesson)
	ids := objects.LessonIDs(body, lesson)
	switch lesson.Kind {
	case profile.Job:
		for _, id := range ids {
			if err := s.startJob(ctx, id, parent); err != nil {
				return nil, err
			}
		}
	case profile.ChatSession:
		return s.learnChats(ids, parent, body)
	default:
		for _, id := range ids {
			s.flows().Learn(s.v.Request.app.ID, id, parent)
		}
	}
	return body, nil
}

// lessonParent returns the object that contains the parts: the one in the place that the lesson
// names in the request.
func (s *results) lessonParent(lesson *profile.Lesson) string {
	if lesson.Kind != "" && s.v.flow != "" {
		return s.v.flow
	}
	inBody, err := s.v.body.textAt(lesson.Parent)
	if err != nil {
		inBody = ""
	}
	return cmp.Or(s.v.match.Param(lesson.Parent), s.v.Request.query.Get(lesson.Parent), inBody)
}

// startJob records a background run before anyone can know its id.
func (s *results) startJob(ctx context.Context, id, flowID string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), objects.RecordTimeout)
	defer cancel()
	job := flow.Job{Flow: flowID, Person: s.v.requester.who().ID}
	if err := s.flows().StartJob(ctx, s.v.Request.app.ID, id, job); err != nil {
		return problem.New(problem.Unavailable, "The run was started, but Sluice could not record its owner.").
			WithRule("job not recorded").WithNext("Run the flow again.").WithCause(err)
	}
	return nil
}

// learnChats remembers the sessions of a flow. If the request names no flow, only sessions that are
// known to be the workspace's remain.
func (s *results) learnChats(ids []string, flowID string, body []byte) ([]byte, error) {
	app, workspace := s.v.Request.app.ID, s.v.place.Workspace
	kept := make([]string, 0, len(ids))
	for _, id := range ids {
		if flowID != "" && len(id) <= objects.MaxChat {
			s.flows().LearnChat(app, id, flow.Chat{Workspace: workspace, Flow: flowID})
		}
		if c, ok := s.flows().ChatOf(app, id); ok && c.Workspace == workspace {
			kept = append(kept, id)
		}
	}
	if len(kept) == len(ids) {
		return body, nil
	}
	return json.Marshal(kept)
}
