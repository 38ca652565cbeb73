package flow

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/flow"
	"sluice/internal/problem"
)

// Act says who acts on the objects of an app with a request that the builder answers. The audit
// entries of the request's flows record it; other objects have no entries.
type Act struct {
	// The acting person or stranger, with the API key if the request came with one.
	Who authz.Principal
	// App is the app's id, AppName its name for people.
	App, AppName string
}

// The words of audit entries for what happened to a flow.
const (
	Created  = "created"
	Imported = "imported"
	deleted  = "deleted"
	changed  = "changed"
	ran      = "run"
)

// detail is the text of an entry: what happened, in which app, and with which API key.
func (a Act) detail(did string) string {
	text := did + " in " + cleanName(a.AppName) + " (app " + a.App + ")"
	if a.Who.KeyID != "" {
		text += " with API key " + a.Who.KeyID
	}
	return text
}

// IsFlow reports whether a kind of object is a flow.
func (k Kind) IsFlow() bool { return k == Chatflow || k == Agentflow || k == Assistantflow }

func (o Object) resource() authz.Resource {
	return authz.Resource{
		Type:      "Flow",
		ID:        o.ID,
		Workspace: o.Workspace,
		App:       o.App,
		Owner:     o.Owner,
		Name:      cleanName(o.Name),
	}
}

// Create is Claim for objects that a request created or imported; did says which. The entry of each
// flow is written in the same transaction.
func (l *Library) Create(ctx context.Context, act Act, did string, objects ...Object) error {
	if len(objects) == 0 {
		return nil
	}
	return l.cfg.DB.System(ctx, "ownership", func(tx *db.Tx) error {
		fresh, err := l.claim(ctx, tx, objects)
		if err != nil {
			return err
		}
		for _, o := range fresh {
			if !o.Kind.IsFlow() {
				continue
			}
			if err := l.record(ctx, tx, act, authz.FlowEdit, o, did); err != nil {
				return err
			}
			if o.Public {
				if err := l.mark(ctx, tx, act, stored{o, true}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// mark stores whether the builder's own mark opens a flow to strangers, and writes the entry.
func (l *Library) mark(ctx context.Context, tx *db.Tx, act Act, o stored) error {
	if err := l.note(ctx, tx, o); err != nil {
		return err
	}
	did := map[bool]string{true: "published", false: "unpublished"}[o.public]
	return l.record(ctx, tx, act, authz.FlowPublish, o.Object, did)
}

// note stores the name and the mark of an object and the time of the change.
func (l *Library) note(ctx context.Context, tx *db.Tx, o stored) error {
	err := q.New(tx).NoteObject(ctx, q.NoteObjectParams{
		AppID:        o.App,
		ObjectID:     o.ID,
		Name:         cleanName(o.Name),
		UpdatedAt:    l.cfg.Now().UnixMilli(),
		MarkedPublic: o.public,
	})
	if err != nil {
		return fmt.Errorf("recording a change of an object: %w", err)
	}
	return nil
}

func (l *Library) record(ctx context.Context, tx *db.Tx, act Act, a authz.Action, o Object, did string) error {
	return l.cfg.Gate.Record(ctx, tx, act.Who, a, o.resource(), audit.Done, act.detail(did))
}

// Delete is Forget for objects that a request deleted. The entry of each flow is written in the
// same transaction.
func (l *Library) Delete(ctx context.Context, act Act, ids ...string) error {
	return l.cfg.DB.System(ctx, "ownership", func(tx *db.Tx) error {
		for _, id := range ids {
			o, found, err := l.read(ctx, tx, act.App, id)
			if err != nil || !found {
				if err != nil {
					return err
				}
				continue
			}
			if err := l.ForgetIn(ctx, tx, act.App, id); err != nil {
				return err
			}
			if !o.Kind.IsFlow() {
				continue
			}
			// Counts that are not written yet can no longer look up the name.
			l.cfg.Gate.NameCounted(o.resource())
			if err := l.record(ctx, tx, act, authz.FlowEdit, o.Object, deleted); err != nil {
				return err
			}
		}
		return nil
	})
}

// stored is an object with the fields that only entries need.
type stored struct {
	Object
	public bool
}

// read reads an object within a transaction.
func (l *Library) read(ctx context.Context, from db.Source, appID, id string) (o stored, found bool, err error) {
	row, err := q.New(from).GetObject(ctx, q.GetObjectParams{AppID: appID, ObjectID: id})
	if problem.Is(db.Found(err, "gone"), problem.NotFound) {
		return o, false, nil
	}
	if err != nil {
		return o, false, fmt.Errorf("reading an object: %w", err)
	}
	return stored{object(row), row.MarkedPublic}, true, nil
}

// Saved is a request's change of an object.
type Saved struct {
	// Name is the new name; an empty one keeps the previous name.
	Name string
	// Public reports that the builder's own mark now opens the flow to strangers, or no longer
	// does. Nil means that the request did not set it.
	Public *bool
}

// Save notes that a request changed an object. Changes of one flow by one person within
// authz.CountFor become one entry, which is written later. A change of the builder's mark of public
// flows gets its own entry, in the same transaction.
func (l *Library) Save(ctx context.Context, act Act, id string, s Saved) error {
	var o stored
	var found bool
	err := l.cfg.DB.System(ctx, "ownership", func(tx *db.Tx) (err error) {
		if o, found, err = l.read(ctx, tx, act.App, id); err != nil || !found {
			return err
		}
		if name := cleanName(s.Name); name != "" {
			o.Name = name
		}
		before := o.public
		if s.Public != nil && o.Kind.IsFlow() {
			o.public = *s.Public
		}
		if o.public != before {
			return l.mark(ctx, tx, act, o)
		}
		return l.note(ctx, tx, o)
	})
	if err == nil && found && o.Kind.IsFlow() {
		l.cfg.Gate.Count(act.Who, authz.FlowEdit, o.resource(), audit.Done, act.detail(changed))
	}
	return err
}

// Marked stores that Sluice itself set the builder's own mark of public flows. A later change of
// the mark in the builder is then recognized as a change. Marked writes no audit entry.
func (l *Library) Marked(ctx context.Context, appID, id string, public bool) error {
	return l.cfg.DB.System(ctx, "ownership", func(tx *db.Tx) error {
		o, found, err := l.read(ctx, tx, appID, id)
		if err != nil || !found || o.public == public {
			return err
		}
		o.public = public
		return l.note(ctx, tx, o)
	})
}

// Name is the name of a flow; "" if it is unknown.
func (l *Library) Name(ctx context.Context, appID, id string) string {
	return l.nameOf(ctx, authz.Resource{App: appID, ID: id})
}

// Expose records that a request changed what strangers may do with a flow, other than by the
// builder's mark.
func (l *Library) Expose(ctx context.Context, act Act, id string) error {
	return l.cfg.DB.System(ctx, "ownership", func(tx *db.Tx) error {
		o, found, err := l.read(ctx, tx, act.App, id)
		if err != nil || !found {
			return err
		}
		return l.record(ctx, tx, act, authz.FlowPublish, o.Object, "access for strangers changed")
	})
}

// Ran counts a run of a flow. Runs by one person within authz.CountFor become one entry, which is
// written later. Ran does no I/O. status is the builder's HTTP status, 0 if it gave no answer.
func (l *Library) Ran(act Act, id string, status int) {
	l.count(act, authz.FlowRun, id, ran, status)
}

// Failed counts an action on a flow (an id, or "" for one not yet created) that the builder refused
// or could not perform. It does no I/O. status is the builder's HTTP status; 0 means that it gave
// no answer, so it is unknown whether it performed the action.
func (l *Library) Failed(act Act, a authz.Action, id string, status int) {
	did := "not done"
	if status == 0 {
		did = "requested"
	}
	l.count(act, a, id, did, status)
}

func (l *Library) count(act Act, a authz.Action, id, did string, status int) {
	o := Object{App: act.App, ID: id, Workspace: act.Who.Workspace}
	if workspace, _, ok := l.Owner(act.App, id); ok {
		o.Workspace = workspace
	}
	outcome, text := audit.Done, act.detail(did)
	switch {
	case status == 0:
		outcome = audit.Failed
		text += "; the builder gave no answer"
	case status >= 400:
		outcome = audit.Failed
		text += "; the builder answered " + strconv.Itoa(status)
	}
	l.cfg.Gate.Count(act.Who, a, o.resource(), outcome, text)
}

// nameOf is the name of a flow for entries that were counted without it; "" if it is not known.
func (l *Library) nameOf(ctx context.Context, r authz.Resource) string {
	o, _, err := l.read(ctx, l.cfg.DB.Read(), r.App, r.ID)
	if err != nil {
		l.cfg.Log.Warn(
			"the name of a flow could not be read for the audit record",
			"app", r.App,
			"flow", r.ID,
			"error", err,
		)
	}
	return o.Name
}

// Found is Claim for objects that appeared in a builder's account without a record. Either Sluice
// was stopped between the builder's answer and the record, or they were created without Sluice.
func (l *Library) Found(ctx context.Context, appID string, objects ...Object) error {
	if len(objects) == 0 {
		return nil
	}
	return l.cfg.DB.System(ctx, "ownership", func(tx *db.Tx) error {
		fresh, err := l.claim(ctx, tx, objects)
		if err != nil {
			return err
		}
		var last Object
		flows := 0
		for _, o := range fresh {
			if o.Kind.IsFlow() {
				last, flows = o, flows+1
			}
		}
		r := last.resource()
		switch flows {
		case 0:
			return nil
		case 1:
		default:
			r = authz.Resource{Type: "App", ID: appID, App: appID, Workspace: last.Workspace}
		}
		detail := fmt.Sprintf("found %d in the builder (app %s)", flows, appID)
		return l.cfg.Gate.Record(ctx, tx, authz.SystemPrincipal("inventory"), authz.FlowEdit, r, audit.Done, detail)
	})
}

// Job is a run of a flow with its own id in the builder, such as a build.
type Job struct {
	// Flow is the running flow.
	Flow string
	// Person started it; empty if they were not signed in.
	Person string
}

// jobsKept bounds how many jobs are held in memory; others are read from the database.
const jobsKept = 20_000

// jobAge is how long a job is kept.
const jobAge = 24 * time.Hour

// StartJob records a job, so that every node knows its flow and person. The first record of an id
// wins. Errors: problem.Conflict if the id is known with another flow or person.
func (l *Library) StartJob(ctx context.Context, appID, id string, j Job) error {
	if id == "" || len(id) > maxID {
		return problem.New(problem.Invalid, "A job needs an id.").WithField("job_id")
	}
	made := int64(0)
	err := l.cfg.DB.System(ctx, "runs", func(tx *db.Tx) (err error) {
		made, err = q.New(tx).InsertJob(ctx, q.InsertJobParams{
			AppID:     appID,
			JobID:     id,
			FlowID:    j.Flow,
			PersonID:  j.Person,
			CreatedAt: l.cfg.Now().UnixMilli(),
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("recording a job: %w", err)
	}
	if made == 0 {
		if known, err := l.Job(ctx, appID, id); err != nil || known != j {
			return problem.New(problem.Conflict, "This job is known with another flow or "+
				"person.").WithRule("job owned").
				WithCause(err)
		}
	}
	l.jobs.Set(inner{appID, id}, j)
	return nil
}

// Job finds a job of an app, in memory or in the database. Errors: problem.NotFound.
func (l *Library) Job(ctx context.Context, appID, id string) (Job, error) {
	if j, ok := l.jobs.GetIfPresent(inner{appID, id}); ok {
		return j, nil
	}
	row, err := q.New(l.cfg.DB.Read()).GetJob(ctx, q.GetJobParams{AppID: appID, JobID: id})
	if err := db.Found(err, "There is no such job."); err != nil {
		return Job{}, err
	}
	j := Job{Flow: row.FlowID, Person: row.PersonID}
	l.jobs.Set(inner{appID, id}, j)
	return j, nil
}

// PruneJobs forgets jobs that are older than a day.
func (l *Library) PruneJobs(ctx context.Context, now time.Time) error {
	return l.cfg.DB.System(ctx, "runs", func(tx *db.Tx) error {
		return q.New(tx).PruneJobs(ctx, now.Add(-jobAge).UnixMilli())
	})
}
