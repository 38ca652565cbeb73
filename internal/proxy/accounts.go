package proxy

import (
	"context"

	"sluice/internal/builder"
	"sluice/internal/objects"
	"sluice/internal/profile"
)

// lookup answers whose objects are, for the person who asks.
func (x *exchange) lookup() objects.Lookup {
	return objects.Lookup{
		App:    x.app,
		Owners: x.up.objects,
		Flows:  x.p.cfg.Apps.Flows,
		Finder: &x.up.finder,
		Who:    &x.who,
		Now:    x.p.cfg.Now,
	}
}

// accounts are those of the app's builder; nil if it has none.
func (x *exchange) accounts() *builder.Accounts { return x.lookup().Accounts() }

// entered is the account that the request went into, of a builder that has accounts.
func (x *exchange) entered(ctx context.Context) (string, error) {
	accounts := x.accounts()
	if accounts == nil || x.at.Account != "" {
		return x.at.Account, nil
	}
	return accounts.Own(ctx, x.lent())
}

// flowNamed is the id of the flow that a text in a flow's place stands for. What is judged is put in
// the text's place.
func (x *exchange) flowNamed(ref profile.IDRef, text string) (string, error) {
	id, err := x.lookup().FlowNamed(x.r.Context(), x.at.Workspace, text)
	if err != nil {
		return "", err
	}
	if id != text {
		x.match.SetParam(ref.Name, id)
	}
	return id, nil
}

// parent is the object that something lies in: as remembered, or as the builder says.
func (x *exchange) parent(ref profile.IDRef, id string) (string, error) {
	parent, job, err := x.lookup().Parent(x.r.Context(), x.at.Workspace, ref.Kind, id, x.flow)
	if job != nil {
		x.job = job
	}
	return parent, err
}
