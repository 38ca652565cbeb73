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

// ChangeKind is the kind under which new mails are announced (db.Tx.Changed); the item is the mail's id.
const ChangeKind = "mail"

const (
	// MaxWaiting is how many mails may wait; Put then refuses more.
	MaxWaiting = 10_000
	// GiveUpAfter is how long a mail is tried.
	GiveUpAfter = 3 * 24 * time.Hour
	// KeepFor is how long a mail that has ended stays listed. A failed one can be sent by hand until then.
	KeepFor = 30 * 24 * time.Hour
)

// Config of an Outbox.
type Config struct {
	DB *db.DB
	// SMTP is the mail server; an empty SMTP.Host means that there is none.
	SMTP SMTP
	// Sender is the From address, with or without a name; empty means "Sluice <no-reply@Host>".
	Sender string
	// Host is the host name or address under which people know this Sluice. It is the EHLO name, the right side of Message-IDs, and stands under every mail.
	Host string
	// Invite is the operator's template; nil means the built-in mail.
	Invite *Template
	// Seal and Open protect the bodies, bound to the mail's id.
	Seal, Open func(data []byte, row string) ([]byte, error)
	// Now is the clock.
	Now func() time.Time
	// Log gets failures that nobody asked about.
	Log *slog.Logger
}

// Outbox keeps mails until they have been accepted by the mail server.
type Outbox struct {
	cfg    Config
	sender *mail.Address
	wake   chan struct{}

	delivering sync.Mutex   // one round at a time
	pruned     time.Time    // under delivering
	testing    sync.Mutex   // one test at a time
	pauseUntil atomic.Int64 // unix milliseconds
	down       atomic.Bool  // the last attempt failed because of the server
	delayed    atomic.Bool  // mails may wait because of the server
}

// New makes an outbox. It fails when Sender is not an address.
func New(c Config) (*Outbox, error) {
	o := &Outbox{cfg: c, wake: make(chan struct{}, 1), sender: &mail.Address{Name: "Sluice", Address: "no-reply@" + hostLiteral(c.Host)}}
	if c.Sender != "" {
		parsed, err := mail.ParseAddress(c.Sender)
		if err != nil || (Address{Email: parsed.Address}).check() != nil {
			return nil, problem.New(problem.Invalid, "This is not an e-mail address.").WithNext("Expected is ann@example.com or Name <ann@example.com>.").WithField("SENDER_EMAIL")
		}
		o.sender = Address{Name: parsed.Name, Email: parsed.Address}.standard()
	}
	// A process that was restarted does not know whether mails wait because of the server; the first success finds out.
	o.delayed.Store(true)
	c.DB.Subscribe(ChangeKind, func(string) { o.wakeUp() })
	// What waited when the process ended goes on at once.
	o.wakeUp()
	return o, nil
}

// Configured reports whether there is a mail server. Without one, show people links to copy instead of calling Put.
func (o *Outbox) Configured() bool { return o.cfg.SMTP.Host != "" }

// Wake gets a value whenever Deliver should run at once.
func (o *Outbox) Wake() <-chan struct{} { return o.wake }

func (o *Outbox) wakeUp() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// body is what is sealed.
type body struct {
	Text string `json:"text"`
	HTML string `json:"html"`
}

// Put renders a mail and stores it in the caller's transaction; it is sent after commit. It is Unavailable without a mail server and when MaxWaiting mails wait,
// Invalid for an address that is none.
func (o *Outbox) Put(ctx context.Context, tx *db.Tx, m Message, to Address) error {
	if !o.Configured() {
		return problem.New(problem.Unavailable, "Sluice has no mail server.").WithNext("Set SMTP_HOST, or pass the link on by other means.")
	}
	if err := to.check(); err != nil {
		return err
	}
	waiting, err := q.New(tx).CountWaitingMail(ctx)
	if err != nil {
		return fmt.Errorf("counting the mails that wait: %w", err)
	}
	if waiting >= MaxWaiting {
		return problem.Newf(problem.Unavailable, "%d mails wait to be sent, and no more are taken.", waiting).WithNext("An admin should look at the outbox: the mail server does not take mail.")
	}
	r, err := o.render(m)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("making an id: %w", err)
	}
	sealed, err := o.seal(r, id.String())
	if err != nil {
		return err
	}
	now := o.cfg.Now()
	err = q.New(tx).InsertMail(ctx, q.InsertMailParams{
		ID: id.String(), Kind: r.Kind, Recipient: to.Email, RecipientName: header(to.Name), Subject: r.Subject, BodySealed: sealed,
		Now: now.UnixMilli(), GiveUpAt: now.Add(GiveUpAfter).UnixMilli(),
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

// likePattern makes a LIKE pattern, escaped with "!", from what somebody typed; "" stays "".
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
