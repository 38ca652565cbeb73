package secret

import (
	"path/filepath"
	"slices"
	"strings"
)

// Name is one of Sluice's own secrets, under the name of its variable.
type Name string

// The secrets that a person can give. What is not given is made.
const (
	// Root is the key that everything secret in the database hangs on.
	Root Name = "LANGFLOW_SECRET_KEY"
	// AccessToken and RefreshToken sign the tokens of API clients.
	AccessToken  Name = "JWT_AUTH_TOKEN_SECRET"
	RefreshToken Name = "JWT_REFRESH_TOKEN_SECRET"
	// Session keys the hashes under which browsers' session cookies are stored.
	Session Name = "EXPRESS_SESSION_SECRET"
	// TokenHash keys the hashes under which links, codes and API keys are stored.
	TokenHash Name = "TOKEN_HASH_SECRET"
)

// The keys that Sluice always makes itself.
const (
	// VaultKey encrypts what is secret in the database.
	VaultKey Name = "vault"
	// Assertions signs what Sluice says about a person to builders and reverse proxies.
	Assertions Name = "assertions"
)

// Names are all secrets, in the order of listings.
func Names() []Name {
	return []Name{Root, AccessToken, RefreshToken, Session, TokenHash, VaultKey, Assertions}
}

// keyNames are the secrets of which keys are made and replaced with an overlap.
var keyNames = []Name{AccessToken, RefreshToken, Session, TokenHash}

// ParseName reads a name as people type it: in any case, and "root" for the root key.
func ParseName(text string) (Name, bool) {
	if strings.EqualFold(text, "root") || strings.EqualFold(text, "FLOWISE_SECRETKEY_OVERWRITE") {
		return Root, true
	}
	i := slices.IndexFunc(Names(), func(n Name) bool { return strings.EqualFold(string(n), text) })
	if i < 0 {
		return "", false
	}
	return Names()[i], true
}

// fileName is the name of the secret's file inside SECRETKEY_PATH. Those of the keys are Flowise's.
// The root key has a name of its own: Flowise's encryption.key can be read by the code of every
// flow, so Sluice must not hang on it.
func (n Name) fileName() string {
	if n == Root {
		return RootFile
	}
	return strings.ToLower(string(n)) + ".key"
}

// awsName is the last part of the entry's name in AWS Secrets Manager, as Flowise calls it.
func (n Name) awsName() string {
	return map[Name]string{AccessToken: "JWTAuthTokenSecret", RefreshToken: "JWTRefreshTokenSecret",
		Session: "ExpressSessionSecret", TokenHash: "TokenHashSecret"}[n]
}

// pathOf is where the secret's file is expected.
func (n Name) pathOf(folder string) string { return filepath.Join(folder, n.fileName()) }
