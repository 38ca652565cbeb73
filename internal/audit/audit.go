package audit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sluice/internal/db"
	q "sluice/internal/db/q/audit"
)

// Outcome is the result of an action.
type Outcome string

const (
	// Done means that the change was committed together with this entry.
	Done Outcome = "done"
	// Denied means that policy refused the action, and nothing was attempted.
	Denied Outcome = "denied"
	// Failed means that the action was permitted, but failed with an error and was rolled back.
	Failed Outcome = "failed"
)

// Entry is one line of the record. It never holds a secret.
type Entry struct {
	// Seq is the position in the chain, from 1; set by Append.
	Seq int64
	// At is when it happened, to the millisecond.
	At time.Time
	// ActorKind, ActorID and ActorName describe the actor: "person", "system" or "anonymous", the
	// person's id, and their username at that time.
	ActorKind, ActorID, ActorName string
	// IP is the client address as Sluice saw it.
	IP string
	// Action is the authz action's text.
	Action string
	// ResourceType, ResourceID and ResourceName describe the object, Workspace its workspace.
	ResourceType, ResourceID, ResourceName, Workspace string
	// Outcome is the result.
	Outcome Outcome
	// Times is how many equal events one entry stands for; 1 for a single event.
	Times int64
	// Policies are the ids of the policies that decided, comma separated.
	Policies string
	// Detail is a short safe text, for example which fields changed or why the action failed.
	Detail string
	// PreviousHash and Hash are the chain, lower-case hex; set by Append.
	PreviousHash, Hash string
}

// Append writes an entry at the end of the chain, within the caller's transaction.
func Append(ctx context.Context, tx *db.Tx, e Entry) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	last, err := q.New(tx).LastAudit(ctx)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("reading the end of the audit chain: %w", err)
	}
	e.Seq, e.PreviousHash = last.Seq+1, last.Hash
	if e.Times == 0 {
		e.Times = 1
	}
	e.Hash = e.sum()
	if err := q.New(tx).InsertAudit(ctx, q.InsertAuditParams{
		Seq:          e.Seq,
		At:           e.At.UnixMilli(),
		ActorKind:    e.ActorKind,
		ActorID:      e.ActorID,
		ActorName:    e.ActorName,
		Ip:           e.IP,
		Action:       e.Action,
		ResourceType: e.ResourceType,
		ResourceID:   e.ResourceID,
		ResourceName: e.ResourceName,
		WorkspaceID:  e.Workspace,
		Outcome:      string(e.Outcome),
		Times:        e.Times, Policies: e.Policies, Detail: e.Detail, PreviousHash: e.PreviousHash, Hash: e.Hash,
	}); err != nil {
		return fmt.Errorf("writing the audit entry: %w", err)
	}
	return nil
}

// sum is SHA-256 over the JSON array of all fields except the hash itself. An array has one
// spelling, so a verifier needs no canonical form.
func (e Entry) sum() string {
	fields, err := json.Marshal([]any{
		e.Seq, e.At.UnixMilli(), e.ActorKind, e.ActorID, e.ActorName, e.IP, e.Action, e.ResourceType, e.ResourceID,
		e.ResourceName,
		e.Workspace, string(e.Outcome), e.Times, e.Policies, e.Detail, e.PreviousHash,
	})
	if err != nil {
		panic("audit: strings and numbers always marshal: " + err.Error())
	}
	sum := sha256.Sum256(fields)
	return hex.EncodeToString(sum[:])
}

// Last returns the position of the newest entry, or 0 for an empty record.
func Last(ctx context.Context, d *db.DB) (int64, error) {
	last, err := q.New(d.Read()).LastAudit(ctx)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("reading the end of the audit chain: %w", err)
	}
	return last.Seq, nil
}

// After returns up to limit entries with a higher position than seq, oldest first.
func After(ctx context.Context, d *db.DB, seq, limit int64) ([]Entry, error) {
	rows, err := q.New(d.Read()).AuditAfter(ctx, q.AuditAfterParams{Seq: seq, Limit: int32(min(limit, 10_000))})
	if err != nil {
		return nil, fmt.Errorf("reading the audit chain: %w", err)
	}
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		entries[i] = Entry{
			Seq:          r.Seq,
			At:           time.UnixMilli(r.At).UTC(),
			ActorKind:    r.ActorKind,
			ActorID:      r.ActorID,
			ActorName:    r.ActorName,
			IP:           r.Ip,
			Action:       r.Action,
			ResourceType: r.ResourceType,
			ResourceID:   r.ResourceID,
			ResourceName: r.ResourceName,
			Workspace:    r.WorkspaceID,
			Outcome:      Outcome(r.Outcome),
			Times:        r.Times, Policies: r.Policies, Detail: r.Detail, PreviousHash: r.PreviousHash, Hash: r.Hash,
		}
	}
	return entries, nil
}

// Verify walks the whole chain. It returns the number of entries, or an error that names the first
// entry that does not fit.
func Verify(ctx context.Context, d *db.DB) (int64, error) {
	var seq int64
	hash := ""
	for {
		entries, err := After(ctx, d, seq, 1000)
		if err != nil || len(entries) == 0 {
			return seq, err
		}
		for _, e := range entries {
			if e.Seq != seq+1 || e.PreviousHash != hash || e.sum() != e.Hash {
				return seq, fmt.Errorf(
					"the audit chain is broken at entry %d: it was changed, or an entry before it is missing",
					e.Seq,
				)
			}
			seq, hash = e.Seq, e.Hash
		}
	}
}
