package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/mail"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// mailPages are the outbox and the previews of mails.
type mailPages struct {
	gate *authz.Gate
	// box is nil without an outbox.
	box *mail.Outbox
}

// mailItemView is a mail in the outbox.
type mailItemView struct {
	ID, To, Subject string
	State           mail.State
	Attempts        int
	// Trouble is the last error, Advice how to deal with it.
	Trouble, Advice              string
	CreatedAt, DueAt, FinishedAt time.Time
	now                          time.Time
}

func (i mailItemView) tone() web.Tone {
	switch i.State {
	case mail.Sent:
		return web.Good
	case mail.Failed:
		return web.Bad
	case mail.Waiting, mail.Sending:
		return web.Warning
	}
	return web.Plain
}

// word is the state with a capital letter.
func (i mailItemView) word() string {
	return strings.ToUpper(string(i.State)[:1]) + string(i.State)[1:]
}

func (i mailItemView) attemptsText() string {
	return "tried " + web.Count(i.Attempts, "time") + ", next " + web.Ago(i.DueAt, i.now)
}

// open reports whether the mail can still be sent or discarded.
func (i mailItemView) open() bool { return i.State == mail.Waiting || i.State == mail.Failed }

// mailView is the page of mails.
type mailView struct {
	listing
	State  string
	Status mail.Status
	Items  []mailItemView
	// To is where a test mail goes; Transcript is set after a test.
	To            string
	Transcript    *mail.Transcript
	Previews      []string
	Now           time.Time
	Problem, Next string
	Wrong         wrong
}

// smtpExample is what an admin sets to connect a mail server.
const smtpExample = `SMTP_HOST=smtp.example.com
SMTP_PORT=587
SMTP_USER=sluice@example.com
SMTP_PASSWORD=…
SMTP_SECURE=true
SENDER_EMAIL=sluice@example.com`

// mailStates are the choices of the filter.
var mailStates = []string{
	"",
	string(mail.Waiting),
	string(mail.Sending),
	string(mail.Sent),
	string(mail.Failed),
	string(mail.Discarded),
}

func mailStateWord(state string) string {
	if state == "" {
		return "All"
	}
	return mailItemView{State: mail.State(state)}.word()
}

func (v mailView) stateURL(state string) string {
	q := url.Values{}
	if state != "" {
		q.Set("state", state)
	}
	if v.Query != "" {
		q.Set("q", v.Query)
	}
	return strings.TrimSuffix("/admin/mail?"+q.Encode(), "?")
}

// previewWord turns the name of a kind into a title: "password-reset" becomes "Password reset".
func previewWord(kind string) string {
	words := strings.ReplaceAll(kind, "-", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}

func (p *mailPages) outbox(x *visit) (*mail.Outbox, error) {
	if p.box == nil {
		return nil, problem.New(problem.Unavailable, "This Sluice has no outbox.")
	}
	return p.box, nil
}

func (p *mailPages) showMail(x *visit) error {
	v, err := p.mails(x)
	if err != nil {
		return err
	}
	if v.beyond() {
		x.redirect(v.url(v.pages()))
		return nil
	}
	return p.renderMail(x, http.StatusOK, v)
}

func (p *mailPages) renderMail(x *visit, status int, v mailView) error {
	return x.render(status, mailPage(x.frame("Mail", "/admin/mail"), v))
}

// mails gathers the content of the page.
func (p *mailPages) mails(x *visit) (mailView, error) {
	box, err := p.outbox(x)
	if err != nil {
		return mailView{}, err
	}
	at, err := listingOf(x, "/admin/mail")
	if err != nil {
		return mailView{}, err
	}
	v := mailView{State: x.r.URL.Query().Get("state"), To: x.who.Email, Previews: mail.Previews(), Now: x.now()}
	if !slices.Contains(mailStates, v.State) {
		v.State = ""
	}
	if v.State != "" {
		at.Extra = url.Values{"state": {v.State}}
	}
	if v.Status, err = box.Status(x.r.Context()); err != nil {
		return v, err
	}
	items, total, err := box.List(
		x.r.Context(),
		mail.Filter{State: mail.State(v.State), Query: at.Query, Limit: perPage, Offset: at.offset()},
	)
	at.Total, at.Shown = total, len(items)
	v.listing = at
	for _, i := range items {
		v.Items = append(v.Items, mailItemView{
			ID:         i.ID,
			To:         i.To.Email,
			Subject:    i.Subject,
			State:      i.State,
			Attempts:   i.Attempts,
			Trouble:    i.LastError,
			Advice:     i.Trouble.Advice(),
			CreatedAt:  i.CreatedAt,
			DueAt:      i.DueAt,
			FinishedAt: i.FinishedAt,
			now:        v.Now,
		})
	}
	return v, err
}

// testMail sends a mail without the outbox and shows the conversation between the two servers.
func (p *mailPages) testMail(x *visit) error {
	box, err := p.outbox(x)
	if err != nil {
		return err
	}
	to := x.value("to")
	res := authz.Resource{Type: "Mail", Name: "test"}
	nothing := func(*db.Tx) error { return nil }
	if err := p.gate.DoDetail(x.r.Context(), x.who, authz.MailManage, res, "test mail", nothing); err != nil {
		return err
	}
	transcript, failed := box.Test(x.r.Context(), mail.Address{Email: to})
	v, err := p.mails(x)
	if err != nil {
		return err
	}
	v.To = clipped(to, 254)
	if len(transcript.Lines) > 0 {
		v.Transcript = &transcript
		return p.renderMail(x, http.StatusOK, v)
	}
	m, ok := formMistake(failed, "to", "email")
	if !ok {
		return failed
	}
	if m.Wrong["email"] != "" {
		m.Wrong = wrong{"to": m.Wrong["email"]}
	}
	v.Problem, v.Next, v.Wrong = m.Text, m.Next, m.Wrong
	return p.renderMail(x, m.status, v)
}

func (p *mailPages) retryMail(x *visit) error {
	return p.changeMail(x, "sent again", "mail-retry", (*mail.Outbox).Retry)
}

func (p *mailPages) discardMail(x *visit) error {
	return p.changeMail(x, "discarded", "mail-discard", (*mail.Outbox).Discard)
}

// changeMail changes a mail together with its audit entry.
func (p *mailPages) changeMail(
	x *visit,
	detail, notice string,
	change func(*mail.Outbox, context.Context, *db.Tx, string) error,
) error {
	box, err := p.outbox(x)
	if err != nil {
		return err
	}
	id := x.r.PathValue("id")
	item, err := box.Get(x.r.Context(), id)
	if err != nil {
		return err
	}
	res := authz.Resource{Type: "Mail", ID: id, Name: item.Subject}
	err = p.gate.DoDetail(x.r.Context(), x.who, authz.MailManage, res, detail, func(tx *db.Tx) error {
		return change(box, x.r.Context(), tx, id)
	})
	if err != nil {
		return err
	}
	return x.done("/admin/mail", notice)
}

// mailPreviewView is one kind of mail as people get it.
type mailPreviewView struct {
	Kind, Subject, Text string
	Previews            []string
}

func (p *mailPages) showMailPreview(x *visit) error {
	box, err := p.outbox(x)
	if err != nil {
		return err
	}
	kind := x.r.PathValue("kind")
	m, err := box.Preview(kind)
	if err != nil {
		return err
	}
	x.policy.Frames = true
	v := mailPreviewView{Kind: kind, Subject: m.Subject, Text: m.Text, Previews: mail.Previews()}
	return x.render(http.StatusOK, mailPreviewPage(x.frame(previewWord(kind), "/admin/mail"), v))
}

// showMailHTML is the mail itself, for the frame in its preview. An operator may have written it,
// so its policy forbids everything active.
func (p *mailPages) showMailHTML(x *visit) error {
	box, err := p.outbox(x)
	if err != nil {
		return err
	}
	m, err := box.Preview(x.r.PathValue("kind"))
	if err != nil {
		return err
	}
	x.policy = web.Policy{Framed: true}
	return x.render(http.StatusOK, templ.Raw(m.HTML))
}
