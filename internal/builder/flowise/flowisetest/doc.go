// Package flowisetest is a Flowise for tests. Towards Sluice it behaves like flowise@3.1.4: the
// probe, the registration of an owner, sessions of three cookies, lists, credentials, and the keys
// that flows are bound to. Use With to change exported fields while the server runs.
package flowisetest
