// Package console is Sluice's own pages: the ways in (set-up, sign-in, sign-up, invitations, links
// in mails), the flows that people land on, their own account, workspaces, and the pages of
// superusers: apps, people, roles and mail.
//
// A page is a file pair: people.go reads the form, asks a capability (identity, authn, login, app)
// and fills a view; people.templ shows the view. The handlers of a page are methods of a small type
// that holds the capabilities that this page uses and no others (peoplePages, vaultPages, ...);
// pages.go creates all of them. routes.go is the whole map, with what each route needs.
//
// A handler gets a visit: one request, with who asks. The visit reads the request, says what the
// person may see, and writes the answer. A handler returns an error and writes nothing in that
// case; console.go turns the error into a page in one place. The capabilities decide about rights
// and record the decision, so a handler that forgets to ask still cannot do anything that the
// person may not.
//
// Every page works without JavaScript. A form that fails comes back with what was typed (never
// passwords) and says at the field what was wrong. A thing that is shown once, such as a one-time
// link, is the direct answer to a POST and is stored nowhere.
//
// Signing in is a walk over the pages of steps.go. None of them knows the next one: each asks
// package login, whose dispatcher says where the attempt stands, and attempt.go leads the browser
// there (atStep, advance). All of them lead to /login/done, which sees whether the browser kept its
// session. diagnosis.go breaks a loop there, at an app or at an identity provider at the third
// round.
//
// Dangerous requests are answered with problem.StepUp once the session's proof has grown old.
// stepup.go then shows a page that holds the whole form, passwords included, and asks for a proof;
// Console.run takes the proof before it runs the handler again, so that one round trip is enough
// and no handler knows of it.
package console
