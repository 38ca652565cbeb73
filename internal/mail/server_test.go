package mail_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sluice/internal/mail"
)

const (
	smtpUser     = "mailer"
	smtpPassword = "correct-horse-battery"
)

// received is a mail that the server has taken.
type received struct {
	from, to, data string
	encrypted      bool
	user           string
}

// mailServer is a real SMTP server on loopback. The on… functions may be set before it is used; nil
// means that all is well.
type mailServer struct {
	*smtp.Server
	mail.SMTP // how to reach it
	wantUser  bool
	onMail    func(from string) error
	onRcpt    func(to string) error
	onData    func(c *smtp.Conn, r io.Reader) error

	mu   sync.Mutex
	got  []received
	seen map[*smtp.Conn]bool
}

type offer int

const (
	plain offer = iota
	startTLS
	implicitTLS
)

// listen starts a mail server; set prepares it before it takes connections.
func listen(t *testing.T, o offer, set ...func(*mailServer)) *mailServer {
	t.Helper()
	s := &mailServer{seen: map[*smtp.Conn]bool{}}
	s.Server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen[c] = true // a connection begins a second session when it becomes encrypted
		return &session{s: s, c: c}, nil
	}))
	s.Server.Domain, s.Server.AllowInsecureAuth, s.Server.ErrorLog = "mail.example.com", true, log.New(
		io.Discard,
		"",
		0,
	)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert, roots := certificate(t)
	s.SMTP = mail.SMTP{
		Host:        "127.0.0.1",
		Port:        l.Addr().(*net.TCPAddr).Port,
		Secure:      o != plain,
		Roots:       roots,
		ImplicitTLS: o == implicitTLS,
		Timeout:     20 * time.Second,
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	switch o {
	case startTLS:
		s.Server.TLSConfig = config
	case implicitTLS:
		l = tls.NewListener(l, config)
	}
	for _, f := range set {
		f(s)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Server.Close()
		_ = l.Close() // Close does not know the listener if Serve has not started yet
		<-done
	})
	return s
}

// mails returns what was taken so far.
func (s *mailServer) mails() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.got...)
}

func (s *mailServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

func withAuth(s *mailServer) {
	s.wantUser = true
	s.SMTP.User, s.SMTP.Password = smtpUser, smtpPassword
}

type session struct {
	s  *mailServer
	c  *smtp.Conn
	at received
}

func (s *session) AuthMechanisms() []string {
	if !s.s.wantUser {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != smtpUser || password != smtpPassword {
			// A careless server that repeats what it was given.
			return &smtp.SMTPError{
				Code:         535,
				EnhancedCode: smtp.EnhancedCode{5, 7, 8},
				Message:      "bad password " + password,
			}
		}
		s.at.user = user
		return nil
	}), nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.s.wantUser && s.at.user == "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	s.at.from = from
	if s.s.onMail != nil {
		return s.s.onMail(from)
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.at.to = to
	if s.s.onRcpt != nil {
		return s.s.onRcpt(to)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	if s.s.onData != nil {
		if err := s.s.onData(s.c, r); err != nil {
			return err
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, s.at.encrypted = s.c.TLSConnectionState()
	s.at.data = string(data)
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.got = append(s.s.got, s.at)
	return nil
}

var errDropped = errors.New("the line was dropped")

// certificate makes a certificate for 127.0.0.1 and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(
			1,
		), Subject: pkix.Name{CommonName: "mail.example.com"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{
			net.IPv4(127, 0, 0, 1),
		}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
