// Package web holds what every front of Sluice shares: how a request is told apart (a person's page or a program's call), how an error
// is shown to a person, where a browser may be sent back to, which security headers go with a page, and the look of all pages.
//
// Pages are templ components: Shell is the frame with navigation for people who are signed in, Narrow the quiet frame for sign-in and
// for errors. Everything in them works without JavaScript; the two scripts only improve it. Nothing is inline, so the content security
// policy (Policy) needs no exception, and nothing comes from another host.
//
// Assets are built by assets/build.sh, committed, embedded and served below AssetPrefix under a name that holds their hash. The prefix is
// reserved on the origin of every app as well, so that an error page looks the same wherever it appears.
package web
