// Package e2e proves Sluice from outside: it builds the program, starts it as a process in front of a real Flowise, and drives real people in
// a real Chromium through it.
//
// Model: a Flowise and a Sluice are processes on loopback with data folders of their own, which die with the test; a Person is a browser
// context (own cookies, own storage) in the one Chromium of the test binary, and remembers every request that its pages made; a Client is a
// program that speaks HTTP with a cookie jar, and can send a request target that no HTTP library would let through.
//
// Everything but this file has the build tag e2e. Run it with `make e2e`, which installs Chromium and Flowise first; screenshots go to shots/.
package e2e
