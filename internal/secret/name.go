package secret

import (
	"path/filepath"
	"slices"
	"strings"
)

// Name is one of Sluice's own secrets, under the name of its variable.
type Name string

// Secrets that a person can give. Sluice creates those that are not given.
const (
	// Root is the key that protects everything secret in the database.
	Root Name = "LANGFLOW_SECRET_KEY"
	// AccessToken and RefreshToken sign the tokens of API clients.
	AccessToken  Name = "JWT_AUTH_TOKEN_SECRET"
	RefreshToken Name = "JWT_REFRESH_TOKEN_SECRET"
	// Session keys the hashes under which session cookies are stored.
	Session Name = "EXPRESS_SESSION_SECRET"
	// TokenHash keys the hashes under which links, codes and API keys are stored.
	TokenHash Name = "TOKEN_HASH_SECRET"
)

// Keys that Sluice always creates itself.
const (
	// VaultKey encrypts the secrets in the database.
	VaultKey Name = "vault"
	// Assertions signs Sluice's statements about a person to builders and reverse proxies.
	Assertions Name = "assertions"
)

// Names lists all secrets, in the order of listings.
func Names() []Name {
	return []Name{Root, AccessToken, RefreshToken, Session, TokenHash, VaultKey, Assertions}
}

// keyNames are the secrets that keys are derived from. These keys are replaced with an overlap.
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

// fileName is the name of the secret's file inside SECRETKEY_PATH. Names of the keys are those of
// Flowise. The root key has a different name: the code of every flow can read Flowise's
// encryption.key, so Sluice must not depend on it.
func (n Name) fileName() string {
	if n == Root {
		return RootFile
	}
	return strings.ToLower(string(n)) + ".key"
}

// awsName is the last part of the entry's name in AWS Secrets Manager, as in Flowise.
func (n Name) awsName() string {
	return map[Name]string{AccessToken: "JWTAuthTokenSecret", RefreshToken: "JWTRefreshTokenSecret",
		Session: "ExpressSessionSecret", TokenHash: "TokenHashSecret"}[n]
}

// pathOf is where the secret's file is expected.
func (n Name) pathOf(folder string) string { return filepath.Join(folder, n.fileName()) }
