// Package login turns a person into a session: by password, by the one-time set-up link, by a reset link.
//
// # One answer
//
// A sign-in that fails says the same in the same time whether the account exists or not; only somebody who knows the password learns that an
// account is inactive.
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
// never waits longer than half a minute. Counters forget after an hour.
package login
