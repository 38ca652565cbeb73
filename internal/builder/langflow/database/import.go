package database

import "sluice/internal/builder"

// credentialKind is Langflow's word for secret variables. It has no other types of credential.
const credentialKind = "Credential"

// Import describes how to read a Langflow that ran without Sluice.
func Import() *builder.Import {
	return &builder.Import{
		Read:            Read,
		Unsealer:        func(secretKey string) (builder.Unsealer, error) { return unsealer(NewKeys(secretKey)) },
		KeyPlaces:       "in the file secret_key of its LANGFLOW_CONFIG_DIR, or in its LANGFLOW_SECRET_KEY",
		Defaults:        []string{"langflow"},
		KeyForm:         "sk-…",
		CredentialKind:  credentialKind,
		CredentialField: "value",
	}
}

// unsealer keeps a nil *Keys from becoming a non-nil Unsealer.
func unsealer(k *Keys, err error) (builder.Unsealer, error) {
	if err != nil {
		return nil, err
	}
	return k, nil
}
