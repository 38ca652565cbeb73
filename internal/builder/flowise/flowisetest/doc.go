// Package flowisetest is a Flowise for tests. It behaves as flowise@3.1.4 does towards Sluice
// itself: the probe, the registration of an owner, sessions of three cookies, lists, credentials,
// and the keys that flows are bound to. Exported fields may be changed while it runs within With.
package flowisetest
