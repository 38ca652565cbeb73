package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wneessen/go-mail/log"
	"github.com/wneessen/go-mail/smtp"
)

// SMTP is the mail server and how to talk to it.
type SMTP struct {
	// Host is a name or an address. Empty means that mail is off.
	Host string
	// Port 465 is TLS from the first byte.
	Port int
	// ImplicitTLS uses TLS from the first byte on any port.
	ImplicitTLS bool
	// User and Password are for signing in. An empty User means a relay that requires no sign-in.
	User, Password string
	// Secure requires encryption with a trusted certificate. Without it STARTTLS is used if the
	// server offers it.
	Secure bool
	// AllowUnauthorizedCerts leaves certificates unchecked.
	AllowUnauthorizedCerts bool
	// Roots are the certificate authorities to trust; nil means the machine's.
	Roots *x509.CertPool
	// Timeout is how long each step may take; 0 means 30 seconds. A whole email takes at most four
	// times that.
	Timeout time.Duration
}

const (
	implicitTLSPort = 465
	stepTimeout     = 30 * time.Second
	// maxAnswers is how much a server may send in one conversation, in bytes.
	maxAnswers = 256 << 10
	maxLines   = 200
	maxText    = 500 // characters of an answer that are kept
)

func (s SMTP) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

func (s SMTP) implicit() bool { return s.ImplicitTLS || s.Port == implicitTLSPort }

func (s SMTP) timeout() time.Duration {
	if s.Timeout > 0 {
		return s.Timeout
	}
	return stepTimeout
}

// tlsConfig checks the certificate whenever encryption is required or a password depends on it.
// Encryption that is not required is opportunistic (RFC 7435 section 3): even without a check it
// keeps eavesdroppers out, and the alternative would be no encryption.
func (s SMTP) tlsConfig(loopback bool) *tls.Config {
	check := s.Secure || s.implicit() || s.User != "" && !loopback
	return &tls.Config{
		ServerName:         s.Host,
		MinVersion:         tls.VersionTLS12,
		RootCAs:            s.Roots,
		InsecureSkipVerify: s.AllowUnauthorizedCerts || !check,
	}
}

// clean makes an answer safe to store and show: one line, bounded, without credentials that a
// careless server might repeat.
func (s SMTP) clean(text string) string {
	for _, secret := range s.secrets() {
		text = strings.ReplaceAll(text, secret, masked)
	}
	text = strings.TrimSpace(strings.Map(printable, text))
	if utf8.RuneCountInString(text) > maxText {
		text = string([]rune(text)[:maxText-1]) + "…"
	}
	return text
}

const masked = "********"

func (s SMTP) secrets() []string {
	if s.Password == "" {
		return nil
	}
	b64 := base64.StdEncoding.EncodeToString
	return []string{b64([]byte("\x00" + s.User + "\x00" + s.Password)), b64([]byte(s.Password)), s.Password}
}

// Line is one line of a conversation.
type Line struct {
	// From is "client", "server", or "" for Sluice's own remarks.
	From string
	Text string
}

// envelope is the content of a delivery: SMTP addresses without brackets, and the message in RFC
// 5322 form.
type envelope struct {
	from, to string
	content  io.WriterTo
}

// dialogue is one conversation.
type dialogue struct {
	SMTP
	hello     string
	raw       net.Conn
	answers   *answers
	client    *smtp.Client
	step      Step
	encrypted bool
	lines     []Line
}

// send hands over one email and returns the conversation. The error is a *sendError.
func (s SMTP) send(ctx context.Context, hello string, e envelope) ([]Line, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*s.timeout())
	defer cancel()
	d := &dialogue{SMTP: s, hello: hello}
	defer d.close()
	err := d.run(ctx, e)
	if err == nil {
		return d.lines, nil
	}
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	fault := &sendError{step: d.step, trouble: judge(d.step, err), text: s.clean(err.Error())}
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		said := fmt.Sprintf("%d %s", answer.Code, answer.Msg)
		d.say("server", said)
		fault.text = s.clean(said)
	}
	d.say("", fmt.Sprintf("Failed at %q: %s", d.step, fault.text))
	return d.lines, fault
}

func (d *dialogue) run(ctx context.Context, e envelope) error {
	steps := []struct {
		name Step
		do   func(context.Context) error
	}{
		{StepConnect, d.connect},
		{StepEncrypt, d.encryptFirst},
		{StepGreeting, d.greet},
		{StepHello, func(context.Context) error { return d.client.Hello(hostLiteral(d.hello)) }},
		{StepEncrypt, d.startTLS},
		{StepSignIn, d.signIn},
		{StepSender, func(context.Context) error { return d.client.Mail("<" + e.from + ">") }},
		{StepRecipient, func(context.Context) error { return d.client.Rcpt("<" + e.to + ">") }},
		{StepContent, func(context.Context) error { return d.data(e.content) }},
	}
	for _, s := range steps {
		d.step = s.name
		if d.raw != nil {
			if err := d.raw.SetDeadline(time.Now().Add(d.timeout())); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.do(ctx); err != nil {
			return err
		}
	}
	// The email has been accepted. The server's reply to QUIT does not change that.
	_ = d.raw.SetDeadline(time.Now().Add(min(d.timeout(), 5*time.Second)))
	_ = d.client.Quit()
	return nil
}

// connect dials directly, because the proxy variables of the environment are for HTTP.
func (d *dialogue) connect(ctx context.Context) error {
	d.say("", "Connecting to "+d.address())
	dialer := net.Dialer{Timeout: d.timeout()}
	conn, err := dialer.DialContext(ctx, "tcp", d.address())
	if err != nil {
		return err
	}
	d.raw = conn
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn.SetDeadline(time.Now().Add(d.timeout()))
}

func (d *dialogue) close() {
	if d.raw != nil {
		_ = d.raw.Close()
	}
}

// encryptFirst begins TLS before the greeting, if the port requires it.
func (d *dialogue) encryptFirst(ctx context.Context) error {
	d.answers = &answers{Conn: d.raw, left: maxAnswers}
	if !d.implicit() {
		return nil
	}
	secured := tls.Client(d.raw, d.tlsConfig(d.loopback()))
	if err := secured.HandshakeContext(ctx); err != nil {
		if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
			return fmt.Errorf("%w: %w", errNotTLS, err)
		}
		return err
	}
	d.answers.Conn = secured
	d.nowEncrypted(secured.ConnectionState())
	return nil
}

func (d *dialogue) nowEncrypted(state tls.ConnectionState) {
	d.encrypted = true
	d.say("", "Encrypted with "+tls.VersionName(state.Version))
}

func (d *dialogue) greet(context.Context) (err error) {
	d.client, err = smtp.NewClient(d.answers, d.Host)
	if d.answers.greeting.Len() > 0 && err == nil {
		d.say("server", d.answers.greeting.String())
	}
	if err != nil {
		return err
	}
	d.client.SetLogger(d)
	d.client.SetDebugLog(true)
	d.client.SkipSMTPUTF8(true)
	return nil
}

func (d *dialogue) startTLS(context.Context) error {
	if d.encrypted {
		return nil
	}
	if offered, _ := d.client.Extension("STARTTLS"); !offered {
		if d.Secure {
			return errNoSTARTTLS
		}
		d.say("", "Continuing without encryption")
		return nil
	}
	if err := d.client.StartTLS(d.tlsConfig(d.loopback())); err != nil {
		return err
	}
	state, _ := d.client.TLSConnectionState()
	d.nowEncrypted(state)
	return nil
}

// loopback reports whether the server is this machine, judging by the connected address.
func (d *dialogue) loopback() bool {
	at, err := netip.ParseAddrPort(d.raw.RemoteAddr().String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// mechanisms are in the order of preference, with those first that every server with passwords
// supports.
var mechanisms = []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"}

func (d *dialogue) signIn(context.Context) error {
	if d.User == "" {
		return nil
	}
	if !d.encrypted && !d.loopback() {
		return errUnprotected
	}
	_, offered := d.client.Extension("AUTH")
	words := strings.Fields(strings.ToUpper(offered))
	for _, m := range mechanisms {
		if slices.Contains(words, m) {
			d.say("client", "AUTH "+m+" "+masked)
			return d.client.Auth(d.mechanism(m))
		}
	}
	return errNoAuth
}

// mechanism permits PLAIN and LOGIN unconditionally. signIn, which knows the real address, has
// decided that the connection is safe enough for a password.
func (d *dialogue) mechanism(name string) smtp.Auth {
	switch name {
	case "PLAIN":
		return smtp.PlainAuth("", d.User, d.Password, d.Host, true)
	case "LOGIN":
		return smtp.LoginAuth(d.User, d.Password, d.Host, true)
	case "SCRAM-SHA-256":
		return smtp.ScramSHA256Auth(d.User, d.Password)
	case "SCRAM-SHA-1":
		return smtp.ScramSHA1Auth(d.User, d.Password)
	}
	return smtp.CRAMMD5Auth(d.User, d.Password)
}

func (d *dialogue) data(content io.WriterTo) error {
	w, err := d.client.Data()
	if err != nil {
		return err
	}
	n, err := content.WriteTo(w)
	if err != nil {
		return err
	}
	d.say("client", fmt.Sprintf("(the mail, %d bytes)", n))
	if err := w.Close(); err != nil {
		return err
	}
	if closer, ok := w.(*smtp.DataCloser); ok {
		d.say("server", "250 "+closer.ServerResponse())
	}
	return nil
}

// say records a part of the conversation, one line each.
func (d *dialogue) say(from, text string) {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if len(d.lines) < maxLines {
			d.lines = append(d.lines, Line{From: from, Text: d.clean(line)})
		}
	}
}

// Debugf receives the SMTP client's report of a command or an answer.
func (d *dialogue) Debugf(l log.Log) {
	text := fmt.Sprintf(l.Format, l.Messages...)
	switch {
	case d.step == StepSignIn && l.Direction == log.DirClientToServer:
		// The client sends only credentials here. The sign-in itself has been recorded.
	case l.Direction == log.DirClientToServer:
		d.say("client", text)
	default:
		d.say("server", text)
	}
}

// Infof, Warnf and Errorf belong to the SMTP client's interface, but it never calls them.
func (d *dialogue) Infof(l log.Log) { d.Debugf(l) }

// Warnf is like Infof.
func (d *dialogue) Warnf(l log.Log) { d.Debugf(l) }

// Errorf is like Infof.
func (d *dialogue) Errorf(l log.Log) { d.Debugf(l) }

// answers is the connection as the SMTP client reads it. It keeps the greeting, and bounds how much
// a server may send.
type answers struct {
	net.Conn
	left     int
	greeting bytes.Buffer
	greeted  bool
}

var errTooMuch = errors.New("the server said too much")

// Read forwards bytes until the bound is reached.
func (a *answers) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, errTooMuch
	}
	n, err := a.Conn.Read(p[:min(len(p), a.left)])
	a.left -= n
	if !a.greeted {
		line, _, whole := bytes.Cut(p[:n], []byte("\n"))
		a.greeting.Write(line)
		a.greeted = whole
	}
	return n, err
}

// hostLiteral is a host in SMTP form: a name unchanged, an address in brackets (RFC 5321 section
// 4.1.3).
func hostLiteral(host string) string {
	host = strings.Trim(host, "[]")
	switch addr, err := netip.ParseAddr(host); {
	case host == "":
		return "localhost"
	case err != nil:
		return host
	case addr.Is4():
		return "[" + host + "]"
	}
	return "[IPv6:" + host + "]"
}
