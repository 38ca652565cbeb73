package builder

import "context"

// Credential is a credential on its way into a builder. Its values must reach nothing else.
type Credential struct {
	// ID is the id that the builder should use, if it allows the choice.
	ID, Name string
	// Kind is the builder's word for its type.
	Kind   string
	Values map[string]string
}

// CredentialKind is a type of credential that a builder knows.
type CredentialKind struct {
	// Name is the builder's word, Label the text that people read.
	Name, Label string
	Fields      []CredentialField
}

// CredentialField is one value of a type of credential.
type CredentialField struct {
	// Name is the builder's word, Label the text that people read.
	Name, Label string
	// Secret values are hidden while typed. Long values have several lines. Optional values may be
	// left out.
	Secret, Long, Optional bool
	// Options are the only allowed values; empty means any value.
	Options []string
	// Default is the value that the builder uses if the field is left out.
	Default string
}

// Credentials keep credentials in a builder.
type Credentials struct {
	// Put creates a credential, or replaces the values of the existing one with this id, and
	// returns its id. It is idempotent.
	Put func(ctx context.Context, c Credential) (id string, err error)
	// Delete deletes a credential. A missing one is not an error.
	Delete func(ctx context.Context, id string) error
	// Kinds lists the types that the builder knows, by name.
	Kinds func(ctx context.Context) ([]CredentialKind, error)
	// FlowsWith lists the flows whose definition names one of these ids, by id.
	FlowsWith func(ctx context.Context, ids []string) (map[string][]FoundObject, error)
}
