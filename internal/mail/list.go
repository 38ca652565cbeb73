package mail

import (
	"context"
	"fmt"
	"time"

	"sluice/internal/db"
	q "sluice/internal/db/q/mail"
	"sluice/internal/problem"
)

// State is where a mail is.
type State string

// The states of a mail.
const (
	// Waiting mails are sent when they are due.
	Waiting State = "waiting"
	// Sending means that a node talks to the mail server about it now.
	Sending State = "sending"
	// Sent means that the mail server has accepted it; what happens after that, Sluice does not learn.
	Sent State = "sent"
	// Failed mails were refused for good, or tried for GiveUpAfter.
	Failed State = "failed"
	// Discarded mails were given up by hand.
	Discarded State = "discarded"
)

// Item is a mail in the outbox. Its body is never shown, because the link in it is live.
type Item struct {
	ID      string
	Kind    string
	To      Address
	Subject string
	State   State
	// Attempts counts how often it was tried.
	Attempts int
	// Trouble is what went wrong last, and LastError the server's words or the system's. Both may be empty, also after success.
	Trouble   Trouble
	LastError string
	CreatedAt time.Time
	// DueAt is when a waiting mail is tried next; zero for others.
	DueAt time.Time
	// FinishedAt is when it was sent, failed or discarded; zero before.
	FinishedAt time.Time
}

// Filter narrows a list of mails.
type Filter struct {
	// State is empty for all.
	State State
	// Query is a part of a recipient's address or a subject; empty lists all.
	Query string
	// Limit is 1 to 200, 0 means 50. Offset skips rows.
	Limit, Offset int
}

// Status is the outbox at a glance.
type Status struct {
	Configured bool
	// Server is host and port of the mail server; Sender the From address.
	Server, Sender  string
	Waiting, Failed int
	// PausedUntil is when the next mail is tried after a failure of the server; zero when it works. It is known to the node that met the failure.
	PausedUntil time.Time
}

// Status counts what waits and what has failed. The caller has asked for the right.
func (o *Outbox) Status(ctx context.Context) (Status, error) {
	s := Status{Configured: o.Configured(), Sender: o.sender.String()}
	if s.Configured {
		s.Server = o.cfg.SMTP.address()
	}
	waiting, err := q.New(o.cfg.DB.Read()).CountWaitingMail(ctx)
	if err != nil {
		return s, fmt.Errorf("counting the mails that wait: %w", err)
	}
	failed, err := q.New(o.cfg.DB.Read()).CountFailedMail(ctx)
	if err != nil {
		return s, fmt.Errorf("counting the mails that failed: %w", err)
	}
	s.Waiting, s.Failed = int(waiting), int(failed)
	if until := o.pauseUntil.Load(); until > o.cfg.Now().UnixMilli() {
		s.PausedUntil = time.UnixMilli(until).UTC()
	}
	return s, nil
}

// List returns mails, the newest first, and how many there are in all. The caller has asked for the right.
func (o *Outbox) List(ctx context.Context, f Filter) ([]Item, int, error) {
	if f.Limit <= 0 || f.Limit > 200 {
		f.Limit = 50
	}
	pattern := likePattern(f.Query)
	total, err := q.New(o.cfg.DB.Read()).CountMail(ctx, q.CountMailParams{State: string(f.State), Pattern: pattern})
	if err != nil {
		return nil, 0, fmt.Errorf("counting mails: %w", err)
	}
	rows, err := q.New(o.cfg.DB.Read()).ListMail(ctx, q.ListMailParams{
		State: string(f.State), Pattern: pattern, RowLimit: int32(f.Limit), RowOffset: int32(min(max(f.Offset, 0), 1<<30)),
	})
	if err != nil {
		return nil, 0, fmt.Errorf("listing mails: %w", err)
	}
	items := make([]Item, len(rows))
	for i, r := range rows {
		items[i] = item(q.GetMailRow(r))
	}
	return items, int(total), nil
}

// Get returns one mail; NotFound if there is none. The caller has asked for the right.
func (o *Outbox) Get(ctx context.Context, id string) (Item, error) {
	r, err := q.New(o.cfg.DB.Read()).GetMail(ctx, id)
	if err != nil {
		return Item{}, db.Found(err, "There is no such mail.")
	}
	return item(r), nil
}

func item(r q.GetMailRow) Item {
	i := Item{
		ID: r.ID, Kind: r.Kind, To: Address{Name: r.RecipientName, Email: r.Recipient}, Subject: r.Subject, State: State(r.State), Attempts: int(r.Attempts),
		Trouble: Trouble(r.Trouble), LastError: r.LastError, CreatedAt: time.UnixMilli(r.CreatedAt).UTC(),
	}
	if i.State == Waiting {
		i.DueAt = time.UnixMilli(r.DueAt).UTC()
	}
	if r.FinishedAt > 0 {
		i.FinishedAt = time.UnixMilli(r.FinishedAt).UTC()
	}
	return i
}

// Retry makes a waiting or failed mail due at once and gives it another GiveUpAfter. It runs in the caller's transaction, together with the audit entry.
func (o *Outbox) Retry(ctx context.Context, tx *db.Tx, id string) error {
	now := o.cfg.Now()
	n, err := q.New(tx).RetryMail(ctx, q.RetryMailParams{ID: id, Now: now.UnixMilli(), GiveUpAt: now.Add(GiveUpAfter).UnixMilli()})
	if err != nil {
		return fmt.Errorf("making a mail due: %w", err)
	}
	if n == 0 {
		return o.unchangeable(ctx, tx, id, "sent again")
	}
	// Whoever retries by hand has changed something and wants to see the result.
	o.pauseUntil.Store(0)
	return tx.Changed(ChangeKind, id)
}

// Discard gives up a waiting or failed mail and wipes its body. It runs in the caller's transaction, together with the audit entry.
func (o *Outbox) Discard(ctx context.Context, tx *db.Tx, id string) error {
	n, err := q.New(tx).DiscardMail(ctx, q.DiscardMailParams{ID: id, Now: o.cfg.Now().UnixMilli()})
	if err != nil {
		return fmt.Errorf("discarding a mail: %w", err)
	}
	if n == 0 {
		return o.unchangeable(ctx, tx, id, "discarded")
	}
	return nil
}

// unchangeable says why a mail was not touched.
func (o *Outbox) unchangeable(ctx context.Context, tx *db.Tx, id, done string) error {
	r, err := q.New(tx).GetMail(ctx, id)
	if err != nil {
		return db.Found(err, "There is no such mail.")
	}
	return problem.Newf(problem.Conflict, "This mail is %s and cannot be %s.", r.State, done)
}
