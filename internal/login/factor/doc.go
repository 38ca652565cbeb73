// Package factor manages people's second factors: authenticator apps, passkeys and recovery codes.
// It sets them up and removes them (factor.go), and verifies proofs (proof.go): as a step of
// signing in (login.StepFactor, login.StepEnrol), as a first factor (a passkey without a name), or
// again in a session before a dangerous action (Confirm).
//
// A passkey counts as two factors, because user verification is always required. A code of an
// authenticator app works once (RFC 6238 section 5.2), and so does a recovery code: the change that
// spends a proof runs in the same transaction as the change that it opens. The first factor comes
// with recovery codes. When the last factor is removed, the codes are too, and the person's
// sessions are no longer strong.
//
// A stolen cookie is not enough to change factors: the session must be fresh, and strong if the
// person already has a factor. identity.SecondFactorFor returns the policy of the workspaces. A
// session records whether it is strong and when its person last proved their identity
// (authn.Sessions.Prove).
package factor
