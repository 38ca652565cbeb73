package importer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice/internal/app"
	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/importer"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// Apply carries out a plan in one transaction: an error, or a crash at any moment, leaves
// everything unchanged. It needs DataImport. It calls progress with the number of finished items.
// Errors: problem.Conflict if something has changed since the plan was created.
func (im *Importer) Apply(ctx context.Context, actor authz.Principal, p *Plan, progress func(done, total int)) error {
	title := im.cfg.Kind.Title
	run := &application{
		im:       im,
		ctx:      ctx,
		actor:    actor,
		plan:     p,
		how:      "imported from " + title,
		progress: progress,
	}
	run.total = len(p.workspaces) + len(p.people) + len(p.joins) + len(p.keys) + len(p.vault) + len(p.accounts) +
		len(p.objects)
	res := authz.Resource{Type: "Import", Name: title}
	detail := strings.Join([]string{
		KindPerson.Words(len(p.people)),
		KindWorkspace.Words(len(p.workspaces)),
		KindKey.Words(len(p.keys)),
		KindCredential.Words(len(p.vault)),
		KindFlow.Words(p.Count(KindFlow, Added) + p.Count(KindFlow, Moved)),
	}, ", ")
	err := im.cfg.Gate.DoDetail(ctx, actor, authz.DataImport, res, detail, run.all)
	if err != nil {
		return err
	}
	p.Applied = true
	return nil
}

// application is a plan being applied.
type application struct {
	im          *Importer
	ctx         context.Context
	actor       authz.Principal
	plan        *Plan
	how         string // the audit record's text for each item
	progress    func(done, total int)
	done, total int
	tx          *db.Tx
}

func (a *application) all(tx *db.Tx) error {
	a.tx = tx
	// Two imports at once wait for each other here; the later one finds its names taken and rolls
	// back.
	if err := tx.Ordered(); err != nil {
		return err
	}
	a.progress(0, a.total)
	for _, step := range []func() error{
		a.origins,
		a.workspaces,
		a.people,
		a.keys,
		a.vault,
		a.accounts,
		a.objects,
		a.offers,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// step counts an item if err is nil, and returns err.
func (a *application) step(err error) error {
	if err == nil {
		a.done++
		a.progress(a.done, a.total)
	}
	return err
}

func (a *application) record(action authz.Action, r authz.Resource, detail string) error {
	return a.im.cfg.Gate.Record(a.ctx, a.tx, a.actor, action, r, audit.Done, detail)
}

func (a *application) origins() error {
	now := a.im.cfg.Now().UnixMilli()
	for _, o := range a.plan.origins {
		if o.kind == originHome || o.kind == originProject {
			err := q.New(a.tx).PutImportOrigin(a.ctx, q.PutImportOriginParams{
				Kind:      string(o.kind),
				OriginID:  o.id,
				TargetID:  o.target,
				CreatedAt: now,
			})
			if err != nil {
				return fmt.Errorf("noting what was imported: %w", err)
			}
			continue
		}
		err := q.New(a.tx).InsertImportOrigin(a.ctx, q.InsertImportOriginParams{
			Kind:      string(o.kind),
			OriginID:  o.id,
			TargetID:  o.target,
			CreatedAt: now,
		})
		if db.IsUnique(err) {
			return problem.New(problem.Conflict, "Another import has brought the same things since this one was "+
				"planned.").
				WithNext("Run it again.")
		}
		if err != nil {
			return fmt.Errorf("noting what was imported: %w", err)
		}
	}
	return nil
}

func (a *application) workspaces() error {
	if err := a.im.cfg.People.InsertWorkspaces(a.ctx, a.tx, a.plan.workspaces); err != nil {
		return err
	}
	for _, w := range a.plan.workspaces {
		if err := a.step(a.record(authz.WorkspaceCreate, w.Resource(), a.how)); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) people() error {
	fresh := map[string]identity.Prepared{}
	for _, n := range a.plan.people {
		fresh[n.prepared.ID()] = n.prepared
		u, err := a.im.cfg.People.Insert(a.ctx, a.tx, n.prepared)
		if err != nil {
			return err
		}
		detail := a.how
		if u.Superuser {
			detail += ", superuser"
		}
		if err := a.step(a.record(authz.UserCreate, u.Resource(), detail)); err != nil {
			return err
		}
	}
	for _, j := range a.plan.joins {
		var err error
		if who, ok := fresh[j.person]; ok {
			err = a.im.cfg.People.Admit(a.ctx, a.tx, j.workspace, who, j.role)
		} else {
			err = a.im.cfg.People.Join(a.ctx, a.tx, j.workspace, j.person, j.role)
		}
		if err := a.step(err); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) keys() error {
	for _, k := range a.plan.keys {
		if err := a.im.cfg.Keys.InsertImported(a.ctx, a.tx, k); err != nil {
			return err
		}
		if err := a.step(a.record(authz.KeyManage, k.Resource(), a.how)); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) vault() error {
	for _, c := range a.plan.vault {
		if err := a.im.cfg.Vault.Insert(a.ctx, a.tx, c); err != nil {
			return err
		}
		if err := a.step(a.record(authz.CredentialManage, c.Resource(), a.how)); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) accounts() error {
	now := a.im.cfg.Now().UnixMilli()
	for _, c := range a.plan.accounts {
		err := app.ImportAccount(a.ctx, a.tx, a.plan.appID, app.ImportedAccount{
			ID:        c.id,
			Username:  c.username,
			Workspace: c.workspace,
			Person:    c.person,
			From:      c.from,
			At:        now,
		})
		if err != nil {
			return err
		}
		if err := a.step(nil); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) objects() error {
	counts := map[string]int{}
	for _, o := range a.plan.objects {
		placed, err := a.im.cfg.Flows.Place(a.ctx, a.tx, o.object, o.from)
		if err != nil {
			return err
		}
		if placed {
			counts[o.object.Workspace]++
		}
		if err := a.step(nil); err != nil {
			return err
		}
	}
	for _, w := range slices.Sorted(maps.Keys(counts)) {
		res := authz.Resource{Type: "App", ID: a.plan.appID, Name: a.plan.App, Workspace: w}
		if err := a.record(authz.ObjectAdopt, res, fmt.Sprintf("%d objects, %s", counts[w], a.how)); err != nil {
			return err
		}
	}
	return nil
}

// offers makes the app available to the workspaces, and notifies nodes that accounts and workspaces
// of the app have changed.
func (a *application) offers() error {
	if a.plan.appID == "" {
		return nil
	}
	for _, w := range a.plan.offers {
		if err := app.Offer(a.ctx, a.tx, a.plan.appID, w); err != nil {
			return err
		}
	}
	return a.tx.Changed(app.ChangeKind, a.plan.appID)
}
