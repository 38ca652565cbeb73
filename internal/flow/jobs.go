package flow

import (
	"context"
	"fmt"
	"time"

	"sluice/internal/db"
	q "sluice/internal/db/q/flow"
	"sluice/internal/problem"
)

// Job is a run of a flow that the builder names by an id of its own, such as a build.
type Job struct {
	// Flow is what runs.
	Flow string
	// Person has started it; empty for somebody who was not signed in.
	Person string
}

// jobsKept bounds how many jobs are held in memory; the others are read from the database.
const jobsKept = 20_000

// jobAge is how long a job is of use.
const jobAge = 24 * time.Hour

// StartJob records a job, so that every node knows whose it is. The first who records an id has it. Errors: problem.Conflict if the id is known with something else.
func (l *Library) StartJob(ctx context.Context, appID, id string, j Job) error {
	if id == "" || len(id) > maxID {
		return problem.New(problem.Invalid, "A job needs an id.").WithField("job_id")
	}
	made := int64(0)
	err := l.cfg.DB.System(ctx, "runs", func(tx *db.Tx) (err error) {
		made, err = q.New(tx).InsertJob(ctx, q.InsertJobParams{AppID: appID, JobID: id, FlowID: j.Flow, PersonID: j.Person, CreatedAt: l.cfg.Now().UnixMilli()})
		return err
	})
	if err != nil {
		return fmt.Errorf("recording a job: %w", err)
	}
	if made == 0 {
		if known, err := l.Job(ctx, appID, id); err != nil || known != j {
			return problem.New(problem.Conflict, "This job is known with another flow or person.").WithRule("job owned").WithCause(err)
		}
	}
	l.jobs.Set(inner{appID, id}, j)
	return nil
}

// Job finds a job of an app: in memory, or in the database. Errors: problem.NotFound.
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
	return l.cfg.DB.System(ctx, "runs", func(tx *db.Tx) error { return q.New(tx).PruneJobs(ctx, now.Add(-jobAge).UnixMilli()) })
}
