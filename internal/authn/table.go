package authn

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	q "sluice/internal/db/q/authn"
)

// table holds all live sessions and cookies. Neither the maps nor the slices hold pointers, so a
// million sessions cost the garbage collector next to nothing. Strings are interned: there are few
// people, and fewer audiences and workspaces.
type table struct {
	mu       sync.RWMutex
	cookies  map[digest]cookieRef
	index    map[uuid.UUID]int32
	records  []record
	free     []int32
	accounts intern
	places   intern
}

type cookieRef struct {
	record     int32
	audience   int32
	generation uint32
}

type record struct {
	id         uuid.UUID
	account    int32
	workspace  int32
	generation uint32
	expires    int64 // unix ms
	seen       int64 // unix ms, atomic
	proven     int64 // unix ms
	strong     bool
	program    bool
	automatic  bool
}

type intern struct {
	ids   map[string]int32
	names []string
}

func (i *intern) id(name string) int32 {
	if id, ok := i.ids[name]; ok {
		return id
	}
	if i.ids == nil {
		i.ids = map[string]int32{}
	}
	id := int32(len(i.names))
	i.ids[name] = id
	i.names = append(i.names, name)
	return id
}

func newTable() *table {
	return &table{cookies: map[digest]cookieRef{}, index: map[uuid.UUID]int32{}}
}

// hit is a session that was found, and the audience of the cookie if a cookie found it.
type hit struct {
	session       uuid.UUID
	account       string
	audience      string
	workspace     string
	expires, seen int64
	proven        int64
	strong        bool
	program       bool
	automatic     bool
}

// over reports whether the session is over at a time. Programs have no idle limit: only the expiry
// counts, and each refresh moves it.
func (h hit) over(now, idle int64) bool {
	return h.expires <= now || !h.program && h.seen+idle <= now
}

// state is the state of a session without its cookies. Times are unix milliseconds.
type state struct {
	id                    uuid.UUID
	account, workspace    string
	expires, seen, proven int64
	strong, program       bool
	automatic             bool
}

func stateOf(id uuid.UUID, r q.Session) state {
	return state{
		id:        id,
		account:   r.AccountID,
		workspace: r.WorkspaceID,
		expires:   r.ExpiresAt,
		seen:      r.SeenAt,
		proven:    r.ProvenAt,
		strong:    r.Strong,
		program:   r.Program,
		automatic: r.Method == MethodAutomatic && r.ProvenAt == 0,
	}
}

func (t *table) find(d digest) (hit, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	ref, ok := t.cookies[d]
	if !ok {
		return hit{}, false
	}
	r := &t.records[ref.record]
	if r.generation != ref.generation {
		return hit{}, false
	}
	h := t.hit(r)
	h.audience = t.places.names[ref.audience]
	return h, true
}

// session finds a session by its id.
func (t *table) session(id uuid.UUID) (hit, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, ok := t.index[id]
	if !ok {
		return hit{}, false
	}
	return t.hit(&t.records[i]), true
}

// hit reads a record; the caller holds the lock.
func (t *table) hit(r *record) hit {
	return hit{
		session: r.id, account: t.accounts.names[r.account], workspace: t.places.names[r.workspace],
		expires:   r.expires,
		seen:      atomic.LoadInt64(&r.seen),
		proven:    r.proven,
		strong:    r.strong,
		program:   r.program,
		automatic: r.automatic,
	}
}

// put adds a session or replaces its state and its cookies.
func (t *table) put(s state, cookies map[digest]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.index[s.id]
	switch n := len(t.free); {
	case known:
		s.seen = max(s.seen, t.records[i].seen)
	case n > 0:
		i, t.free = t.free[n-1], t.free[:n-1]
	default:
		i = int32(len(t.records))
		t.records = append(t.records, record{})
	}
	// A new generation invalidates every cookie that is not in the new set.
	t.records[i] = record{
		id:         s.id,
		account:    t.accounts.id(s.account),
		workspace:  t.places.id(s.workspace),
		expires:    s.expires,
		seen:       s.seen,
		proven:     s.proven,
		strong:     s.strong,
		program:    s.program,
		automatic:  s.automatic,
		generation: t.records[i].generation + 1,
	}
	t.index[s.id] = i
	for d, audience := range cookies {
		t.cookies[d] = cookieRef{record: i, audience: t.places.id(audience), generation: t.records[i].generation}
	}
}

// remove forgets a session. Its cookies stop finding it at once and are swept later.
func (t *table) remove(id uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.index[id]
	if !ok {
		return
	}
	delete(t.index, id)
	t.records[i] = record{generation: t.records[i].generation + 1}
	t.free = append(t.free, i)
}

// touch notes that a session was used that was last seen at seen. It reports whether the use is
// news; another request may have noted one since.
func (t *table) touch(id uuid.UUID, seen, now int64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, ok := t.index[id]
	return ok && atomic.CompareAndSwapInt64(&t.records[i].seen, seen, now)
}

// of lists the sessions of an account.
func (t *table) of(account string) []uuid.UUID {
	t.mu.RLock()
	defer t.mu.RUnlock()
	number, ok := t.accounts.ids[account]
	if !ok {
		return nil
	}
	var ids []uuid.UUID
	for id, i := range t.index {
		if t.records[i].account == number {
			ids = append(ids, id)
		}
	}
	return ids
}

// all lists all sessions.
func (t *table) all() []uuid.UUID {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Keys(t.index))
}

// ended lists the sessions that are over at a time.
func (t *table) ended(now, idle int64) []uuid.UUID {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var ids []uuid.UUID
	for id, i := range t.index {
		if t.hit(&t.records[i]).over(now, idle) {
			ids = append(ids, id)
		}
	}
	return ids
}

// sweep frees the memory of cookies whose session is gone.
func (t *table) sweep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for d, ref := range t.cookies {
		if t.records[ref.record].generation != ref.generation {
			delete(t.cookies, d)
		}
	}
}
