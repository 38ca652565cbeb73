// Package login turns a person into a session. It holds the attempt, the dispatcher that alone
// picks the next step, the guess limits, and data that waits for a browser to come back. The steps
// are in the packages below it:
//
//	login/factor   second factors: authenticator app, passkey, recovery code; step-up
//	login/sso      single sign-on: providers, OpenID Connect, GitHub, accounts and roles, logout
//	login/signup   ways to an account: setup, invitation, sign-up, reset link, change of address
//
// A part imports login and never another part. A step loads the attempt at its step (Load),
// verifies what the browser sent, and ends in Begin or Advance, which ask the dispatcher. Functions
// of a part that login needs are hooks, which the server connects (Hooks).
//
// # One dispatcher
//
// A sign-in is an attempt: a State in the table pending, under a cookie of that one browser. Steps
// change it and never call one another. After each of them the dispatcher (next, in attempt.go)
// decides about the next one:
//
//	password  login  ─┐                    ┌─> verify      signup  the address is unconfirmed
//	passkey   factor ─┤                    ├─> factor      factor  a second factor of the person
//	provider  sso    ─┼─> Begin ───┐       ├─> enrol       factor  one that a workspace requires
//	link      signup ─┘            ├─> next┼─> invitation  signup  workspaces the address may join
//	                  ┌─> Advance ─┘       └─> finish      login   the session, in one transaction
//	   each step ─────┘                                       with the changes of the last step
//
// So no kind of sign-in can skip a step: a reset link proves a mailbox but still needs the second
// factor, and single sign-on is subject to the same policy as a password. An attempt expires after
// AttemptLife.
//
// The functions that a step passes to Begin and Advance run in the transaction that stores the
// outcome. So spending a code or setting a password commits together with the session that it
// opens, or not at all.
//
// # Automatic sign-in
//
// With LANGFLOW_AUTO_LOGIN a browser on this machine is signed in as the configured superuser
// (Automatic). Package console decides which browsers these are. The dispatcher must have no step
// left for them, and the session is marked, because nothing was proven (authz.Principal.Automatic).
//
// # One answer
//
// A sign-in that fails gets the same answer in the same time whether or not the account exists.
// Only a person who has proven a first factor learns that an account is inactive.
//
// # Guess limiting
//
// Limits count every attempt before the password is verified, and take the count back if it was
// correct, so that parallel guesses gain nothing. These counters apply to a password:
//
//	account + address   5 free, then 1 s doubling to 15 min
//	address             20 free, then 1 s doubling to 5 min
//	account             30 free from anywhere, then 1 s doubling to 30 s
//	known device        10 free, then 1 s doubling to 5 min; instead of all of the above
//
// A browser that has signed in to an account before carries a device cookie and has a separate
// counter, so strangers who guess cannot lock the owner out. The account's own limit never makes
// anyone wait longer than half a minute. Second factors have their own counters, which only a
// person with the first factor can raise. Counters expire after an hour.
package login
