// Package login turns a person into a session. It holds the attempt, the dispatcher that alone
// picks the next step, the guess limits, and what waits for a browser to come back. The steps are
// in the packages below it:
//
//	login/factor   second factors: authenticator app, passkey, recovery code; proving anew (step-up)
//	login/sso      single sign-on: providers, OpenID Connect, GitHub, accounts and roles, logout
//	login/signup   ways to an account: set-up, invitation, sign-up, reset link, change of address
//
// A part imports login and never another part. A step loads the attempt at its step (Load), judges
// what the browser brought, and ends in Begin or Advance, which ask the dispatcher. What login
// needs of a part comes as a hook that the server connects (Hooks).
//
// # One dispatcher
//
// A sign-in is an attempt: a State in the table pending, under a cookie of that one browser. Steps
// change it and never call one another; after each of them the dispatcher (next, in attempt.go)
// decides what comes next:
//
//	password  login  ─┐                    ┌─> verify      signup  the address is not confirmed yet
//	passkey   factor ─┤                    ├─> factor      factor  a second factor of the person's
//	provider  sso    ─┼─> Begin ───┐       ├─> enrol       factor  one that a workspace asks for
//	link      signup ─┘            ├─> next┼─> invitation  signup  workspaces that the address may join
//	                  ┌─> Advance ─┘       └─> finish      login   the session, in one transaction
//	   each step ─────┘                                            with what the last step changed
//
// So no way in can forget a step: a reset link proves a mailbox and is still asked for the second
// factor, single sign-on meets the same policy as a password. An attempt expires after AttemptLife.
//
// The functions that a step passes to Begin and Advance run in the transaction that stores the
// outcome: a code is used up and a password set together with the session that they open, or not
// at all.
//
// # Nobody is asked
//
// With LANGFLOW_AUTO_LOGIN a browser on this machine is signed in as the configured superuser
// (Automatic). Package console decides at the door which browsers these are; here the dispatcher
// must have nothing left to ask, and the session is marked: nothing was proven
// (authz.Principal.Automatic).
//
// # One answer
//
// A sign-in that fails says the same in the same time whether the account exists or not; only
// somebody who has proven a first factor learns that an account is inactive.
//
// # Guess limiting
//
// Limits count every attempt before the password is looked at, and uncount it when it was right, so
// that parallel guesses gain nothing. What a password is counted on, and how it slows down:
//
//	account + address   5 free, then 1 s doubling to 15 min
//	address             20 free, then 1 s doubling to 5 min
//	account             30 free from anywhere, then 1 s doubling to 30 s
//	known device        10 free, then 1 s doubling to 5 min; instead of all of the above
//
// A browser that has signed in to an account before carries a device cookie and goes by its own
// lane, so strangers who guess cannot lock the owner out; and the account's own limit never waits
// longer than half a minute. Second factors have counters of their own, which only somebody with
// the first factor can raise. Counters forget after an hour.
package login
