package authn

import (
	"encoding/binary"
	"testing"

	"github.com/google/uuid"

	"sluice/internal/authz"
)

// tableKey is the state of a key with a number and a scope; secret tells its secrets apart.
func tableKey(number uint64, secret byte, scope string) keyState {
	s := keyState{scopeText: scope, scope: &authz.Scope{Workspace: scope}}
	binary.BigEndian.PutUint64(s.id[:], number)
	copy(s.hash[:], s.id[:])
	s.hash[len(s.hash)-1] = secret
	return s
}

// TestKeyTable_ForgetsScopesThatNoKeyHas: what keys have in common is kept once, as long as one of
// them is there.
func TestKeyTable_ForgetsScopesThatNoKeyHas(t *testing.T) {
	table := newKeyTable()
	for range 2 { // the second time the places of the first are used again
		var ids []uuid.UUID
		for i, scope := range []string{"shared", "shared", "own"} {
			s := tableKey(uint64(i), 0, scope)
			table.put(s)
			ids = append(ids, s.id)
		}
		for i, want := range []int{2, 1, 0} {
			table.remove(ids[i])
			if got := len(table.scopes.ids); got != want {
				t.Errorf("%d keys removed: %d scopes are kept, want %d", i+1, got, want)
			}
		}
	}
	if got := len(table.scopes.slots); got != 2 {
		t.Errorf("there are places for %d scopes, want 2", got)
	}
}

// TestKeyTable_SweepsDigests: those that find nothing are freed when there are a thousand and an
// eighth of all.
func TestKeyTable_SweepsDigests(t *testing.T) {
	table := newKeyTable()
	const all, removed, replaced = 2000, 624, 2
	for i := range uint64(all) {
		table.put(tableKey(i, 0, ""))
	}
	for i := range uint64(removed) { // a removed key may have had two digests
		table.remove(tableKey(i, 0, "").id)
	}
	table.sweep()
	if got := len(table.keys); got != all {
		t.Errorf("%d digests are kept while %d of %d are worth nothing, want all", got, 2*removed, all)
	}
	for i := range uint64(replaced) {
		table.put(tableKey(removed+i, 1, ""))
	}
	table.sweep()
	if got := len(table.keys); got != all-removed {
		t.Errorf("%d digests are kept, want the %d that find a key", got, all-removed)
	}
	for i := range uint64(all - removed) {
		s := tableKey(removed+i, 0, "")
		if i < replaced {
			s = tableKey(removed+i, 1, "")
		}
		if h, ok := table.find(s.hash); !ok || h.id != s.id {
			t.Fatalf("key %d is not found", removed+i)
		}
	}
}
