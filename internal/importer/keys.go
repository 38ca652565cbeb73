package importer

import (
	"fmt"
	"maps"
	"slices"

	"sluice/internal/authn"
	"sluice/internal/builder"
	"sluice/internal/problem"
)

// keyPlanner decides about API keys.
type keyPlanner struct {
	*planning
	met map[[32]byte]bool // by hash
}

// plan decides about API keys. A key goes to the workspace of its user's own items, and also
// reaches the other workspaces of the user's projects, because in the builder it reaches all of
// them.
func (p *keyPlanner) plan() error {
	for _, k := range p.in.Keys {
		item := Item{Kind: KindKey, Name: k.Name, User: p.userName(k.User), Origin: k.ID}
		if err := p.key(k, &item); err != nil {
			return err
		}
		p.add(item)
	}
	return nil
}

func (p *keyPlanner) key(k builder.InstalledKey, item *Item) error {
	target, brought := p.state.origin(KindKey, k.ID)
	if _, entered := p.state.accounts[k.User]; entered && !brought && k.Ours {
		item.Outcome, item.Why = Stays, "Sluice has created this key itself, to run flows."
		return nil
	}
	h := p.holders[k.User]
	if why := p.unfit(k, h); brought || why != "" {
		item.Outcome, item.Target, item.Why = Skipped, target, why
		if brought {
			item.Outcome, item.Why = There, ""
		}
		return nil
	}
	hash, prefix, why := p.hashOf(k)
	if why == "" && p.met[hash] {
		why = "The same key is listed there twice."
	}
	if why != "" {
		item.Outcome, item.Why = Skipped, why
		return nil
	}
	n := authn.ImportedKey{
		Owner:     h.id,
		Workspace: h.home,
		Name:      k.Name,
		Prefix:    prefix,
		Hash:      hash,
		CreatedAt: k.Created,
		Expires:   k.Expires,
	}
	for _, w := range slices.Sorted(maps.Keys(h.reach)) {
		if w != h.home {
			n.Also = append(n.Also, w)
		}
	}
	if p.result.appID != "" {
		n.Apps = []string{p.result.appID}
	}
	prepared, err := p.im.cfg.Keys.PrepareImported(n)
	if problem.Is(err, problem.Invalid) {
		item.Outcome, item.Why = Skipped, problem.Of(err).Detail
		return nil
	}
	if err != nil {
		return err
	}
	p.met[hash] = true
	p.state.keys[h.id]++
	p.result.keys = append(p.result.keys, prepared)
	p.remember(KindKey, k.ID, prepared.ID())
	item.Outcome, item.Target, item.Workspace = Added, prepared.ID(), p.state.workspaces[h.home]
	if end := prepared.ExpiresAt(); !end.IsZero() && (k.Expires.IsZero() || end.Before(k.Expires)) {
		item.Why = fmt.Sprintf("Expires on %s: SLUICE_API_KEY_MAX_DAYS allows no longer.", end.Format("2006-01-02"))
	}
	return nil
}

// unfit explains why a key cannot be imported, regardless of its value; "" if it can.
func (p *keyPlanner) unfit(k builder.InstalledKey, h *holder) string {
	switch {
	case h == nil:
		return "Its user is not brought."
	case !k.Active:
		return "It is switched off there."
	case k.Timeless:
		return "The time at which it expires cannot be read."
	case p.state.keys[h.id] >= authn.MaxKeys:
		return fmt.Sprintf("%s would have more than %d keys.", h.username, authn.MaxKeys)
	}
	return ""
}

// hashOf returns the SHA-256 of a key, which some versions store directly, and the key's first
// characters if they are available.
func (p *keyPlanner) hashOf(k builder.InstalledKey) (hash [32]byte, prefix, why string) {
	plain, opened := k.Stored, !k.Sealed
	if !opened && p.options.Keys != nil {
		text, err := p.options.Keys.Open(k.Stored)
		plain, opened = text, err == nil
	}
	sum, formed := [32]byte{}, false
	if opened {
		sum, formed = authn.ImportedKeyHash(plain)
	}
	switch {
	case k.Hashed && formed && sum == k.Hash:
		return k.Hash, plain[:12], ""
	case k.Hashed:
		return k.Hash, "", ""
	case !opened:
		return hash, "", "It is encrypted with another secret key."
	case !formed:
		why = fmt.Sprintf("It does not look like a key of %s's (%s).", p.product.Title, p.product.Import.KeyForm)
		return hash, "", why
	}
	return sum, plain[:12], ""
}
