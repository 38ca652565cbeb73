package api

import (
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/mail"
)

// outboxStatus is a summary of the outbox.
type outboxStatus struct {
	Configured  bool       `json:"configured" doc:"Whether there is a mail server."`
	Server      string     `json:"server" example:"smtp.example.com:465"`
	Sender      string     `json:"sender" example:"Sluice <no-reply@example.com>"`
	Waiting     int        `json:"waiting"`
	Failed      int        `json:"failed"`
	PausedUntil *time.Time `json:"paused_until,omitempty" doc:"When the next mail is tried after a failure of the server; left out while it works."`
}

func getMailStatus(x *visit, _ *struct{}) (outboxStatus, error) {
	s, err := x.cfg.Mail.Status(x)
	return outboxStatus{s.Configured, s.Server, s.Sender, s.Waiting, s.Failed, moment(s.PausedUntil)}, err
}

// letter is a mail in the outbox, without its body, because the link in it still works.
type letter struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind" example:"password-reset"`
	To         string     `json:"to" example:"ann@example.com"`
	ToName     string     `json:"to_name" example:"Ann Example"`
	Subject    string     `json:"subject"`
	State      string     `json:"state" doc:"waiting, sending, sent, failed or discarded." example:"sent"`
	Attempts   int        `json:"attempts" example:"1"`
	Trouble    string     `json:"trouble,omitempty" doc:"A keyword for the last failure."`
	LastError  string     `json:"last_error,omitempty" doc:"The server's reply."`
	Advice     string     `json:"advice,omitempty" doc:"The next step after the failure."`
	CreatedAt  time.Time  `json:"created_at"`
	DueAt      *time.Time `json:"due_at,omitempty" doc:"The time of the next try of a waiting mail."`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

func letterOf(i mail.Item) letter {
	return letter{
		ID:         i.ID,
		Kind:       i.Kind,
		To:         i.To.Email,
		ToName:     i.To.Name,
		Subject:    i.Subject,
		State:      string(i.State),
		Attempts:   i.Attempts,
		Trouble:    string(i.Trouble),
		LastError:  i.LastError,
		Advice:     i.Trouble.Advice(),
		CreatedAt:  i.CreatedAt.UTC(),
		DueAt:      moment(i.DueAt),
		FinishedAt: moment(i.FinishedAt),
	}
}

type mailsInput struct {
	Paging
	State string `query:"state" enum:"waiting,sending,sent,failed,discarded" doc:"If left out, all." example:"failed"`
	Query string `query:"q" maxLength:"100" doc:"A part of a recipient's address or a subject." example:"ann@"`
}

func listMails(x *visit, in *mailsInput) (list[letter], error) {
	rows, total, err := x.cfg.Mail.List(x, mail.Filter{
		State:  mail.State(in.State),
		Query:  in.Query,
		Limit:  in.Limit,
		Offset: in.Offset,
	})
	return listOf(rows, total, letterOf), err
}

type mailInput struct {
	Mail string `path:"mail" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"A mail's id." example:"0199aaaa-0000-7000-8000-000000000004"`
}

func changeMail(x *visit, id, detail string, fn func(*db.Tx) error) error {
	return x.cfg.Gate.DoDetail(x, x.who, authz.MailManage, authz.Resource{Type: "Mail", ID: id}, detail, fn)
}

func retryMail(x *visit, in *mailInput) error {
	return changeMail(x, in.Mail, "sent again by hand", func(tx *db.Tx) error {
		return x.cfg.Mail.Retry(x, tx, in.Mail)
	})
}

func discardMail(x *visit, in *mailInput) error {
	return changeMail(x, in.Mail, "discarded", func(tx *db.Tx) error { return x.cfg.Mail.Discard(x, tx, in.Mail) })
}

type testMailInput struct {
	Body struct {
		To string `json:"to" minLength:"3" maxLength:"254" doc:"The recipient of the test mail." example:"ann@example.com"`
	}
}

// transcript is the conversation with the mail server, with credentials masked.
type transcript struct {
	OK      bool   `json:"ok" doc:"Whether the server has accepted the mail."`
	Step    string `json:"step,omitempty" doc:"Where it failed." example:"sign in"`
	Trouble string `json:"trouble,omitempty" example:"credentials"`
	Text    string `json:"text,omitempty" doc:"The reason of the failure, in the server's words."`
	Advice  string `json:"advice,omitempty" doc:"The next step."`
	Lines   []line `json:"lines" nullable:"false"`
}

// line is one line of a transcript.
type line struct {
	From string `json:"from" doc:"client, server, or empty for Sluice's own remarks." example:"server"`
	Text string `json:"text" example:"220 smtp.example.com ESMTP"`
}

// sendTestMail records the test before it runs, because a transaction must not wait for a mail
// server.
func sendTestMail(x *visit, in *testMailInput) (transcript, error) {
	if err := changeMail(x, "", "test to "+in.Body.To, func(*db.Tx) error { return nil }); err != nil {
		return transcript{}, err
	}
	t, err := x.cfg.Mail.Test(x, mail.Address{Email: in.Body.To})
	if err != nil && t.Trouble == "" {
		return transcript{}, err
	}
	out := transcript{
		OK:      err == nil,
		Step:    string(t.Step),
		Trouble: string(t.Trouble),
		Text:    t.Text,
		Advice:  t.Advice,
		Lines:   []line{},
	}
	for _, l := range t.Lines {
		out.Lines = append(out.Lines, line{l.From, l.Text})
	}
	return out, nil
}

func listPreviews(_ *visit, _ *struct{}) (list[string], error) {
	kinds := mail.Previews()
	return listOf(kinds, len(kinds), func(kind string) string { return kind }), nil
}

type previewInput struct {
	Kind string `path:"kind" maxLength:"64" doc:"A kind of mail." example:"password-reset"`
}

// rendered is a mail as people see it, with sample content.
type rendered struct {
	Kind    string `json:"kind" example:"password-reset"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

func getPreview(x *visit, in *previewInput) (rendered, error) {
	r, err := x.cfg.Mail.Preview(in.Kind)
	return rendered{r.Kind, r.Subject, r.Text, r.HTML}, err
}
