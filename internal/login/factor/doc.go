// Package factor holds people's second factors: an authenticator app, passkeys and recovery codes.
// It sets them up and removes them (factor.go), and judges what proves them (proof.go): as a step
// of signing in (login.StepFactor, login.StepEnrol), as a first factor (a passkey without a name),
// or anew in a session before a dangerous act (Confirm).
//
// A passkey counts as two factors, because user verification is always asked for. A code of an
// authenticator app counts once (RFC 6238 section 5.2), a recovery code too: what uses a proof up
// runs in the transaction of what it opens. The first factor comes with recovery codes; with the
// last one they go, and no session of the person is strong any more.
//
// Nobody with a stolen cookie changes factors: a session must be fresh, and strong where there is a
// factor already. What a workspace asks for stands in identity.SecondFactorFor; a session knows
// whether it is strong and when its person last proved to be themselves (authn.Sessions.Prove).
package factor
