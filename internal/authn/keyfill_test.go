package authn

import (
	"crypto/rand"
	"io"

	"github.com/google/uuid"

	"sluice/internal/authz"
)

// FillKeys puts keys into the memory of k that are in no database, and returns the requested number
// of them.
func FillKeys(k *Keys, count, want int, owner, workspace string) (secrets []string, err error) {
	scope := &authz.Scope{Workspace: workspace, Actions: []authz.Action{authz.FlowRun}}
	for i := range count {
		secret, err := makeKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		d, _ := k.hashes.all()[0].keyDigest(secret)
		k.table.put(
			keyState{id: uuid.New(), account: owner, workspace: workspace, hash: d, scopeText: workspace, scope: scope},
		)
		if i%max(count/want, 1) == 0 && len(secrets) < want {
			secrets = append(secrets, secret)
		}
	}
	return secrets, nil
}

// MakeKey makes the text of a key.
func MakeKey() (string, error) { return makeKey(rand.Reader) }

// MakeKeyOf makes the text of a key of these random bytes.
func MakeKeyOf(random io.Reader) (string, error) { return makeKey(random) }

// KeyFormed is the check of a key's form.
func KeyFormed(text string) bool { return keyFormed(text) }

// OfferedToken is what a request's headers offer.
func OfferedToken(h map[string][]string, ownSignIn bool) (value string, key bool, err error) {
	o, err := offeredToken(h, ownSignIn)
	return o.value, o.key, err
}
