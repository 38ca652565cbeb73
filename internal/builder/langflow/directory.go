package langflow

import (
	"slices"
	"sync/atomic"

	"sluice/internal/builder"
)

// homeKey is what an account for new things is for: a workspace, or a person in it.
type homeKey struct{ workspace, person string }

// entry is an account with what is in use of it. The Account never changes: a changed one is
// another entry.
type entry struct {
	builder.Account
	// key is Account.Key as a header has it; nil if there is none.
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

// directory is all accounts as of a moment. It is immutable.
type directory struct {
	byID map[string]*entry
	own  map[homeKey]*entry
	// of holds the ids for each home, the one for new things first.
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

// with is the directory with an account added or changed, and without another one. What is in use
// of unchanged accounts stays.
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

// changed is the entry of an account as it is now.
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
