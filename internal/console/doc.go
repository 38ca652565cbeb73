// Package console is Sluice's own pages: the ways in (set-up, sign-in, sign-up, invitations, links
// in mails), the flows that people land on, their own accounts, workspaces, and the pages of
// superusers: apps, people, roles and mail.
//
// A page is a file pair: people.go reads the form, asks a capability (identity, authn, login, app)
// and fills a view; people.templ shows the view. The handlers of a page are methods of a small type
// that holds the capabilities that this page uses and no others (peoplePages, vaultPages, ...);
// pages.go creates all of them. routes.go is the whole map, with what each route needs.
//
// A handler gets a visit: one request, together with its principal. The visit reads the request,
// says what the person may see, and writes the answer. A handler that fails returns an error and
// writes nothing; console.go turns the error into a page in one place. The capabilities decide
// about rights and record the decision, so a handler that forgets to ask still cannot do anything
// that the person may not do.
//
// Every page works without JavaScript. A form that fails comes back with the typed values (never
// passwords) and shows at the field what was wrong. A secret that is shown once, such as a one-time
// link, is the direct answer to a POST and is stored nowhere.
//
// Signing in is a walk over the pages of steps.go. No page knows the next one. Each asks package
// login, whose dispatcher determines the attempt's next step, and attempt.go leads the browser
// there (atStep, advance). All of them lead to /login/done, which sees whether the browser kept its
// session. There, at an app, or at an identity provider, diagnosis.go stops a loop in the third
// round.
//
// Dangerous requests are answered with problem.StepUp once the session's proof is too old.
// stepup.go then shows a page that holds the whole form, passwords included, and asks for a proof.
// Console.run takes the proof before it runs the handler again, so one round trip is enough and
// handlers need no code for it.
package console
