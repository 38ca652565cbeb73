// Package sluicetest starts a whole Sluice for tests: real listeners on free loopback ports, a
// database in a temporary folder, and clients that keep cookies as a browser does. Only tests
// import it.
package sluicetest
