// Package mail writes Sluice's mails and sees to it that they arrive.
//
//	Message   one struct per mail: what it says, at most one link that works once, never another secret
//	Put       renders the mail and stores it in the transaction of the change it tells about: both happen or neither
//	Deliver   claims what is due, hands it to the SMTP server, retries, and wipes the body once it has been accepted
//	Test      one mail at once, with the dialogue shown line by line
//
// A mail waits, is being sent, and ends as sent, failed or discarded:
//
//	waiting ──claim──▶ sending ──250──▶ sent
//	   ▲                  │ ├──5xx for this mail, or 3 days old──▶ failed ──Retry──▶ waiting
//	   └──4xx, no server──┘ └──lease over (the process was killed)──▶ claimed again
//
// Delivery is at least once: a process killed between the server's "250" and the note of it sends the mail again, under the same Message-ID, so that
// receivers that look at it show one. The link in a waiting mail is live, therefore the body is sealed under the row's id.
//
// A server that cannot be reached, or that refuses the sign-in, is no property of a mail: after such a failure the outbox pauses for a minute instead of
// trying every mail, and the first success makes all those mails due at once.
//
// Mail never leaves through an HTTP proxy. Port 465 is TLS from the first byte (RFC 8314 section 3.3); on other ports STARTTLS (RFC 3207) is demanded, or taken when offered.
package mail
