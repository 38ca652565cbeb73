package flow

import (
	"sync"
)

// Objects is the ownership map of one app, in memory.
type Objects struct {
	mu     sync.RWMutex
	known  map[digits]ref    // ids that are UUIDs: nearly all
	others map[string]ref    // all other ids
	places map[string]uint32 // workspace or account -> index into names
	names  []string
	kinds  map[Kind]uint8
	words  []Kind
}

// ref is an object's row, as indexes of interned names.
type ref struct {
	workspace uint32
	account   uint32
	kind      uint8
}

// digits is a UUID.
type digits [16]byte

func newObjects() *Objects {
	return &Objects{
		known:  map[digits]ref{},
		others: map[string]ref{},
		places: map[string]uint32{},
		kinds:  map[Kind]uint8{},
	}
}

// Owner is the workspace that an object belongs to, and its kind. It does no I/O.
func (o *Objects) Owner(id string) (workspace string, kind Kind, ok bool) {
	key, isUUID := parse(id)
	var r ref
	o.mu.RLock()
	if isUUID {
		r, ok = o.known[key]
	} else {
		r, ok = o.others[id]
	}
	if ok {
		workspace, kind = o.names[r.workspace], o.words[r.kind]
	}
	o.mu.RUnlock()
	return workspace, kind, ok
}

// Account is the builder's account that holds an object. It is "" if the account is unknown or the
// builder has none. It does no I/O.
func (o *Objects) Account(id string) string {
	key, isUUID := parse(id)
	var r ref
	o.mu.RLock()
	defer o.mu.RUnlock()
	ok := false
	if isUUID {
		r, ok = o.known[key]
	} else {
		r, ok = o.others[id]
	}
	if !ok {
		return ""
	}
	return o.names[r.account]
}

// OwnerOf is Owner for an id in its binary form.
func (o *Objects) OwnerOf(id [16]byte) (workspace string, ok bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	r, ok := o.known[id]
	if !ok {
		return "", false
	}
	return o.names[r.workspace], true
}

// Len is the number of objects.
func (o *Objects) Len() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.known) + len(o.others)
}

func (o *Objects) put(id, workspace, account string, kind Kind) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := ref{workspace: o.intern(workspace), account: o.intern(account)}
	word, ok := o.kinds[kind]
	if !ok {
		word = uint8(len(o.words))
		o.kinds[kind], o.words = word, append(o.words, kind)
	}
	r.kind = word
	if key, isUUID := parse(id); isUUID {
		o.known[key] = r
		return
	}
	o.others[id] = r
}

// intern is the index of a name. The caller holds mu.
func (o *Objects) intern(name string) uint32 {
	place, ok := o.places[name]
	if !ok {
		place = uint32(len(o.names))
		o.places[name], o.names = place, append(o.names, name)
	}
	return place
}

func (o *Objects) remove(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if key, isUUID := parse(id); isUUID {
		delete(o.known, key)
		return
	}
	delete(o.others, id)
}

// parse reads the text form of RFC 9562 section 4 in either case, because some databases find an
// object by both.
func parse(s string) (digits, bool) {
	var d digits
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return d, false
	}
	for i, at := range [16]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34} {
		hi, lo := nibble[s[at]], nibble[s[at+1]]
		if hi|lo > 0xf {
			return d, false
		}
		d[i] = hi<<4 | lo
	}
	return d, true
}

// nibble is the value of a hexadecimal digit; 0xff for other bytes.
var nibble = func() (t [256]byte) {
	for i := range t {
		switch c := byte(i); {
		case '0' <= c && c <= '9':
			t[i] = c - '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			t[i] = c | 0x20 - 'a' + 10
		default:
			t[i] = 0xff
		}
	}
	return t
}()
