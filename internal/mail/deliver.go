package mail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	gomail "github.com/wneessen/go-mail"

	"sluice/internal/db"
	q "sluice/internal/db/q/mail"
	"sluice/internal/problem"
)

const (
	// parallel is how many conversations with the mail server a node holds at once.
	parallel = 5
	// lease is how long a node may take for one email. It is longer than any conversation.
	lease = 5 * time.Minute
	// firstWait doubles with every attempt up to longestWait.
	firstWait   = time.Minute
	longestWait = time.Hour
	// pause is how long the outbox waits after a failure that would affect every email.
	pause = time.Minute
	// grace is how long a conversation may continue when Sluice stops.
	grace = 3 * time.Second
	// storing is how long recording the outcome may take, even while Sluice stops.
	storing = 10 * time.Second
)

// Deliver sends the emails that are due at now, until all are sent or the server fails. It also
// removes emails that were finished KeepFor ago. Several nodes may call it at the same time; within
// one node, calls wait for each other. The error is about the database; failures to send are stored
// with the email.
func (o *Outbox) Deliver(ctx context.Context, now time.Time) error {
	o.delivering.Lock()
	defer o.delivering.Unlock()
	err := o.prune(ctx, now)
	if !o.Configured() {
		return err
	}
	r := round{Outbox: o, base: now, began: time.Now()}
	slots := make(chan struct{}, parallel)
	for err == nil && ctx.Err() == nil {
		slots <- struct{}{}
		var row q.ClaimMailRow
		var due bool
		if row, due, err = r.claim(ctx); !due || err != nil {
			break
		}
		r.sends.Go(func() {
			defer func() { <-slots }()
			r.deliver(ctx, row)
		})
	}
	r.sends.Wait()
	return errors.Join(err, r.err)
}

// round is one run of Deliver.
type round struct {
	*Outbox
	base, began time.Time
	token       string
	sends       sync.WaitGroup

	mu  sync.Mutex
	err error
}

// now is the caller's clock, advanced by the duration of this round.
func (r *round) now() time.Time { return r.base.Add(time.Since(r.began)) }

// claim takes the next due email, so that no other node sends it. An email whose lease is over
// belonged to a process that was killed.
func (r *round) claim(ctx context.Context) (row q.ClaimMailRow, due bool, err error) {
	now := r.now()
	if r.pauseUntil.Load() > now.UnixMilli() {
		return row, false, nil
	}
	if r.token == "" {
		r.token = uuid.NewString()
	}
	err = r.cfg.DB.System(ctx, "mail delivery", func(tx *db.Tx) error {
		row, err = q.New(tx).
			ClaimMail(ctx, q.ClaimMailParams{Lease: r.token, LeaseUntil: now.Add(lease).UnixMilli(),
				Now: now.UnixMilli()})
		return err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return row, false, nil
	case ctx.Err() != nil:
		return row, false, nil
	case err != nil:
		return row, false, fmt.Errorf("claiming a mail: %w", err)
	}
	return row, true, nil
}

// deliver sends one email that claim has taken, and records the outcome.
func (r *round) deliver(ctx context.Context, row q.ClaimMailRow) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	defer stop()
	err := r.hand(sending, row)
	cut := err != nil && sending.Err() != nil

	keep, end := context.WithTimeout(context.WithoutCancel(ctx), storing)
	defer end()
	if err = r.note(keep, row, err, cut); err != nil {
		r.mu.Lock()
		r.err = errors.Join(r.err, fmt.Errorf("noting what became of the mail %s: %w", row.ID, err))
		r.mu.Unlock()
	}
}

// hand opens an email and hands it to the server.
func (r *round) hand(ctx context.Context, row q.ClaimMailRow) error {
	b, err := r.open(row.BodySealed, row.ID)
	if err != nil {
		r.cfg.Log.Error("a mail cannot be opened", "mail", row.ID, "error", err)
		return &sendError{step: StepContent, trouble: TroubleUnreadable, text: "the stored mail cannot be opened"}
	}
	to := Address{Name: row.RecipientName, Email: row.Recipient}
	e := r.envelope(
		row.ID,
		to,
		Rendered{Kind: row.Kind, Subject: row.Subject, Text: b.Text, HTML: b.HTML},
		time.UnixMilli(row.CreatedAt),
	)
	_, err = r.cfg.SMTP.send(ctx, r.cfg.Host, e)
	return err
}

// envelope builds the message. The id becomes the Message-ID, the same in every attempt.
func (o *Outbox) envelope(id string, to Address, r Rendered, at time.Time) envelope {
	m := gomail.NewMsg(gomail.WithEncoding(gomail.EncodingQP), gomail.WithNoDefaultUserAgent())
	m.SetAddrHeaderFromMailAddress(gomail.HeaderFrom, o.sender)
	m.SetAddrHeaderFromMailAddress(gomail.HeaderTo, to.standard())
	m.Subject(r.Subject)
	m.SetDateWithValue(at.UTC())
	m.SetMessageIDWithValue(id + "@" + hostLiteral(o.cfg.Host))
	// Auto-responders do not answer such email (RFC 3834 section 5).
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	m.SetBodyString(gomail.TypeTextPlain, r.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, r.HTML)
	return envelope{from: o.sender.Address, to: to.Email, content: m}
}

// note records the outcome of an email. It does nothing if the lease was lost, because another node
// has the email then.
func (r *round) note(ctx context.Context, row q.ClaimMailRow, sent error, cut bool) error {
	now := r.now()
	fault, failed := errors.AsType[*sendError](sent)
	switch {
	case sent == nil:
		if err := r.finish(ctx, row, Sent, "", ""); err != nil {
			return err
		}
		return r.works(ctx, now)
	case !failed:
		return sent
	case cut:
		return r.postpone(ctx, row, "", "Sluice was stopped while it was being sent", now)
	}
	if fault.trouble.ofServer() {
		r.fails(row, fault, now)
	}
	giveUp := time.UnixMilli(row.GiveUpAt)
	if fault.trouble.permanent() || !now.Before(giveUp) {
		return r.finish(ctx, row, Failed, fault.trouble, fault.text)
	}
	next := now.Add(wait(int(row.Attempts)))
	if next.After(giveUp) {
		next = giveUp
	}
	return r.postpone(ctx, row, fault.trouble, fault.text, next)
}

// wait is how long to wait after this many attempts.
func wait(attempts int) time.Duration {
	if attempts > 6 {
		return longestWait
	}
	return min(firstWait<<max(attempts-1, 0), longestWait)
}

func (r *round) finish(ctx context.Context, row q.ClaimMailRow, s State, t Trouble, text string) error {
	return r.cfg.DB.System(ctx, "mail delivery", func(tx *db.Tx) error {
		_, err := q.New(tx).FinishMail(ctx, q.FinishMailParams{
			State:     string(s),
			Wipe:      s == Sent,
			Trouble:   string(t),
			LastError: text,
			Now:       r.now().UnixMilli(),
			ID:        row.ID,
			Lease:     r.token,
		})
		return err
	})
}

func (r *round) postpone(ctx context.Context, row q.ClaimMailRow, t Trouble, text string, until time.Time) error {
	return r.cfg.DB.System(ctx, "mail delivery", func(tx *db.Tx) error {
		_, err := q.New(tx).
			PostponeMail(ctx, q.PostponeMailParams{Trouble: string(t), LastError: text, DueAt: until.UnixMilli(),
				ID: row.ID, Lease: r.token})
		return err
	})
}

// fails pauses the outbox and logs that once.
func (o *Outbox) fails(row q.ClaimMailRow, fault *sendError, now time.Time) {
	o.pauseUntil.Store(now.Add(pause).UnixMilli())
	o.delayed.Store(true)
	if !o.down.Swap(true) {
		o.cfg.Log.Warn(
			"the mail server accepts no mail; waiting mails are tried again",
			"server",
			o.cfg.SMTP.address(),
			"mail",
			row.ID,
			"step",
			fault.step,
			"trouble",
			fault.trouble,
			"error",
			fault.text,
			"advice",
			fault.trouble.Advice(),
		)
	}
}

// works ends the pause and makes the emails due that were delayed because of the server.
func (o *Outbox) works(ctx context.Context, now time.Time) error {
	o.pauseUntil.Store(0)
	if o.down.Swap(false) {
		o.cfg.Log.Info("the mail server takes mail again", "server", o.cfg.SMTP.address())
	}
	if !o.delayed.Swap(false) {
		return nil
	}
	var n int64
	err := o.cfg.DB.System(ctx, "mail delivery", func(tx *db.Tx) (err error) {
		n, err = q.New(tx).HastenMail(ctx, now.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("making mails due: %w", err)
	}
	if n > 0 {
		o.wakeUp()
	}
	return nil
}

// prune removes emails that were finished long ago, at most once an hour.
func (o *Outbox) prune(ctx context.Context, now time.Time) error {
	if now.Sub(o.pruned) < time.Hour {
		return nil
	}
	o.pruned = now
	return o.cfg.DB.System(ctx, "old mail", func(tx *db.Tx) error {
		if _, err := q.New(tx).PruneMail(ctx, now.Add(-KeepFor).UnixMilli()); err != nil {
			return fmt.Errorf("removing old mails: %w", err)
		}
		return nil
	})
}

// Transcript is the conversation of a test email.
type Transcript struct {
	Lines []Line
	// Step is the step that failed; empty after success.
	Step Step
	// Trouble, Text and Advice describe the failure, in the server's words, and what to do.
	Trouble Trouble
	Text    string
	Advice  string
}

// Test sends a test email at once, bypassing the outbox. It returns the conversation with masked
// credentials, even after a failure. The error is then Unavailable, with the advice as its next
// step. Other errors: Limited while another test runs, Invalid for a bad address. The caller has
// checked the permission.
func (o *Outbox) Test(ctx context.Context, to Address) (Transcript, error) {
	if !o.Configured() {
		return Transcript{}, problem.New(problem.Unavailable, "Sluice has no mail server.").
			WithNext("Set SMTP_HOST and restart Sluice.")
	}
	if err := to.check(); err != nil {
		return Transcript{}, err
	}
	if !o.testing.TryLock() {
		return Transcript{}, problem.New(problem.Limited, "Another test is running.").
			WithRetryAfter(o.cfg.SMTP.timeout())
	}
	defer o.testing.Unlock()
	now := o.cfg.Now()
	r, err := o.render(Test{At: now})
	if err != nil {
		return Transcript{}, err
	}
	lines, err := o.cfg.SMTP.send(ctx, o.cfg.Host, o.envelope(uuid.NewString(), to, r, now))
	t := Transcript{Lines: lines}
	if fault, ok := errors.AsType[*sendError](err); ok {
		t.Step, t.Trouble, t.Text, t.Advice = fault.step, fault.trouble, fault.text, fault.trouble.Advice()
		return t, problem.New(problem.Unavailable, "The test mail was not accepted: "+fault.text).
			WithNext(t.Advice).
			WithCause(err)
	}
	return t, o.works(ctx, now)
}
