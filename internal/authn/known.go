package authn

import (
	"crypto/sha256"
	"sync"

	"github.com/google/uuid"
)

// knownTokens is how many verified tokens each of the two generations holds. A token takes about 80
// bytes.
const knownTokens = 32_768

// known holds verified tokens by their SHA-256, so that a token is verified only once. It has no
// pointers, and drops unused tokens in two generations. A dropped token is verified again.
type known struct {
	mu         sync.RWMutex
	young, old map[digest]knownToken
	buffers    sync.Pool
}

// knownToken is the session of a verified token, the token's expiry in unix milliseconds, and the
// number of the key set that verified it. Once a key is removed, all tokens are verified again.
type knownToken struct {
	session uuid.UUID
	expires int64
	keys    uint32
}

func newKnown() *known {
	return &known{young: map[digest]knownToken{}, buffers: sync.Pool{New: func() any { return new([maxToken]byte) }}}
}

// digest hashes a token of at most maxToken bytes.
func (k *known) digest(token string) digest {
	buffer := k.buffers.Get().(*[maxToken]byte)
	d := digest(sha256.Sum256(buffer[:copy(buffer[:], token)]))
	k.buffers.Put(buffer)
	return d
}

// find returns a token that was verified under the key set with this number.
func (k *known) find(d digest, keys uint32) (knownToken, bool) {
	k.mu.RLock()
	found, ok := k.young[d]
	older := false
	if !ok {
		found, ok = k.old[d]
		older = ok
	}
	k.mu.RUnlock()
	if !ok || found.keys != keys {
		return knownToken{}, false
	}
	if older {
		k.add(d, found)
	}
	return found, true
}

// add remembers a token.
func (k *known) add(d digest, t knownToken) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.young) >= knownTokens {
		k.old, k.young = k.young, make(map[digest]knownToken, knownTokens)
	}
	k.young[d] = t
}
