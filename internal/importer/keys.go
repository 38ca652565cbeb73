package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice/internal/authn"
	"sluice/internal/problem"
)

// planKeys decides about API keys. A key goes to the workspace of its user's own things and reaches the others that the user's projects go to, because in Langflow it reaches all of them.
func (p *planning) planKeys() error {
	for _, k := range p.in.keys {
		item := Item{Kind: KindKey, Name: k.name, User: p.userName(k.user), Origin: k.id}
		if err := p.planKey(k, &item); err != nil {
			return err
		}
		p.add(item)
	}
	return nil
}

func (p *planning) planKey(k key, item *Item) error {
	target, brought := p.state.origin(KindKey, k.id)
	if _, entered := p.state.accounts[k.user]; entered && !brought && k.name == "Sluice" {
		item.Outcome, item.Why = Stays, "Sluice has made this key itself, to run flows."
		return nil
	}
	h := p.holders[k.user]
	if why := p.unfit(k, h); brought || why != "" {
		item.Outcome, item.Target, item.Why = Skipped, target, why
		if brought {
			item.Outcome, item.Why = There, ""
		}
		return nil
	}
	hash, prefix, why := p.hashOf(k)
	if why == "" && p.hashes[hash] {
		why = "The same key stands there twice."
	}
	if why != "" {
		item.Outcome, item.Why = Skipped, why
		return nil
	}
	n := authn.ImportedKey{Owner: h.id, Workspace: h.home, Name: k.name, Prefix: prefix, Hash: hash, CreatedAt: k.created, Expires: k.expires}
	for _, w := range slices.Sorted(maps.Keys(h.reach)) {
		if w != h.home {
			n.Also = append(n.Also, w)
		}
	}
	if p.plan.appID != "" {
		n.Apps = []string{p.plan.appID}
	}
	prepared, err := p.im.cfg.Keys.PrepareImported(n)
	if problem.Is(err, problem.Invalid) {
		item.Outcome, item.Why = Skipped, problem.Of(err).Detail
		return nil
	}
	if err != nil {
		return err
	}
	p.hashes[hash] = true
	p.state.keys[h.id]++
	p.plan.keys = append(p.plan.keys, prepared)
	p.remember(KindKey, k.id, prepared.ID())
	item.Outcome, item.Target, item.Workspace = Added, prepared.ID(), p.state.workspaces[h.home]
	if end := prepared.ExpiresAt(); !end.IsZero() && (k.expires.IsZero() || end.Before(k.expires)) {
		item.Why = fmt.Sprintf("Ends on %s: SLUICE_API_KEY_MAX_DAYS allows no longer.", end.Format("2006-01-02"))
	}
	return nil
}

// unfit says why a key cannot be brought, whatever it is.
func (p *planning) unfit(k key, h *holder) string {
	switch {
	case h == nil:
		return "Its user is not brought."
	case !k.active:
		return "It is switched off there."
	case k.timeless:
		return "Its end cannot be read."
	case p.state.keys[h.id] >= authn.MaxKeys:
		return fmt.Sprintf("%s would have more than %d keys.", h.username, authn.MaxKeys)
	}
	return ""
}

// hashOf finds the SHA-256 of a key, which newer versions of Langflow keep themselves, and its first characters if they can be had.
func (p *planning) hashOf(k key) (hash [32]byte, prefix, why string) {
	plain, opened := k.stored, !strings.HasPrefix(k.stored, sealedMark)
	if !opened && p.options.Keys != nil {
		text, err := p.options.Keys.Open(k.stored)
		plain, opened = text, err == nil
	}
	sum, formed := [32]byte{}, false
	if opened {
		sum, formed = authn.ImportedKeyHash(plain)
	}
	switch {
	case k.hashed && formed && sum == k.hash:
		return k.hash, plain[:12], ""
	case k.hashed:
		return k.hash, "", ""
	case !opened:
		return hash, "", "It is encrypted with another secret key."
	case !formed:
		return hash, "", "It does not look like a key of Langflow's (sk-…)."
	}
	return sum, plain[:12], ""
}
