package langflow

import (
	"slices"
	"sync/atomic"

	"sluice/internal/builder"
)

// homeKey identifies the home of an account for new objects: a workspace, or a person in it.
type homeKey struct{ workspace, person string }

// entry is an account with the session and key in use. The Account never changes: a changed one
// gets a new entry.
type entry struct {
	builder.Account
	// key is Account.Key in the form of a header's values; nil if the account has no key.
	key     []string
	session atomic.Pointer[session]
	signing singleFlight
	minting singleFlight
	names   atomic.Pointer[flowNames]
}

func newEntry(a builder.Account) *entry {
	e := &entry{Account: a}
	if a.Key != "" {
		e.key = []string{a.Key}
	}
	return e
}

// directory holds all accounts at one moment. It is immutable.
type directory struct {
	byID map[string]*entry
	own  map[homeKey]*entry
	// of holds the ids for each home, the account for new objects first.
	of map[homeKey][]string
	// list is in the order in which the accounts became known.
	list []*entry
}

func newDirectory(list []*entry) *directory {
	d := &directory{byID: map[string]*entry{}, own: map[homeKey]*entry{}, of: map[homeKey][]string{}, list: list}
	for _, e := range list {
		home := homeKey{e.Workspace, e.Person}
		d.byID[e.ID] = e
		if !e.Adopted {
			d.own[home] = e
			d.of[home] = slices.Insert(d.of[home], 0, e.ID)
			continue
		}
		d.of[home] = append(d.of[home], e.ID)
	}
	return d
}

// with returns the directory with one account added or changed, and without the one with the id
// gone. Unchanged accounts keep the sessions they have in use.
func (d *directory) with(a builder.Account, gone string) *directory {
	list := make([]*entry, 0, len(d.list)+1)
	found := false
	for _, e := range d.list {
		switch {
		case e.ID == a.ID:
			found = true
			list = append(list, e.changed(a))
		case e.ID != gone:
			list = append(list, e)
		}
	}
	if !found {
		list = append(list, newEntry(a))
	}
	return newDirectory(list)
}

// changed returns the entry for the account's new state.
func (e *entry) changed(a builder.Account) *entry {
	if e.Account == a {
		return e
	}
	next := newEntry(a)
	if e.Password == a.Password {
		next.session.Store(e.session.Load())
	}
	return next
}
