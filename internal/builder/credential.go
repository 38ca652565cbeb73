package builder

import "context"

// Credential is a credential on its way into a builder. Its values must reach nothing else.
type Credential struct {
	// ID is what the builder shall call it, if it lets others choose.
	ID, Name string
	// Kind is the builder's word for its type.
	Kind   string
	Values map[string]string
}

// CredentialKind is a type of credential that a builder knows.
type CredentialKind struct {
	// Name is the builder's word, Label what people read.
	Name, Label string
	Fields      []CredentialField
}

// CredentialField is one value of a type of credential.
type CredentialField struct {
	// Name is the builder's word, Label what people read.
	Name, Label string
	// Secret values are hidden while they are typed. Long ones have several lines. Optional ones
	// may be left out.
	Secret, Long, Optional bool
	// Options are the only values that there are; none means any.
	Options []string
	// Default is what the builder takes for a field that was left out.
	Default string
}

// Credentials keep credentials in a builder.
type Credentials struct {
	// Put creates a credential, or gives the one with this id new values, and returns its id. Doing
	// it again does no harm.
	Put func(ctx context.Context, c Credential) (id string, err error)
	// Delete deletes one. What is not there is no error.
	Delete func(ctx context.Context, id string) error
	// Kinds lists the types that the builder knows, by name.
	Kinds func(ctx context.Context) ([]CredentialKind, error)
	// FlowsWith lists the flows whose definition names one of these ids, by id.
	FlowsWith func(ctx context.Context, ids []string) (map[string][]FoundObject, error)
}
