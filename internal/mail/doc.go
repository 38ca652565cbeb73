// Package mail writes Sluice's emails and makes sure that they arrive.
//
//	Message   one struct per email: its content, at most one single-use link, and no other secret
//	Put       renders the email and stores it in the transaction of the change that it reports:
//	          both commit or neither
//	Deliver   takes due emails, hands them to the SMTP server, retries, and wipes the body after
//	          it has been accepted
//	Test      one email at once, with the dialogue shown line by line
//
// An email waits, is being sent, and is finally sent, failed or discarded:
//
//	waiting ──claim──▶ sending ──250──▶ sent
//	   ▲                  │ ├──5xx for this mail, or 3 days old──▶ failed ──Retry──▶ waiting
//	   └──4xx, no server──┘ └──lease over (the process was killed)──▶ claimed again
//
// Delivery is at least once: a process that is killed between the server's "250" and recording it
// sends the email again, under the same Message-ID, so that receivers that check it show only one.
// The link in a waiting email works, so the body is sealed under the row's id.
//
// An unreachable server, or one that refuses the sign-in, is not a fault of one email. After such a
// failure the outbox pauses for a minute instead of trying every email, and the first success makes
// all of them due at once.
//
// Email never leaves through an HTTP proxy. Port 465 is TLS from the first byte (RFC 8314 section
// 3.3). On other ports STARTTLS (RFC 3207) is required, or used if the server offers it.
package mail
