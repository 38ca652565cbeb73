package importer

import (
	"fmt"
	"strings"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// credentialPlanner decides about secret variables.
type credentialPlanner struct{ *planning }

// plan decides about variables. Secret ones go into the vault of the workspace of their user's own
// items.
func (p *credentialPlanner) plan() error {
	for _, v := range p.in.Variables {
		if !v.Secret {
			continue
		}
		item := Item{Kind: KindCredential, Name: v.Name, User: p.userName(v.User), Origin: v.ID}
		if err := p.credential(v, &item); err != nil {
			return err
		}
		p.add(item)
	}
	return nil
}

func (p *credentialPlanner) credential(v builder.InstalledVariable, item *Item) error {
	target, brought := p.state.origin(KindCredential, v.ID)
	h := p.holders[v.User]
	switch {
	case brought:
		item.Outcome, item.Target = There, target
		return nil
	case h == nil:
		item.Outcome, item.Why = Skipped, "Its user is not brought."
		return nil
	case v.Setting:
		item.Outcome, item.Why = Stays, p.product.Title+" keeps its own settings in it."
		return nil
	}
	value, err := v.Value, error(nil)
	if p.options.Keys != nil {
		value, err = p.options.Keys.Open(v.Value)
	}
	if err != nil || p.options.Keys == nil && v.Sealed {
		item.Outcome, item.Why = Skipped, "It is encrypted with another secret key."
		return nil
	}
	if value == "" {
		item.Outcome, item.Why = Skipped, "It has no value."
		return nil
	}
	if p.state.vaultSize[h.home] >= secret.MaxCredentials {
		item.Outcome = Skipped
		item.Why = fmt.Sprintf("The vault of the workspace would have more than %d credentials.", secret.MaxCredentials)
		return nil
	}
	name := p.freeCredential(h, v.Name)
	prepared, err := p.im.cfg.Vault.Prepare(h.home, h.id, secret.NewCredential{
		Name:   name,
		Kind:   p.product.Import.CredentialKind,
		Values: map[string]string{p.product.Import.CredentialField: value},
	})
	if problem.Is(err, problem.Invalid) {
		item.Outcome, item.Why = Skipped, problem.Of(err).Detail
		return nil
	}
	if err != nil {
		return err
	}
	p.state.vault[h.home+"/"+strings.ToLower(name)] = true
	p.state.vaultSize[h.home]++
	p.result.vault = append(p.result.vault, prepared)
	p.remember(KindCredential, v.ID, prepared.Resource().ID)
	item.Outcome, item.Target, item.Workspace = Added, prepared.Resource().ID, p.state.workspaces[h.home]
	if name != v.Name {
		item.Why = "Is called " + name + " here: the workspace has one of its name."
	}
	return nil
}

// maxCredentialName is the longest name of a credential, in characters.
const maxCredentialName = 80

// freeCredential returns a name that no credential of the workspace has.
func (p *credentialPlanner) freeCredential(h *holder, name string) string {
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
