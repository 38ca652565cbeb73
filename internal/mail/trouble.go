package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strings"
)

// Trouble is why an email was not accepted, in one word that pages can explain.
type Trouble string

// The troubles. All but the last four are caused by the server or the configuration, and not by the
// email.
const (
	// TroubleConnect means that nothing listens, the name is unknown, or the connection was
	// dropped.
	TroubleConnect Trouble = "connect"
	// TroubleSlow means that there was no answer within Timeout.
	TroubleSlow Trouble = "slow"
	// TroubleNotTLS means that port 465 answered, but not with TLS.
	TroubleNotTLS Trouble = "not TLS"
	// TroubleNoSTARTTLS means that encryption is required, but the server does not offer it.
	TroubleNoSTARTTLS Trouble = "no STARTTLS"
	// TroubleTLS means that the two sides found no common version of TLS.
	TroubleTLS Trouble = "TLS"
	// TroubleCertificate means that the server's certificate is not trusted, is for another name,
	// or has expired.
	TroubleCertificate Trouble = "certificate"
	// TroubleUnprotected means that the password would have been sent in clear, so it was not sent.
	TroubleUnprotected Trouble = "unprotected"
	// TroubleCredentials means that the server refused SMTP_USER and SMTP_PASSWORD, or requires
	// them while none are set.
	TroubleCredentials Trouble = "credentials"
	// TroubleSender means that the server does not accept email from SENDER_EMAIL.
	TroubleSender Trouble = "sender"
	// TroubleServer means that the server refused the conversation before the email was named.
	TroubleServer Trouble = "server"
	// TroubleLater means that the server asks to try this email later (4xx).
	TroubleLater Trouble = "later"
	// TroubleRecipient means that the server refused the recipient for good (5xx).
	TroubleRecipient Trouble = "recipient"
	// TroubleContent means that the server refused the email's content for good (5xx).
	TroubleContent Trouble = "content"
	// TroubleUnreadable means that the stored email cannot be opened, because the keys have been
	// replaced.
	TroubleUnreadable Trouble = "unreadable"
)

// permanent reports whether another attempt with the same email would be pointless.
func (t Trouble) permanent() bool {
	return t == TroubleRecipient || t == TroubleContent || t == TroubleUnreadable
}

// ofServer reports whether every other email would fail in the same way.
func (t Trouble) ofServer() bool { return !t.permanent() && t != TroubleLater }

// Advice is a sentence for an admin about what to do about a trouble.
func (t Trouble) Advice() string {
	switch t {
	case TroubleConnect:
		return "Nothing took the connection, or it was dropped. Check SMTP_HOST and SMTP_PORT, and that a firewall " +
			"lets Sluice out on that port."
	case TroubleSlow:
		return "The server did not answer in time. A firewall may swallow the connection; or the port speaks TLS " +
			"from the first byte, which Sluice does on port 465 only."
	case TroubleNotTLS:
		return "The server does not speak TLS from the first byte. Port 465 is for that; set SMTP_PORT to 587, " +
			"where encryption begins after the greeting."
	case TroubleNoSTARTTLS:
		return "SMTP_SECURE=true demands encryption, and the server does not offer it on this port. Use port 465 or " +
			"587; SMTP_SECURE=false only for a server on this machine or in a network that you trust."
	case TroubleTLS:
		return "The server's TLS is too old (Sluice needs version 1.2) or broken. Ask who runs the mail server."
	case TroubleCertificate:
		return "The server's certificate is not trusted. Use the name in the certificate as SMTP_HOST, or install " +
			"its authority on this machine; ALLOW_UNAUTHORIZED_CERTS=true only for a test."
	case TroubleUnprotected:
		return "The connection is not encrypted, so the password was not sent. Set SMTP_SECURE=true and a port that " +
			"offers encryption, or leave SMTP_USER empty."
	case TroubleCredentials:
		return "The server refuses the sign-in. Check SMTP_USER and SMTP_PASSWORD; many providers want an app " +
			"password. A relay without sign-in needs an empty SMTP_USER."
	case TroubleSender:
		return "The server accepts no mail from this sender. Set SENDER_EMAIL to an address that it knows."
	case TroubleServer:
		return "The server refused to talk. Its answer says why."
	case TroubleLater:
		return "The server asks to try again later, and Sluice will."
	case TroubleRecipient:
		return "The server refused the recipient. Check the address; if it is right, the server may not pass mail " +
			"on for Sluice."
	case TroubleContent:
		return "The server refused the mail itself. Its answer says why."
	case TroubleUnreadable:
		return "The mail was sealed with keys that this Sluice no longer has. Discard it and start again what it " +
			"was about."
	}
	return ""
}

// Step is a part of the conversation with a mail server.
type Step string

// The steps in their order.
const (
	StepConnect   Step = "connect"
	StepGreeting  Step = "greeting"
	StepHello     Step = "hello"
	StepEncrypt   Step = "encrypt"
	StepSignIn    Step = "sign in"
	StepSender    Step = "sender"
	StepRecipient Step = "recipient"
	StepContent   Step = "content"
)

// sendError is a failed attempt.
type sendError struct {
	step    Step
	trouble Trouble
	text    string // safe to show and to store
}

func (e *sendError) Error() string { return fmt.Sprintf("%s: %s", e.step, e.text) }

var (
	errNoSTARTTLS  = errors.New("the server does not offer STARTTLS")
	errNotTLS      = errors.New("the server does not begin with TLS")
	errUnprotected = errors.New("the connection is not encrypted; the password was not sent")
	errNoAuth      = errors.New(
		"the server offers no way to sign in that Sluice knows (PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5)",
	)
)

// judge returns the trouble of an error that occurred in a step.
func judge(step Step, err error) Trouble {
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return judgeAnswer(step, answer.Code)
	}
	var notTLS tls.RecordHeaderError
	var unverified *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var alert tls.AlertError
	var timeout net.Error
	switch {
	case errors.Is(err, errNoSTARTTLS):
		return TroubleNoSTARTTLS
	case errors.Is(err, errUnprotected):
		return TroubleUnprotected
	case errors.Is(err, errNoAuth):
		return TroubleCredentials
	case errors.As(err, &unverified), errors.As(err, &unknown):
		return TroubleCertificate
	case errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return TroubleSlow
	case errors.Is(err, errNotTLS):
		return TroubleNotTLS
	case errors.As(err, &notTLS), errors.As(err, &alert), strings.Contains(err.Error(), "tls: "):
		return TroubleTLS
	}
	return TroubleConnect
}

// judgeAnswer interprets a reply code (RFC 5321 section 4.2) in a step. 530, 534, 535 and 538 are
// about signing in, in any step (RFC 4954 section 6).
func judgeAnswer(step Step, code int) Trouble {
	switch {
	case code == 530 || code == 534 || code == 535 || code == 538, step == StepSignIn && code >= 500:
		return TroubleCredentials
	case code == 421 || step == StepGreeting || step == StepHello || step == StepSignIn:
		return TroubleServer
	case step == StepEncrypt:
		return TroubleTLS
	case code < 500:
		return TroubleLater
	case step == StepSender:
		return TroubleSender
	case step == StepRecipient:
		return TroubleRecipient
	}
	return TroubleContent
}
