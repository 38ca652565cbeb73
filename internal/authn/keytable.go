package authn

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"sluice/internal/authz"
)

// keyTable holds all API keys. Like table it has no pointers per key: values that many keys share
// (owner, workspace, scope, networks) are kept once and counted.
type keyTable struct {
	mu       sync.RWMutex
	keys     map[digest]keyRef
	index    map[uuid.UUID]int32
	records  []keyRecord
	free     []int32
	accounts intern
	places   intern
	scopes   shared[authz.Scope]
	networks shared[[]netip.Prefix]
	stale    int // roughly how many digests no longer find a key
}

type keyRef struct {
	record     int32
	generation uint32
	former     bool
}

type keyRecord struct {
	id                                      uuid.UUID
	account, workspace, scope, networks     int32
	generation                              uint32
	perMinute, perDay                       int32
	expires, formerUntil, revoked, lastUsed int64 // unix ms; lastUsed is atomic
}

// keyState is the state of a key. Times are unix milliseconds, 0 for never.
type keyState struct {
	id                 uuid.UUID
	account, workspace string
	hash, former       digest
	hasFormer          bool
	// scopeText and networksText identify the parsed values; equal texts share one value.
	scopeText, networksText                 string
	scope                                   *authz.Scope
	networks                                []netip.Prefix
	perMinute, perDay                       int32
	expires, formerUntil, revoked, lastUsed int64
}

// keyHit is a found key.
type keyHit struct {
	id                                      uuid.UUID
	account, workspace                      string
	scope                                   *authz.Scope
	networks                                []netip.Prefix
	former                                  bool
	perMinute, perDay                       int32
	expires, formerUntil, revoked, lastUsed int64
}

// shared keeps values that several keys share, by their text.
type shared[T any] struct {
	ids   map[string]int32
	slots []slot[T]
	free  []int32
}

type slot[T any] struct {
	text  string
	value *T
	uses  int
}

// hold returns the number of the value for a text and counts one more use of it.
func (s *shared[T]) hold(text string, value *T) int32 {
	id, ok := s.ids[text]
	if !ok {
		if s.ids == nil {
			s.ids = map[string]int32{}
		}
		if n := len(s.free); n > 0 {
			id, s.free = s.free[n-1], s.free[:n-1]
		} else {
			id = int32(len(s.slots))
			s.slots = append(s.slots, slot[T]{})
		}
		s.ids[text], s.slots[id] = id, slot[T]{text: text, value: value}
	}
	s.slots[id].uses++
	return id
}

// drop counts one use less, and forgets a value that is no longer used.
func (s *shared[T]) drop(id int32) {
	if s.slots[id].uses--; s.slots[id].uses == 0 {
		delete(s.ids, s.slots[id].text)
		s.slots[id] = slot[T]{}
		s.free = append(s.free, id)
	}
}

func newKeyTable() *keyTable {
	return &keyTable{keys: map[digest]keyRef{}, index: map[uuid.UUID]int32{}}
}

// find looks a digest up. The scope of a key is the same pointer until it changes, so decisions
// about it can be cached.
func (t *keyTable) find(d digest) (keyHit, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	ref, ok := t.keys[d]
	if !ok || t.records[ref.record].generation != ref.generation {
		return keyHit{}, false
	}
	r := &t.records[ref.record]
	return keyHit{
		id: r.id, account: t.accounts.names[r.account], workspace: t.places.names[r.workspace],
		scope: t.scopes.slots[r.scope].value, networks: *t.networks.slots[r.networks].value, former: ref.former,
		perMinute: r.perMinute, perDay: r.perDay,
		expires: r.expires, formerUntil: r.formerUntil, revoked: r.revoked, lastUsed: atomic.LoadInt64(&r.lastUsed),
	}, true
}

// put adds a key or replaces its state. It reports whether the scope or the networks of a known key
// changed.
func (t *keyTable) put(s keyState) (narrowed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	scope, networks := t.scopes.hold(s.scopeText, s.scope), t.networks.hold(s.networksText, &s.networks)
	i, known := t.index[s.id]
	switch n := len(t.free); {
	case known:
		old := &t.records[i]
		narrowed = old.scope != scope || old.networks != networks
		s.lastUsed = max(s.lastUsed, atomic.LoadInt64(&old.lastUsed))
		t.scopes.drop(old.scope)
		t.networks.drop(old.networks)
		t.stale++
	case n > 0:
		i, t.free = t.free[n-1], t.free[:n-1]
	default:
		i = int32(len(t.records))
		t.records = append(t.records, keyRecord{})
	}
	// A new generation invalidates digests that no longer belong to the key.
	generation := t.records[i].generation + 1
	t.records[i] = keyRecord{
		id:          s.id,
		account:     t.accounts.id(s.account),
		workspace:   t.places.id(s.workspace),
		scope:       scope,
		networks:    networks,
		generation:  generation,
		perMinute:   s.perMinute,
		perDay:      s.perDay,
		expires:     s.expires,
		formerUntil: s.formerUntil,
		revoked:     s.revoked,
		lastUsed:    s.lastUsed,
	}
	t.index[s.id] = i
	t.keys[s.hash] = keyRef{record: i, generation: generation}
	if s.hasFormer {
		t.keys[s.former] = keyRef{record: i, generation: generation, former: true}
	}
	return narrowed
}

// remove forgets a key. Its digests stop finding it at once and are swept later.
func (t *keyTable) remove(id uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.index[id]
	if !ok {
		return
	}
	delete(t.index, id)
	t.stale += 2
	t.scopes.drop(t.records[i].scope)
	t.networks.drop(t.records[i].networks)
	t.records[i] = keyRecord{generation: t.records[i].generation + 1}
	t.free = append(t.free, i)
}

// touch notes that a key was used whose last known use was at lastUsed. It reports whether the use
// is news; another request may have noted one since.
func (t *keyTable) touch(id uuid.UUID, lastUsed, now int64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, ok := t.index[id]
	return ok && atomic.CompareAndSwapInt64(&t.records[i].lastUsed, lastUsed, now)
}

// live returns a key's owner, workspace and expiry. ok is false if the key does not exist or is
// revoked.
func (t *keyTable) live(id uuid.UUID) (account, workspace string, expires int64, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, ok := t.index[id]
	if !ok || t.records[i].revoked > 0 {
		return "", "", 0, false
	}
	r := &t.records[i]
	return t.accounts.names[r.account], t.places.names[r.workspace], r.expires, true
}

// sweep frees the memory of digests whose key is gone or has another secret now. It waits until
// there are enough of them, because no key can be looked up meanwhile.
func (t *keyTable) sweep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stale < 1000+len(t.keys)/8 {
		return
	}
	t.stale = 0
	for d, ref := range t.keys {
		if t.records[ref.record].generation != ref.generation {
			delete(t.keys, d)
		}
	}
}
