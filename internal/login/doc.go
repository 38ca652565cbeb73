// Package login turns a person into a session.
//
// # One dispatcher
//
// A sign-in is an attempt: a row of the table pending, under a cookie of that one browser. Steps change the attempt and never call one another; after each of them the dispatcher (next, in
// dispatch.go) alone decides what comes next:
//
//	password ─┐
//	passkey  ─┤                  ┌──> verify      the address is not confirmed yet: open the link in the mail
//	provider ─┼─> identified ─┐  ├──> factor      a second factor that the person has
//	link     ─┘               ├─>│ next
//	              each step ──┘  ├──> enrol       a second factor that a workspace asks for and the person lacks
//	                             ├──> invitation  workspaces that the proven address was invited to
//	                             └──> finish      the session, in one transaction with what the last step changed
//
// So no way in can forget a step: a reset link proves a mailbox and is still asked for the second factor, single sign-on meets the same policy as a password. An attempt that nobody goes on with
// ends after AttemptLife.
//
// # Factors
//
// A passkey counts as two factors, because user verification is always asked for. An authenticator app's code counts once (RFC 6238 section 5.2), a recovery code too. What a workspace asks for stands in
// identity.SecondFactorFor; a session knows whether it is strong, and when its person last proved to be themselves (authn.Sessions.Prove): dangerous acts ask again (authz.Gate.Fresh, Confirm).
//
// # Single sign-on
//
// An account belongs to a subject of a provider, never to an e-mail address: whoever controls an address at some provider gets nobody's account by it. Groups give roles, and only roles that they gave are taken
// back. Superusers may always use a password, so that somebody can come in while the provider is away.
//
// # Nobody is asked
//
// With LANGFLOW_AUTO_LOGIN a browser on this machine is signed in as the configured superuser (Automatic). Who may come in so is decided at the door (package console); here the dispatcher must have nothing
// left to ask, and the session is marked: nothing was proven (authz.Principal.Automatic).
//
// # One answer
//
// A sign-in that fails says the same in the same time whether the account exists or not; only somebody who has proven a first factor learns that an account is inactive.
//
// # Guess limiting
//
// Every attempt is counted before the password is looked at, and uncounted when it was right, so that parallel guesses gain nothing. What is counted, and how it slows down:
//
//	account + address   5 free, then 1 s doubling to 15 min
//	address             20 free, then 1 s doubling to 5 min
//	account             30 free from anywhere, then 1 s doubling to 30 s
//	known device        10 free, then 1 s doubling to 5 min; instead of all of the above
//
// A browser that has signed in to an account before carries a device cookie and goes by its own lane, so strangers who guess cannot lock the owner out; and the account's own limit
// never waits longer than half a minute. Second factors have counters of their own, which only somebody with the first factor can raise. Counters forget after an hour.
package login
