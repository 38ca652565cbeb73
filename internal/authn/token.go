package authn

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strings"
	"sync"
	"sync/atomic"

	"sluice/internal/problem"
)

// digest is the stored form of a token.
type digest [sha256.Size]byte

func (d digest) hex() string { return hex.EncodeToString(d[:]) }

// tokenChars is the length of 256 random bits in base64url without padding.
const tokenChars = 43

// tokens makes and hashes random tokens under one key.
type tokens struct{ pool sync.Pool }

func newTokens(key []byte) *tokens {
	return &tokens{pool: sync.Pool{New: func() any { return &hasher{mac: hmac.New(sha256.New, key)} }}}
}

// hashers hash tokens under the keys that a secret has at the moment: what is made is stored under
// the first, what is looked up is tried under all. With one key a look-up is one hash.
type hashers struct {
	keys func() []Key
	list atomic.Pointer[[]*tokens]
}

// newHashers takes the one key that never changes where keys is nil.
func newHashers(keys func() []Key, fixed []byte) *hashers {
	if keys == nil {
		keys = func() []Key { return []Key{{Value: fixed}} }
	}
	h := &hashers{keys: keys}
	h.refresh()
	return h
}

// refresh reads the keys again.
func (h *hashers) refresh() {
	var list []*tokens
	for _, k := range h.keys() {
		list = append(list, newTokens(k.Value))
	}
	h.list.Store(&list)
}

// all are the hashes of the present, the one in use first.
func (h *hashers) all() []*tokens { return *h.list.Load() }

// make returns a new token and the digest that is stored.
func (h *hashers) make() (string, digest, error) { return h.all()[0].make() }

// hasher is a reusable HMAC with its buffers, so that checking a cookie allocates nothing.
type hasher struct {
	mac hash.Hash
	in  [tokenChars]byte
	out digest
}

// make returns a new token and its digest.
func (t *tokens) make() (string, digest, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", digest{}, err
	}
	token := base64.RawURLEncoding.EncodeToString(raw)
	d, _ := t.digest(token)
	return token, d, nil
}

// digest hashes a token; ok is false for what cannot be one of ours.
func (t *tokens) digest(token string) (d digest, ok bool) {
	if !wellFormed(token) {
		return digest{}, false
	}
	h := t.pool.Get().(*hasher)
	copy(h.in[:], token)
	h.mac.Reset()
	h.mac.Write(h.in[:])
	h.mac.Sum(h.out[:0])
	d = h.out
	t.pool.Put(h)
	return d, true
}

func wellFormed(token string) bool {
	if len(token) != tokenChars {
		return false
	}
	for i := range len(token) {
		c := token[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func badCookie(text string) error {
	return problem.New(problem.Unauthenticated, text).
		WithNext("Sign in again; if it stays, delete this site's cookies in the browser.").WithRule("session cookie")
}

// keyDigest hashes an API key; ok is false for what cannot be one. The checksum is left to whoever
// has no look-up to make: a key that is found is right.
func (t *tokens) keyDigest(text string) (d digest, ok bool) {
	if len(text) != keyChars || !strings.HasPrefix(text, keyStart) {
		return digest{}, false
	}
	h := t.pool.Get().(*hasher)
	h.mac.Reset()
	for rest := text; rest != ""; {
		n := copy(h.in[:], rest)
		h.mac.Write(h.in[:n])
		rest = rest[n:]
	}
	h.mac.Sum(h.out[:0])
	d = h.out
	t.pool.Put(h)
	return d, true
}
