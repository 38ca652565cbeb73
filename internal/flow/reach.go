package flow

import "slices"

// AccountsIn are the builder's accounts that hold objects of a workspace, sorted. It does no I/O,
// but scans all objects of the app, so it is meant for lists.
func (o *Objects) AccountsIn(workspace string) []string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	place, ok := o.places[workspace]
	if !ok {
		return nil
	}
	found := map[uint32]struct{}{}
	for _, r := range o.known {
		if r.workspace == place {
			found[r.account] = struct{}{}
		}
	}
	for _, r := range o.others {
		if r.workspace == place {
			found[r.account] = struct{}{}
		}
	}
	var names []string
	for account := range found {
		if name := o.names[account]; name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
