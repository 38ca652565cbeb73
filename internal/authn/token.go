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

// tokens creates and hashes random tokens under one key.
type tokens struct{ pool sync.Pool }

func newTokens(key []byte) *tokens {
	return &tokens{pool: sync.Pool{New: func() any { return &hasher{mac: hmac.New(sha256.New, key)} }}}
}

// hashers hash tokens under the current keys of a secret. New tokens are stored under the first
// key, and look-ups try all. With a single key a look-up costs one hash.
type hashers struct {
	keys func() []Key
	list atomic.Pointer[[]*tokens]
}

// newHashers uses the fixed key, which never changes, if keys is nil.
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

// all returns the current hashes, the one for new tokens first.
func (h *hashers) all() []*tokens { return *h.list.Load() }

// make returns a new token and the digest to store.
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

// digest hashes a token. ok is false if the text cannot be a Sluice token.
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
		WithNext("Sign in again. If it keeps failing, delete this site's cookies in the browser.").
		WithRule("session cookie")
}

// keyDigest hashes an API key. ok is false if the text cannot be one. It does not verify the
// checksum: a key that the look-up finds is correct anyway.
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
