package mail

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/mail"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"sluice/internal/db"
	q "sluice/internal/db/q/mail"
	"sluice/internal/problem"
)

// ChangeKind is the kind under which new emails are announced (db.Tx.Changed); the item is the
// email's id.
const ChangeKind = "mail"

const (
	// MaxWaiting is how many emails can wait. Put refuses any more.
	MaxWaiting = 10_000
	// GiveUpAfter is how long Sluice tries to send an email.
	GiveUpAfter = 3 * 24 * time.Hour
	// KeepFor is how long a finished email stays listed. A failed one can be sent again by hand
	// until then.
	KeepFor = 30 * 24 * time.Hour
)

// Config configures an Outbox.
type Config struct {
	DB *db.DB
	// SMTP is the mail server. An empty SMTP.Host means that mail is off.
	SMTP SMTP
	// Sender is the From address, with or without a name; empty means "Sluice <no-reply@Host>".
	Sender string
	// Host is the host name or address under which people know this Sluice. It is the EHLO name and
	// the right side of Message-IDs, and appears under every email.
	Host string
	// Invite is the operator's template; nil means the built-in email.
	Invite *Template
	// Seal and Open protect the bodies, bound to the email's id.
	Seal, Open func(data []byte, row string) ([]byte, error)
	// Now is the clock.
	Now func() time.Time
	// Log gets failures of background work.
	Log *slog.Logger
}

// Outbox stores emails until the mail server has accepted them.
type Outbox struct {
	cfg    Config
	sender *mail.Address
	wake   chan struct{}

	delivering sync.Mutex   // one round at a time
	pruned     time.Time    // under delivering
	testing    sync.Mutex   // one test at a time
	pauseUntil atomic.Int64 // unix milliseconds
	down       atomic.Bool  // the last attempt failed because of the server
	delayed    atomic.Bool  // emails may wait because of the server
}

// New creates an outbox. It fails if Sender is not an address.
func New(c Config) (*Outbox, error) {
	o := &Outbox{
		cfg:    c,
		wake:   make(chan struct{}, 1),
		sender: &mail.Address{Name: "Sluice", Address: "no-reply@" + hostLiteral(c.Host)},
	}
	if c.Sender != "" {
		parsed, err := mail.ParseAddress(c.Sender)
		if err != nil || (Address{Email: parsed.Address}).check() != nil {
			return nil, problem.New(problem.Invalid, "This is not an email address.").
				WithNext("Expected is ann@example.com or Name <ann@example.com>.").
				WithField("SENDER_EMAIL")
		}
		o.sender = Address{Name: parsed.Name, Email: parsed.Address}.standard()
	}
	// After a restart it is unknown whether emails wait because of the server. The first success
	// finds out.
	o.delayed.Store(true)
	c.DB.Subscribe(ChangeKind, func(string) { o.wakeUp() })
	// Emails that waited when the previous process stopped are sent at once.
	o.wakeUp()
	return o, nil
}

// Configured reports whether a mail server is configured. Without one, show people links to copy
// instead of calling Put.
func (o *Outbox) Configured() bool { return o.cfg.SMTP.Host != "" }

// Wake receives a value whenever Deliver should run at once.
func (o *Outbox) Wake() <-chan struct{} { return o.wake }

func (o *Outbox) wakeUp() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// body is the sealed part of an email.
type body struct {
	Text string `json:"text"`
	HTML string `json:"html"`
}

// Put renders an email and stores it in the caller's transaction. It is sent after the commit.
// Errors: Unavailable without a mail server or while MaxWaiting emails wait, Invalid for a bad
// address.
func (o *Outbox) Put(ctx context.Context, tx *db.Tx, m Message, to Address) error {
	if !o.Configured() {
		return problem.New(problem.Unavailable, "Sluice has no mail server.").
			WithNext("Set SMTP_HOST, or pass the link on by other means.")
	}
	if err := to.check(); err != nil {
		return err
	}
	waiting, err := q.New(tx).CountWaitingMail(ctx)
	if err != nil {
		return fmt.Errorf("counting the mails that wait: %w", err)
	}
	if waiting >= MaxWaiting {
		return problem.Newf(problem.Unavailable, "%d mails wait to be sent, and no more are taken.", waiting).
			WithNext("An admin should look at the outbox: the mail server does not take mail.")
	}
	r, err := o.render(m)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("creating an id: %w", err)
	}
	sealed, err := o.seal(r, id.String())
	if err != nil {
		return err
	}
	now := o.cfg.Now()
	err = q.New(tx).InsertMail(ctx, q.InsertMailParams{
		ID:            id.String(),
		Kind:          r.Kind,
		Recipient:     to.Email,
		RecipientName: header(to.Name),
		Subject:       r.Subject,
		BodySealed:    sealed,
		Now:           now.UnixMilli(),
		GiveUpAt:      now.Add(GiveUpAfter).UnixMilli(),
	})
	if err != nil {
		return fmt.Errorf("storing a mail: %w", err)
	}
	return tx.Changed(ChangeKind, id.String())
}

func (o *Outbox) seal(r Rendered, id string) (string, error) {
	clear, err := json.Marshal(body{Text: r.Text, HTML: r.HTML})
	if err != nil {
		return "", fmt.Errorf("encoding a mail: %w", err)
	}
	sealed, err := o.cfg.Seal(clear, id)
	if err != nil {
		return "", fmt.Errorf("sealing a mail: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

func (o *Outbox) open(sealed, id string) (b body, err error) {
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return b, fmt.Errorf("decoding a mail: %w", err)
	}
	clear, err := o.cfg.Open(data, id)
	if err != nil {
		return b, fmt.Errorf("opening a mail: %w", err)
	}
	if err := json.Unmarshal(clear, &b); err != nil {
		return b, fmt.Errorf("decoding a mail: %w", err)
	}
	return b, nil
}

// likePattern turns a typed query into a LIKE pattern, escaped with "!"; "" stays "".
func likePattern(query string) string {
	query = strings.ToLower(strings.TrimSpace(query))
	if query == "" {
		return ""
	}
	if runes := []rune(query); len(runes) > maxSubject {
		query = string(runes[:maxSubject])
	}
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(query) + "%"
}

// State is the state of an email.
type State string

// The states of an email.
const (
	// Waiting emails are sent when they are due.
	Waiting State = "waiting"
	// Sending means that a node is handing the email to the mail server now.
	Sending State = "sending"
	// Sent means that the mail server has accepted it. Sluice does not learn what happens after
	// that.
	Sent State = "sent"
	// Failed emails were refused for good, or tried for GiveUpAfter.
	Failed State = "failed"
	// Discarded emails were given up by hand.
	Discarded State = "discarded"
)

// Item is an email in the outbox. Its body is never shown, because the link in it works.
type Item struct {
	ID      string
	Kind    string
	To      Address
	Subject string
	State   State
	// Attempts counts the attempts to send it.
	Attempts int
	// Trouble is the last failure, and LastError the text of the server or the system about it.
	// Both may be empty, even after success.
	Trouble   Trouble
	LastError string
	CreatedAt time.Time
	// DueAt is when a waiting email is tried next; zero for others.
	DueAt time.Time
	// FinishedAt is when it was sent, failed or discarded; zero before.
	FinishedAt time.Time
}

// Filter narrows a list of emails.
type Filter struct {
	// State is the state to list; empty lists all.
	State State
	// Query is a part of a recipient's address or a subject; empty lists all.
	Query string
	// Limit is 1 to 200, 0 means 50. Offset skips rows.
	Limit, Offset int
}

// Status is a summary of the outbox.
type Status struct {
	Configured bool
	// Server is the host and port of the mail server, Sender the From address.
	Server, Sender  string
	Waiting, Failed int
	// PausedUntil is when the next email is tried after a failure of the server; zero if it works.
	// Only the node that met the failure knows it.
	PausedUntil time.Time
}

// Status counts waiting and failed emails. The caller has checked the permission.
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

// List returns emails, newest first, and the total number of matches. The caller has checked the
// permission.
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
		State:     string(f.State),
		Pattern:   pattern,
		RowLimit:  int32(f.Limit),
		RowOffset: int32(min(max(f.Offset, 0), 1<<30)),
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

// Get returns one email, or NotFound. The caller has checked the permission.
func (o *Outbox) Get(ctx context.Context, id string) (Item, error) {
	r, err := q.New(o.cfg.DB.Read()).GetMail(ctx, id)
	if err != nil {
		return Item{}, db.Found(err, "There is no such mail.")
	}
	return item(r), nil
}

func item(r q.GetMailRow) Item {
	i := Item{
		ID:        r.ID,
		Kind:      r.Kind,
		To:        Address{Name: r.RecipientName, Email: r.Recipient},
		Subject:   r.Subject,
		State:     State(r.State),
		Attempts:  int(r.Attempts),
		Trouble:   Trouble(r.Trouble),
		LastError: r.LastError,
		CreatedAt: time.UnixMilli(r.CreatedAt).UTC(),
	}
	if i.State == Waiting {
		i.DueAt = time.UnixMilli(r.DueAt).UTC()
	}
	if r.FinishedAt > 0 {
		i.FinishedAt = time.UnixMilli(r.FinishedAt).UTC()
	}
	return i
}

// Retry makes a waiting or failed email due at once and gives it another GiveUpAfter. It runs in
// the caller's transaction, together with the audit entry.
func (o *Outbox) Retry(ctx context.Context, tx *db.Tx, id string) error {
	now := o.cfg.Now()
	n, err := q.New(tx).RetryMail(ctx, q.RetryMailParams{
		ID:       id,
		Now:      now.UnixMilli(),
		GiveUpAt: now.Add(GiveUpAfter).UnixMilli(),
	})
	if err != nil {
		return fmt.Errorf("making a mail due: %w", err)
	}
	if n == 0 {
		return o.unchangeable(ctx, tx, id, "sent again")
	}
	// A person who retries by hand has changed something and wants to see the result.
	o.pauseUntil.Store(0)
	return tx.Changed(ChangeKind, id)
}

// Discard gives up a waiting or failed email and wipes its body. It runs in the caller's
// transaction, together with the audit entry.
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

// unchangeable returns why an email was not changed.
func (o *Outbox) unchangeable(ctx context.Context, tx *db.Tx, id, done string) error {
	r, err := q.New(tx).GetMail(ctx, id)
	if err != nil {
		return db.Found(err, "There is no such mail.")
	}
	return problem.Newf(problem.Conflict, "This mail is %s and cannot be %s.", r.State, done)
}

// Preview renders a kind of email with made-up content, with the operator's template if it has one.
// It returns NotFound for an unknown kind.
func (o *Outbox) Preview(kind string) (Rendered, error) {
	for _, m := range samples() {
		if m.Kind() == kind {
			return o.render(m)
		}
	}
	return Rendered{}, problem.New(problem.NotFound, "There is no such mail.")
}

// render writes a message with the built-in templates, or with the operator's if it has one.
func (o *Outbox) render(m Message) (Rendered, error) {
	p := m.parts()
	if err := checkLink(p.link); err != nil {
		return Rendered{}, fmt.Errorf("writing the mail %s: %w", m.Kind(), err)
	}
	v := view{
		Host:    o.cfg.Host,
		Subject: header(p.subject),
		Name:    header(p.name),
		Link:    p.link,
		Label:   p.label,
		Message: m,
	}
	if !p.expires.IsZero() {
		v.Expires = moment(p.expires)
	}
	r := Rendered{Kind: m.Kind(), Subject: v.Subject}
	var err error
	if r.Text, err = renderText(v); err != nil {
		return Rendered{}, fmt.Errorf("writing the mail %s: %w", m.Kind(), err)
	}
	if own, ok := o.cfg.Invite.html(m); ok {
		r.HTML = own
		return r, nil
	}
	if r.HTML, err = renderHTML(v); err != nil {
		return Rendered{}, fmt.Errorf("writing the mail %s: %w", m.Kind(), err)
	}
	return r, nil
}
