package login

import (
	"context"
	"net/url"
	"sync"

	"sluice/internal/db"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// MailConfigured reports whether mails leave the house. Without that every link is shown to the admin who asks for it.
func (l *Logins) MailConfigured() bool { return l.cfg.Mail != nil && l.cfg.Mail.Configured() }

// send puts a mail into the outbox within the caller's transaction. Nothing happens without an address or a mail server.
func (l *Logins) send(ctx context.Context, tx *db.Tx, m mail.Message, to string) error {
	if to == "" || !l.MailConfigured() {
		return nil
	}
	return l.cfg.Mail.Put(ctx, tx, m, mail.Address{Email: to})
}

// link is an address on Sluice's own pages, with a token if there is one.
func (l *Logins) link(path, token string) string {
	base := ""
	if l.cfg.BaseURL != nil {
		base = l.cfg.BaseURL()
	}
	if token == "" {
		return base + path
	}
	return base + path + "?token=" + url.QueryEscape(token)
}

// laterQueue bounds the work that is answered before it is done.
const laterQueue = 64

// later does work whose duration must not tell anything to whoever asked for it, such as whether an address is known.
type later struct {
	queue chan func()
	done  chan struct{}
	once  sync.Once
}

func startLater() *later {
	l := &later{queue: make(chan func(), laterQueue), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for work := range l.queue {
			work()
		}
	}()
	return l
}

// do takes work, or refuses it when too much waits already.
func (l *later) do(work func()) error {
	select {
	case l.queue <- work:
		return nil
	default:
		return problem.New(problem.Unavailable, "Too many requests of this kind are waiting.").WithRetryAfter(retryLater).WithNext("Try again in a minute.")
	}
}

func (l *later) stop() {
	l.once.Do(func() { close(l.queue) })
	<-l.done
}
