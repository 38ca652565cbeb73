// Package console is Sluice's own pages: the ways in (set-up, sign-in, sign-up, invitations, links in mails), the flows that people land on, their own account, workspaces, and
// what superusers see to: apps, people, roles and mail.
//
// A page is a file pair: people.go reads the form, asks a capability (identity, authn, login, app) and fills a view; people.templ shows the
// view. routes.go is the whole map, with what each route needs. Handlers return an error and write nothing in that case; console.go turns it
// into a page in one place. Rights are decided and recorded by the capabilities, so a handler that forgets to ask still cannot do anything
// that the person may not.
//
// Every page works without JavaScript. A form that fails comes back with what was typed (never passwords) and says at the field what was
// wrong. What is shown once, such as a one-time link, is the direct answer to a POST and is stored nowhere.
//
// Signing in is a walk over the pages of steps.go. None of them knows the next one: each asks package login, whose dispatcher says where the attempt stands (atStep, advance), and all
// of them end at /login/done, which sees whether the browser kept its session. A loop there, at an app or at an identity provider is ended at the third round by diagnosis.go.
//
// What is dangerous answers problem.StepUp where the session's proof has grown old. stepup.go then shows a page that holds the whole form, passwords included, and asks for a proof; run
// takes the proof before it runs the handler again, so that one round trip is enough and no handler knows of it.
package console
