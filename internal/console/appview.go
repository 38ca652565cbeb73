package console

import (
	"cmp"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// appViews prepare apps for display, on all pages that show apps.
type appViews struct {
	gate *authz.Gate
	apps *app.Apps
}

// healthView is an app's health in words.
type healthView struct {
	Tone      web.Tone
	Word      string
	Detail    string
	CheckedAt time.Time
}

// bridge is how people get into the builder's own session.
type bridge uint8

const (
	bridgeHeaders     bridge = iota // the builder has no accounts that Sluice knows of
	bridgeNeedsOwner                // the builder has no owner yet
	bridgeNeedsLogin                // the owner's credentials are missing or wrong
	bridgeNeedsChoice               // no one has chosen yet how people get into its accounts
	bridgeReady                     // Sluice holds a session
	bridgeBroken                    // Sluice has credentials, but no session at the moment
)

// appView is a connected app.
type appView struct {
	// Product is the name of the product.
	Product                            string
	ID, Name, Title, Version, Upstream string
	// Origin is the app's address for this browser.
	Origin string
	Health healthView
	Bridge bridge
	// ForwardAuth reports that a reverse proxy forwards to the app and asks Sluice about requests.
	// Asked is when it last asked.
	ForwardAuth bool
	Asked       time.Time
	// Manage reports that the viewer may change the app.
	Manage bool
}

// ProductVersion returns the product's title and version.
func (a appView) ProductVersion() string { return strings.TrimSpace(a.Title + " " + a.Version) }

// appOf returns an app as the pages show it to this visitor.
func (av *appViews) appOf(x *visit, a *app.App) appView {
	h := av.apps.Monitor.Health(a.ID)
	v := appView{
		Product:  a.Kind.Title,
		ID:       a.ID,
		Name:     a.Name,
		Title:    a.Kind.Title,
		Version:  cmp.Or(h.Version, a.Version),
		Upstream: a.Upstream.String(),
		Origin:   a.Origin(x.r.Host),
		Health:   healthOf(a, h),
		Bridge:   bridgeOf(a, h),
		Manage:   x.allows(authz.AppManage, a.Resource()),
	}
	if a.Pending {
		v.Title, v.Version = "Waiting for a response", ""
	}
	if a.ForwardAuth() {
		v.ForwardAuth = true
		v.Asked = av.apps.LastAsked(a)
		v.Title = "Web app behind a reverse proxy"
		v.Upstream = a.PublicURL
	}
	return v
}

// healthOf describes an app's health in words. Details are for people who manage the app.
func healthOf(a *app.App, h app.Health) healthView {
	v := healthView{Detail: strings.TrimSpace(h.Text + " " + h.Next), CheckedAt: h.CheckedAt}
	switch {
	case a.ForwardAuth() && !h.OK:
		v.Tone, v.Word = web.Warning, "Waiting for the first request"
	case a.ForwardAuth():
		v.Tone, v.Word, v.Detail = web.Good, "Receiving requests", ""
	case h.OK:
		v.Tone, v.Word, v.Detail = web.Good, "Online", ""
	case h.CheckedAt.IsZero():
		v.Tone, v.Word, v.Detail = web.Plain, "Not checked yet", ""
	case a.Pending:
		v.Tone, v.Word = web.Warning, "Waiting"
	case a.NeedsOwner && h.OwnerState != "":
		v.Tone, v.Word = web.Warning, "Not connected"
	default:
		v.Tone, v.Word = web.Bad, "Not working"
	}
	return v
}

func bridgeOf(a *app.App, h app.Health) bridge {
	switch {
	case a.Pending:
		return bridgeBroken
	case a.Kind.Accounts != nil && a.NeedsOwner:
		return bridgeNeedsChoice
	case a.Kind.Accounts != nil && h.OK:
		return bridgeReady
	case a.Kind.Accounts != nil:
		return bridgeBroken
	case a.Kind.Owner == nil:
		return bridgeHeaders
	case a.NeedsOwner && h.OwnerState == "":
		return bridgeBroken
	case a.NeedsOwner && h.OwnerState == builder.OwnerNone:
		return bridgeNeedsOwner
	case a.NeedsOwner:
		return bridgeNeedsLogin
	case h.OK:
		return bridgeReady
	}
	return bridgeBroken
}

// ensureChecked checks an app unless it was already checked, so that its page has a state to show.
func (av *appViews) ensureChecked(x *visit, a *app.App) error {
	if !av.apps.Monitor.Health(a.ID).CheckedAt.IsZero() {
		return nil
	}
	_, err := av.apps.Monitor.Check(x.r.Context(), x.who, a.ID)
	return err
}

// find returns the app of the route if the visitor may see it.
func (av *appViews) find(x *visit) (*app.App, error) {
	a, ok := av.apps.ByID(x.r.PathValue("id"))
	if !ok {
		return nil, problem.New(problem.NotFound, "There is no such app. It may have been removed.").
			WithNext("Open the list of apps.")
	}
	return a, av.gate.Check(x.r.Context(), x.who, authz.AppView, a.Resource())
}

// foundView is the result of a probe.
type foundView struct {
	// Product is the name of the product; Title may be the title of its page.
	Product                                          string
	Kind, Title, Version, OwnerState, Evidence, Note string
	Supports                                         []string
	// HasOwner reports that a single owner account serves everyone there. HasAccounts reports that
	// the builder keeps its users apart.
	HasOwner, HasAccounts bool
}

// foundOf returns the result of a probe as the pages show it.
func (av *appViews) foundOf(x *visit, f builder.Found) *foundView {
	kind := av.apps.Kinds[f.Kind]
	return &foundView{
		Product:     kind.Title,
		Kind:        f.Kind,
		Title:       f.Title,
		Version:     f.Version,
		OwnerState:  f.OwnerState,
		Evidence:    f.Evidence,
		Note:        f.Note,
		Supports:    f.Supports,
		HasOwner:    kind.Owner != nil,
		HasAccounts: kind.Accounts != nil,
	}
}
