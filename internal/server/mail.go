package server

import (
	"fmt"
	"time"

	"sluice/internal/mail"
)

// mailLimit is how long one round of sending may take.
const mailLimit = 15 * time.Minute

// openMail creates the outbox. An unusable template stops the start, because otherwise the invited
// people would be the first to notice.
func (c *Core) openMail() (err error) {
	m := c.Values.Mail
	invite, err := mail.LoadTemplate(m.InviteTemplate)
	if err != nil {
		return fmt.Errorf("WORKSPACE_INVITE_TEMPLATE_PATH: %w", err)
	}
	host := (&Server{Core: c}).listenName()
	if c.Values.AppURL != nil {
		host = c.Values.AppURL.Hostname()
	}
	c.Mail, err = mail.New(mail.Config{
		DB: c.DB, Sender: m.Sender, Host: host, Invite: invite,
		SMTP: mail.SMTP{
			Host:                   m.Host,
			Port:                   m.Port,
			User:                   m.User,
			Password:               m.Password.Reveal(),
			Secure:                 m.Secure,
			AllowUnauthorizedCerts: m.AllowUnauthorizedCerts,
		},
		Seal: func(data []byte, row string) ([]byte, error) { return c.Keyring.Seal(data, "mail", row) },
		Open: func(data []byte, row string) ([]byte, error) { return c.Keyring.Open(data, "mail", row) },
		Now:  time.Now, Log: c.Log,
	})
	return err
}
