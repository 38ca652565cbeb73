// Package server is the only place that wires the capabilities together: it opens the database,
// creates the services in the order of the import rule, listens, runs the jobs, and shuts down.
//
//	Core      database, keys, gate, people, sessions, sign-in: what the command line needs too
//	Server    Core + apps + proxy + console + listeners + jobs
//
// The main listener serves Sluice's own pages and the apps that have a host name. Every other app
// has its own listener, opened and closed as apps come and go.
package server
