// Package server is the only place where the capabilities are wired together: it opens the database, makes the services in the order of the import rule,
// listens, runs the jobs, and shuts down.
//
//	Core      database, keys, gate, people, sessions, sign-in: what the command line needs too
//	Server    Core + apps + proxy + console + listeners + jobs
//
// The main listener serves Sluice's own pages and the apps that have a host name; every other app has a listener of its own, opened and closed as apps come and go.
package server
