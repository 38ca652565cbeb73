package mail_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

func putOnce(f *fixture, m mail.Message, to mail.Address) error {
	return f.db.Gated(context.Background(), func(tx *db.Tx) error { return f.Put(context.Background(), tx, m, to) })
}

type parsedMail struct {
	header     netmail.Header
	text, html string
}

// parse reads a message as a mail program does.
func parse(t *testing.T, data string) parsedMail {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatalf("the message cannot be read: %v\n%s", err, data)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q, %v", kind, err)
	}
	p := parsedMail{header: m.Header}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return p
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			p.html = string(body)
		} else {
			p.text = string(body)
		}
	}
}

func TestSMTP_Delivery(t *testing.T) {
	t.Parallel()
	server := listen(t, startTLS, withAuth)
	f := outbox(
		t,
		dbtest.SQLite(t),
		server.SMTP,
		func(c *mail.Config) { c.Sender = `"Flüsse & Co" <flows@example.com>` },
	)
	invite := mail.WorkspaceInvite{
		WorkspaceName: "Übersetzung 日本語",
		InvitedBy:     "Žofie\r\nBcc: evil@evil.example",
		RegisterLink:  "https://sluice.example.com/register?token=x",
		Expires:       f.now,
	}
	f.put(invite, mail.Address{Name: "Ångström, \"Ann\"\r\nX-Evil: yes", Email: "ann@example.com"})
	f.deliver()
	got := server.mails()
	if len(got) != 1 || got[0].from != "flows@example.com" || got[0].to != "ann@example.com" || !got[0].encrypted ||
		got[0].user != smtpUser {
		t.Fatalf("received %+v", got)
	}
	m := parse(t, got[0].data)
	decoded, err := new(mime.WordDecoder).DecodeHeader(m.header.Get("Subject"))
	if err != nil || decoded != "Invitation to the workspace Übersetzung 日本語" {
		t.Errorf("subject %q, %v", decoded, err)
	}
	to, err := m.header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "ann@example.com" || to[0].Name != `Ångström, "Ann" X-Evil: yes` {
		t.Errorf("to %v, %v", to, err)
	}
	from, err := m.header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != "flows@example.com" || from[0].Name != "Flüsse & Co" {
		t.Errorf("from %v, %v", from, err)
	}
	if m.header.Get("X-Evil") != "" || m.header.Get("Bcc") != "" || m.header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("headers %v", m.header)
	}
	if want := "<" + f.only().ID + "@sluice.example.com>"; m.header.Get("Message-ID") != want {
		t.Errorf("Message-ID %q, want %q", m.header.Get("Message-ID"), want)
	}
	if at, err := m.header.Date(); err != nil || !at.Equal(f.now) {
		t.Errorf("date %v, %v", at, err)
	}
	if !strings.Contains(m.text, "Übersetzung 日本語") || !strings.Contains(m.html, "Übersetzung 日本語") ||
		!strings.Contains(m.text, invite.RegisterLink) {
		t.Errorf("text:\n%s\nhtml:\n%s", m.text, m.html)
	}
}

func TestSMTP_BadAddresses(t *testing.T) {
	t.Parallel()
	f := outbox(t, dbtest.SQLite(t), mail.SMTP{Host: "127.0.0.1", Port: 1})
	for _, to := range []string{
		"", "ann", "ann@example.com\r\nRCPT TO:<evil@evil.example>", "a@b\n", "Ann <ann@example.com>",
		"ann@example.com, bob@example.com", "<ann@example.com>",
		"ann@exämple.com", "ann @example.com", strings.Repeat("a", 250) + "@b.example",
	} {
		if err := putOnce(f, reset(), mail.Address{Email: to}); !problem.Is(err, problem.Invalid) {
			t.Errorf("%q: %v, want invalid", to, err)
		}
		if _, err := f.Test(context.Background(), mail.Address{Email: to}); !problem.Is(err, problem.Invalid) {
			t.Errorf("test mail to %q: %v, want invalid", to, err)
		}
	}
	for _, sender := range []string{"nobody", "a@b\r\nX: y", "ann@exämple.com"} {
		if _, err := mail.New(mail.Config{DB: f.db, Sender: sender}); err == nil {
			t.Errorf("the sender %q was taken", sender)
		}
	}
}

// freePort is a port on which nothing listens.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// script is a server with scripted replies, for servers that no library simulates.
func script(t *testing.T, talk func(c net.Conn)) mail.SMTP {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				talk(c)
			}()
		}
	}()
	return mail.SMTP{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Timeout: 10 * time.Second}
}

func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// drops cuts the line in the middle of the mail.
func drops(c *smtp.Conn, r io.Reader) error {
	_, _ = io.ReadFull(r, make([]byte, 10))
	c.Conn().Close()
	return errDropped
}

func refuses(code int, text string) func(string) error {
	return func(string) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: text}
	}
}

func TestSMTP_Errors(t *testing.T) {
	for _, tt := range []struct {
		name    string
		server  func(t *testing.T) mail.SMTP
		step    mail.Step
		trouble mail.Trouble
		text    string // part of it
	}{
		{"nothing listens", func(t *testing.T) mail.SMTP { return mail.SMTP{Host: "127.0.0.1", Port: freePort(t)} },
			mail.StepConnect, mail.TroubleConnect, "refused"},
		{"unknown name", func(*testing.T) mail.SMTP { return mail.SMTP{Host: "mail.invalid", Port: 25} },
			mail.StepConnect, mail.TroubleConnect, "mail.invalid"},
		{"never answers", func(t *testing.T) mail.SMTP {
			s := script(t, silent)
			s.Timeout = 50 * time.Millisecond
			return s
		}, mail.StepGreeting, mail.TroubleSlow, "timeout"},
		{"never begins TLS", func(t *testing.T) mail.SMTP {
			s := script(t, silent)
			s.Timeout, s.ImplicitTLS = 50*time.Millisecond, true
			return s
		}, mail.StepEncrypt, mail.TroubleSlow, ""},
		{"TLS on a port that begins without", func(t *testing.T) mail.SMTP {
			s := listen(t, startTLS).SMTP
			s.ImplicitTLS = true
			return s
		}, mail.StepEncrypt, mail.TroubleNotTLS, "does not begin with TLS"},
		{"encryption demanded, not offered", func(t *testing.T) mail.SMTP {
			s := listen(t, plain).SMTP
			s.Secure = true
			return s
		}, mail.StepEncrypt, mail.TroubleNoSTARTTLS, "STARTTLS"},
		{"certificate not trusted, STARTTLS", func(t *testing.T) mail.SMTP {
			s := listen(t, startTLS).SMTP
			s.Roots = x509.NewCertPool()
			return s
		}, mail.StepEncrypt, mail.TroubleCertificate, "unknown authority"},
		{"certificate not trusted, implicit TLS", func(t *testing.T) mail.SMTP {
			s := listen(t, implicitTLS).SMTP
			s.Roots, s.Secure = x509.NewCertPool(), false
			return s
		}, mail.StepEncrypt, mail.TroubleCertificate, "unknown authority"},
		{"certificate of another name", func(t *testing.T) mail.SMTP {
			s := listen(t, startTLS).SMTP
			s.Host = "localhost"
			return s
		}, mail.StepEncrypt, mail.TroubleCertificate, "localhost"},
		{"wrong password", func(t *testing.T) mail.SMTP {
			s := listen(t, startTLS, withAuth).SMTP
			s.Password = "wrong-secret-word"
			return s
		}, mail.StepSignIn, mail.TroubleCredentials, "535 5.7.8 bad password ********"},
		{"credentials for a server that has no sign-in", func(t *testing.T) mail.SMTP {
			s := listen(t, startTLS).SMTP
			s.User, s.Password = "u", "p"
			return s
		}, mail.StepSignIn, mail.TroubleCredentials, "no way to sign in"},
		{"sign-in needed", func(t *testing.T) mail.SMTP {
			s := listen(t, startTLS, withAuth).SMTP
			s.User = ""
			return s
		}, mail.StepSender, mail.TroubleCredentials, "530"},
		{"sender refused", func(t *testing.T) mail.SMTP {
			return listen(t, startTLS, func(s *mailServer) { s.onMail = refuses(550, "not your address") }).SMTP
		}, mail.StepSender, mail.TroubleSender, "550 not your address"},
		{"recipient refused", func(t *testing.T) mail.SMTP {
			return listen(t, startTLS, func(s *mailServer) { s.onRcpt = refuses(550, "no such user") }).SMTP
		}, mail.StepRecipient, mail.TroubleRecipient, "550 no such user"},
		{"recipient later", func(t *testing.T) mail.SMTP {
			return listen(t, startTLS, func(s *mailServer) { s.onRcpt = refuses(450, "greylisted") }).SMTP
		}, mail.StepRecipient, mail.TroubleLater, "450 greylisted"},
		{"closing down", func(t *testing.T) mail.SMTP {
			return listen(t, startTLS, func(s *mailServer) { s.onRcpt = refuses(421, "shutting down") }).SMTP
		}, mail.StepRecipient, mail.TroubleServer, "421 shutting down"},
		{"content refused", func(t *testing.T) mail.SMTP {
			return listen(t, startTLS, func(s *mailServer) {
				s.onData = func(_ *smtp.Conn, r io.Reader) error {
					_, _ = io.Copy(io.Discard, r)
					return refuses(554, "looks like spam")("")
				}
			}).SMTP
		}, mail.StepContent, mail.TroubleContent, "554 looks like spam"},
		{"line dropped in the mail", func(t *testing.T) mail.SMTP {
			return listen(t, startTLS, func(s *mailServer) { s.onData = drops }).SMTP
		}, mail.StepContent, mail.TroubleConnect, ""},
		{"greeted with a refusal", func(t *testing.T) mail.SMTP {
			return script(t, func(c net.Conn) { fmt.Fprint(c, "554 go away\r\n") })
		}, mail.StepGreeting, mail.TroubleServer, "554 go away"},
		{"no mail server at all", func(t *testing.T) mail.SMTP {
			return script(t, func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
		}, mail.StepGreeting, mail.TroubleConnect, ""},
		{"endless greeting", func(t *testing.T) mail.SMTP {
			return script(t, func(c net.Conn) {
				for {
					if _, err := fmt.Fprint(c, "220-"+strings.Repeat("x", 1000)+"\r\n"); err != nil {
						return
					}
				}
			})
		}, mail.StepGreeting, mail.TroubleConnect, "too much"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := outbox(t, dbtest.SQLite(t), tt.server(t))
			got, err := f.Test(context.Background(), ann)
			if !problem.Is(err, problem.Unavailable) {
				t.Fatalf("Test = %v, want unavailable\n%v", err, got.Lines)
			}
			if got.Step != tt.step || got.Trouble != tt.trouble || !strings.Contains(got.Text, tt.text) ||
				got.Advice == "" {
				t.Errorf(
					"step %q, trouble %q, text %q, advice %q; want %q, %q, …%s…",
					got.Step,
					got.Trouble,
					got.Text,
					got.Advice,
					tt.step,
					tt.trouble,
					tt.text,
				)
			}
			if p := problem.Of(err); p.Next != got.Advice || len(got.Lines) == 0 {
				t.Errorf("next step %q, %d lines", p.Next, len(got.Lines))
			}
			if all := fmt.Sprint(got, err, f.log); strings.Contains(all, smtpPassword) ||
				strings.Contains(all, "wrong-secret-word") {
				t.Errorf("a password shows: %s", all)
			}
		})
	}
}

func TestSMTP_DialogueWithoutCredentials(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]offer{"STARTTLS": startTLS, "implicit TLS": implicitTLS,
		"plain on this machine": plain} {
		t.Run(name, func(t *testing.T) {
			server := listen(t, o, withAuth)
			f := outbox(t, dbtest.SQLite(t), server.SMTP)
			got, err := f.Test(context.Background(), ann)
			if err != nil {
				t.Fatalf("%v\n%v", err, got.Lines)
			}
			var lines []string
			for _, l := range got.Lines {
				lines = append(lines, l.From+": "+l.Text)
			}
			for _, want := range []string{
				"server: 220 mail.example.com ESMTP Service Ready", "client: EHLO sluice.example.com", "client: " +
					"AUTH PLAIN ********", "server: 235 2.0.0 Authentication succeeded",
				"client: RCPT TO:<ann@example.com>", "client: DATA",
			} {
				if !slices.Contains(lines, want) {
					t.Errorf("the dialogue lacks %q:\n%s", want, strings.Join(lines, "\n"))
				}
			}
			if secured := slices.Contains(lines, ": Encrypted with TLS 1.3"); secured != (o != plain) {
				t.Errorf("encrypted: %v\n%s", secured, strings.Join(lines, "\n"))
			}
			if all := strings.Join(lines, "\n"); strings.Contains(all, smtpPassword) ||
				strings.Contains(all, "AG1haWxlcg") {
				t.Errorf("the dialogue shows the credentials:\n%s", all)
			}
			if got := server.mails(); len(got) != 1 || got[0].encrypted != (o != plain) {
				t.Errorf("received %+v", got)
			}
		})
	}
}

func TestSMTP_Certificates(t *testing.T) {
	t.Parallel()
	server := listen(t, startTLS)
	server.SMTP.Roots = x509.NewCertPool()
	for _, allow := range []bool{false, true} {
		server.SMTP.AllowUnauthorizedCerts = allow
		f := outbox(t, dbtest.SQLite(t), server.SMTP)
		if _, err := f.Test(context.Background(), ann); (err == nil) != allow {
			t.Errorf("allowed %v: %v", allow, err)
		}
	}
}

// Without a requirement, encryption is used when offered, even with an untrusted certificate.
func TestOpportunisticEncryption(t *testing.T) {
	t.Parallel()
	server := listen(t, startTLS)
	server.SMTP.Secure, server.SMTP.Roots = false, x509.NewCertPool()
	f := outbox(t, dbtest.SQLite(t), server.SMTP)
	if _, err := f.Test(context.Background(), ann); err != nil {
		t.Fatal(err)
	}
	if got := server.mails(); len(got) != 1 || !got[0].encrypted {
		t.Errorf("received %+v, want it encrypted", got)
	}
}

func TestSMTP_NoPlainPassword(t *testing.T) {
	t.Parallel()
	// The ends of a pipe have no loopback address, as a server elsewhere has none.
	near, far := net.Pipe()
	defer far.Close()
	said := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(far).ReadString('\n')
		said <- line
	}()
	if err := mail.SignInOver(near); !errors.Is(err, mail.ErrUnprotected) {
		t.Errorf("sign-in = %v, want %v", err, mail.ErrUnprotected)
	}
	near.Close()
	if line := <-said; line != "" {
		t.Errorf("the client said %q", line)
	}
}

// A server that offers no STARTTLS gets nothing at all when encryption is demanded: no sign-in, no
// mail.
func TestSMTP_NoPlainFallback(t *testing.T) {
	t.Parallel()
	server := listen(t, plain, withAuth)
	server.SMTP.Secure = true
	f := outbox(t, dbtest.SQLite(t), server.SMTP)
	f.put(reset(), ann)
	f.deliver()
	if i := f.only(); i.State != mail.Waiting || i.Trouble != mail.TroubleNoSTARTTLS {
		t.Errorf("%+v", i)
	}
	got, err := f.Test(context.Background(), ann)
	if err == nil || strings.Contains(fmt.Sprint(got.Lines), "AUTH PLAIN **") || len(server.mails()) != 0 {
		t.Errorf("%v, %v", err, got.Lines)
	}
}

// An accepted address can be put between angle brackets, alone on its line.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"ann@example.com", "\"a b\"@example.com", "a@b>\r\nDATA", "a@[127.0.0.1]", "<a@b>",
		"a@b,c@d", "a\x00@b", "\"\r\n\"@b", "a@b (x)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if mail.Check(mail.Address{Email: s}) != nil {
			return
		}
		if strings.ContainsAny(s, "\r\n\x00 \t") || len(s) > 254 || !strings.Contains(s, "@") {
			t.Errorf("%q was taken for an address", s)
		}
		if parsed, err := netmail.ParseAddress("<" + s + ">"); err != nil || parsed.Address != s {
			t.Errorf("%q reads as %v, %v", s, parsed, err)
		}
	})
}
