// Package web holds everything that the fronts of Sluice share: how to distinguish a person's page
// from a program's call, how to show errors to people, where a browser may be sent back to, the
// security headers of pages, and the look of all pages.
//
// Pages are templ components: Shell is the frame with navigation for people who are signed in,
// Narrow the plain frame for sign-in and for errors. Everything in them works without JavaScript;
// the two scripts only improve it. Nothing is inline, so the content security policy (Policy) needs
// no exception, and nothing is loaded from another host.
//
// Assets are built by assets/build.sh, committed, embedded and served below AssetPrefix under a
// name that contains their hash. The prefix is reserved on the origin of every app as well, so that
// an error page looks the same everywhere.
package web
