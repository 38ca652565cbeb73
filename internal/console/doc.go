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
package console
