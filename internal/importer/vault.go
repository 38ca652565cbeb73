package importer

import (
	"fmt"
	"strings"

	"sluice/internal/problem"
	"sluice/internal/secret"
)

const (
	// credentialKind is Langflow's word for variables that are secret; it has no other types of credential.
	credentialKind = "Credential"
	// credentialField is the name of the one value of such a credential.
	credentialField = "value"
)

// planCredentials decides about variables. Secret ones go into the vault of the workspace of their user's own things.
func (p *planning) planCredentials() error {
	for _, v := range p.in.variables {
		if !v.credential {
			continue
		}
		item := Item{Kind: KindCredential, Name: v.name, User: p.userName(v.user), Origin: v.id}
		if err := p.planCredential(v, &item); err != nil {
			return err
		}
		p.add(item)
	}
	return nil
}

func (p *planning) planCredential(v variable, item *Item) error {
	target, brought := p.state.origin(KindCredential, v.id)
	h := p.holders[v.user]
	switch {
	case brought:
		item.Outcome, item.Target = There, target
		return nil
	case h == nil:
		item.Outcome, item.Why = Skipped, "Its user is not brought."
		return nil
	case strings.HasPrefix(v.name, "__"):
		item.Outcome, item.Why = Stays, "Langflow keeps its own settings in it."
		return nil
	}
	value, err := v.value, error(nil)
	if p.options.Keys != nil {
		value, err = p.options.Keys.Open(v.value)
	}
	if err != nil || p.options.Keys == nil && strings.HasPrefix(v.value, sealedMark) {
		item.Outcome, item.Why = Skipped, "It is encrypted with another secret key."
		return nil
	}
	if value == "" {
		item.Outcome, item.Why = Skipped, "It has no value."
		return nil
	}
	if p.state.vaultSize[h.home] >= secret.MaxCredentials {
		item.Outcome, item.Why = Skipped, fmt.Sprintf("The vault of the workspace would have more than %d credentials.", secret.MaxCredentials)
		return nil
	}
	name := p.freeCredential(h, v.name)
	prepared, err := p.im.cfg.Vault.Prepare(h.home, h.id, secret.NewCredential{Name: name, Kind: credentialKind, Values: map[string]string{credentialField: value}})
	if problem.Is(err, problem.Invalid) {
		item.Outcome, item.Why = Skipped, problem.Of(err).Detail
		return nil
	}
	if err != nil {
		return err
	}
	p.state.vault[h.home+"/"+strings.ToLower(name)] = true
	p.state.vaultSize[h.home]++
	p.plan.vault = append(p.plan.vault, prepared)
	p.remember(KindCredential, v.id, prepared.Resource().ID)
	item.Outcome, item.Target, item.Workspace = Added, prepared.Resource().ID, p.state.workspaces[h.home]
	if name != v.name {
		item.Why = "Is called " + name + " here: the workspace has one of its name."
	}
	return nil
}

// maxCredentialName is the length of a credential's name, in characters.
const maxCredentialName = 80

// freeCredential is a name that no credential of the workspace has.
func (p *planning) freeCredential(h *holder, name string) string {
	name = trimTo(name, maxCredentialName)
	if name == "" {
		name = "Credential of " + h.username
	}
	for n := 0; ; n++ {
		suffix := ""
		switch {
		case n == 1:
			suffix = " (" + h.username + ")"
		case n > 1:
			suffix = fmt.Sprintf(" (%s, %d)", h.username, n)
		}
		full := trimTo(name, maxCredentialName-len(suffix)) + suffix
		if !p.state.vault[h.home+"/"+strings.ToLower(full)] {
			return full
		}
	}
}
