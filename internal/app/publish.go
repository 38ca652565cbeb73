package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// Publications manages the flows that are open to strangers.
type Publications struct {
	registry *Registry
	flows    *flow.Library
	db       *db.DB
	gate     *authz.Gate
	now      func() time.Time
	log      *slog.Logger
}

// Publish opens a flow to people who are not signed in.
func (p *Publications) Publish(ctx context.Context, actor authz.Principal, id, flowID string) error {
	a, ok := p.registry.ByID(id)
	if !ok {
		return noFlow()
	}
	if flowID = strings.TrimSpace(flowID); flowID == "" || len(flowID) > 100 || !profile.PlainID(flowID) {
		return problem.New(problem.Invalid, "This is not a flow's id. Enter the id at the end of the flow's address "+
			"in the builder.").
			WithField("flow_id")
	}
	res, err := p.flowResource(ctx, actor, a, flowID)
	if err != nil {
		return err
	}
	if err := p.setPublic(ctx, a, flowID, true); err != nil {
		return err
	}
	return p.gate.DoDetail(ctx, actor, authz.FlowPublish, res, "published in "+a.Name, func(tx *db.Tx) error {
		if err := q.New(tx).PublishFlow(ctx,
			q.PublishFlowParams{AppID: id, FlowID: flowID, CreatedAt: p.now().UnixMilli(),
				CreatedBy: actor.ID}); err != nil {
			return err
		}
		return tx.Changed(ChangeKind, id)
	})
}

// flowResource finds a flow for a person who may publish it. Flows in other people's workspaces are
// not found.
func (p *Publications) flowResource(
	ctx context.Context,
	actor authz.Principal,
	a *App,
	flowID string,
) (authz.Resource, error) {
	workspace, kind, ok := p.flows.Owner(a.ID, flowID)
	res := authz.Resource{Type: "Flow", ID: flowID, Workspace: workspace, Name: p.flows.Name(ctx, a.ID, flowID)}
	switch {
	case !ok || kind != flow.Chatflow && kind != flow.Agentflow && kind != flow.Assistantflow:
		return res, noFlow()
	case !actor.Superuser && actor.Role(workspace) == "":
		if err := p.gate.Check(ctx, actor, authz.FlowPublish, res); err != nil {
			return res, noFlow()
		}
	}
	return res, p.gate.Check(ctx, actor, authz.FlowPublish, res)
}

func noFlow() error {
	return problem.New(problem.NotFound, "There is no flow with this id in your workspaces.").WithField("flow_id").
		WithNext("Copy the id from the end of the flow's address in the builder.")
}

// setPublic updates the builder's own mark of public flows, if it has one. Sluice's own decision
// takes precedence.
func (p *Publications) setPublic(ctx context.Context, a *App, flowID string, public bool) error {
	if a.Bridge == nil || a.Bridge.SetPublic == nil {
		return nil
	}
	if err := a.Bridge.SetPublic(ctx, p.flows.Of(a.ID).Account(flowID), flowID, public); err != nil {
		return err
	}
	return p.flows.Marked(ctx, a.ID, flowID, public)
}

// Unpublish closes a flow to strangers immediately. It succeeds even if the builder's own mark
// cannot be removed because the flow is gone or the builder is down.
func (p *Publications) Unpublish(ctx context.Context, actor authz.Principal, id, flowID string) error {
	a, ok := p.registry.ByID(id)
	if !ok {
		return noFlow()
	}
	res, err := p.flowResource(ctx, actor, a, flowID)
	if _, _, owned := p.flows.Owner(a.ID, flowID); err != nil && !owned {
		// The flow was deleted, but a person who manages the app can still unpublish it.
		res, err = a.Resource(), p.gate.Check(ctx, actor, authz.FlowPublish, a.Resource())
	}
	if err != nil {
		return err
	}
	err = p.gate.DoDetail(
		ctx,
		actor,
		authz.FlowPublish,
		res,
		"closed flow "+flowID+" in "+a.Name,
		func(tx *db.Tx) error {
			if _, err := q.New(tx).UnpublishFlow(ctx, q.UnpublishFlowParams{AppID: id, FlowID: flowID}); err != nil {
				return err
			}
			return tx.Changed(ChangeKind, id)
		},
	)
	if err != nil {
		return err
	}
	if err := p.setPublic(ctx, a, flowID, false); err != nil {
		p.log.Info("the builder's own mark of a public flow stays set", "app", a.Name, "flow", flowID, "error", err)
	}
	return nil
}

// List returns the ids of an app's flows that are open to strangers, oldest first. It omits flows
// in workspaces that are not the actor's.
func (p *Publications) List(ctx context.Context, actor authz.Principal, id string) ([]string, error) {
	if _, err := p.registry.find(ctx, actor, authz.AppView, id); err != nil {
		return nil, err
	}
	rows, err := q.New(p.db.Read()).PublishedFlows(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("listing published flows: %w", err)
	}
	ids := []string{}
	for _, row := range rows {
		if workspace, _, ok := p.flows.Owner(id, row.FlowID); !ok || actor.Superuser || actor.Role(workspace) != "" {
			ids = append(ids, row.FlowID)
		}
	}
	return ids, nil
}
