package profile

import (
	"slices"
	"sync/atomic"

	"sluice/internal/authz"
)

// langflowHome is what an account for new things is for: a workspace, or a person in it.
type langflowHome struct{ workspace, person string }

// langflowEntry is an account with what is in use of it. The Account never changes: a changed one is another entry.
type langflowEntry struct {
	Account
	// key is Account.Key as a header has it; nil if there is none.
	key     []string
	session atomic.Pointer[langflowSession]
	signing langflowFlight
	minting langflowFlight
	names   atomic.Pointer[langflowNames]
}

func newLangflowEntry(a Account) *langflowEntry {
	e := &langflowEntry{Account: a}
	if a.Key != "" {
		e.key = []string{a.Key}
	}
	return e
}

// langflowDirectory is all accounts as of a moment. It is immutable.
type langflowDirectory struct {
	byID map[string]*langflowEntry
	own  map[langflowHome]*langflowEntry
	// of holds the ids for each home, the one for new things first.
	of map[langflowHome][]string
	// list is in the order in which the accounts became known.
	list []*langflowEntry
}

func newLangflowDirectory(list []*langflowEntry) *langflowDirectory {
	d := &langflowDirectory{byID: map[string]*langflowEntry{}, own: map[langflowHome]*langflowEntry{}, of: map[langflowHome][]string{}, list: list}
	for _, e := range list {
		home := langflowHome{e.Workspace, e.Person}
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

// with is the directory with an account added or changed, and without another one. What is in use of unchanged accounts stays.
func (d *langflowDirectory) with(a Account, gone string) *langflowDirectory {
	list := make([]*langflowEntry, 0, len(d.list)+1)
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
		list = append(list, newLangflowEntry(a))
	}
	return newLangflowDirectory(list)
}

// changed is the entry of an account as it is now.
func (e *langflowEntry) changed(a Account) *langflowEntry {
	if e.Account == a {
		return e
	}
	next := newLangflowEntry(a)
	if e.Password == a.Password {
		next.session.Store(e.session.Load())
	}
	return next
}

// homeOf is the home of new things of somebody: their own in per-person mode. API keys of a workspace and Sluice itself are nobody in particular.
func (b *LangflowBridge) homeOf(l Lent) langflowHome {
	home := langflowHome{workspace: l.Workspace}
	if home.workspace == "" {
		home.workspace = l.Principal.Workspace
	}
	if b.cfg.PerPerson && l.Kind == authz.Person {
		home.person = l.ID
	}
	return home
}

// accounts are the ids of Of. Without per-person mode the workspace's come first; those that are a person's alone follow, for that person.
func (d *langflowDirectory) accounts(b *LangflowBridge, l Lent) []string {
	home := b.homeOf(l)
	shared := d.of[home]
	if b.cfg.PerPerson || l.Kind != authz.Person {
		return shared
	}
	home.person = l.ID
	mine := d.of[home]
	switch {
	case len(mine) == 0:
		return shared
	case len(shared) == 0:
		return mine
	}
	return slices.Concat(shared, mine)
}
