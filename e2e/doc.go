// Package e2e tests Sluice from the outside: it builds the program, starts it as a process in front
// of a real Flowise, and drives a real Chromium through it as people would.
//
// Model: a Flowise and a Sluice are processes on loopback with separate data folders, which are
// killed with the test. A Person is a browser context (own cookies, own storage) in the one
// Chromium of the test binary, and remembers every request of its pages. A Client is a program that
// speaks HTTP with a cookie jar, and can send a request target that no HTTP library would allow.
//
// All files except this one have the build tag e2e. Run them with `make e2e`, which installs
// Chromium and Flowise first; screenshots go to shots/.
package e2e
