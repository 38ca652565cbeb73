package authz

import "sluice/internal/problem"

// secondFactor is the policy that closes strict workspaces to sessions without a second factor.
const secondFactor = "second-factor"

// dangerous are the actions for which an unattended screen or a stolen cookie must not be enough.
var dangerous = map[Action]bool{
	UserCreate: true, UserUpdate: true, UserDelete: true, UserReset: true, UserDisable: true, RoleManage: true,
	WorkspaceManage: true, AccountFactors: true, SignInManage: true, SecretManage: true,
}

// Dangerous reports whether an action requires a fresh proof of identity.
func Dangerous(a Action) bool { return dangerous[a] }

// Fresh requires a fresh proof of identity in a browser session. Programs and the command line have
// proven theirs with the call itself. Do calls it for dangerous actions. A person who was signed in
// automatically has proven nothing yet, however long a proof is good. Code that reveals a secret in
// a read must call it too.
func (g *Gate) Fresh(p Principal) error {
	if p.Automatic {
		return StepUp()
	}
	if g.stepUp == 0 || p.Kind != Person || p.SessionID == "" || g.now().Sub(p.ProvenAt) < g.stepUp {
		return nil
	}
	return StepUp()
}

// StepUp is the problem that asks for a fresh proof of identity (RFC 9470).
func StepUp() *problem.Error {
	return problem.New(problem.StepUp, "Confirm your identity to continue.").WithRule("step-up").
		WithNext("Confirm your identity. The proof is valid for a while.")
}
