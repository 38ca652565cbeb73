package profile

import (
	"context"

	"sluice/internal/authz"
	"sluice/internal/flow"
)

// Lent says for whom and where a request goes into the builder's session.
type Lent struct {
	// Principal is the person; anonymous gets no session.
	authz.Principal
	// Workspace is the one that the request is about. It may be another one of the person's than the one they work in.
	Workspace string
	// Account is the builder's account that holds what the request names; "": the one of Workspace, and of the person where each has one.
	Account string
}

// BridgeMode is how people get into the accounts of a builder that keeps users apart itself. Its text is stored.
type BridgeMode string

// The bridge modes of Langflow. The zero value means that none was chosen.
const (
	// BridgeExternal lets the builder verify tokens that Sluice signs, by Sluice's published keys (Langflow's external authentication, from 1.10).
	BridgeExternal BridgeMode = "external"
	// BridgeSigned signs the builder's own tokens with the secret key that both share.
	BridgeSigned BridgeMode = "signed"
	// BridgeSignIn signs each account in with a password that only Sluice knows.
	BridgeSignIn BridgeMode = "sign-in"
)

// Account is an account of a builder that people are carried into. What it holds belongs to its workspace.
type Account struct {
	// ID is the builder's own, Username its name there.
	ID, Username string
	// Workspace is where it belongs. Person is whose it is; "": the whole workspace shares it.
	Workspace, Person string
	// Adopted tells that it was there before. Nothing new is made in it, unless a request names something that it holds.
	Adopted bool
	// Password and Key open it, as far as Sluice has them. Key is an API key of the builder's.
	Password, Key string
}

// Accounts is a Bridge into a builder with an account for each workspace or person, such as Langflow.
type Accounts interface {
	Bridge
	// Of lists the ids of the accounts that a request may go into, the one for new things first if it exists already. It does no I/O.
	Of(l Lent) []string
	// Own is the id of the account for new things; it is made if it does not exist.
	Own(ctx context.Context, l Lent) (string, error)
	// Find looks in the accounts of Of for something that Sluice does not know yet. Errors: problem.NotFound.
	Find(ctx context.Context, l Lent, kind flow.Kind, id string) (account string, found FoundObject, err error)
	// FlowNamed is the id of the flow with this endpoint name in the accounts of Of. Errors: problem.NotFound.
	FlowNamed(ctx context.Context, l Lent, name string) (flowID string, err error)
	// HomeOf is the workspace that an account belongs to; "" if Sluice does not know it.
	HomeOf(account string) string
}
