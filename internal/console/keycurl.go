package console

import (
	"cmp"
	"net/url"
	"strings"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/identity"
)

// curlView is a command that tries a key.
type curlView struct {
	Text string
	// Flow is the name of the flow that it runs; "" if it only shows whose key it is.
	Flow string
	// Elsewhere reports that the visitor's address is outside the key's networks.
	Elsewhere bool
}

// curlOf returns a command that works with a key: it runs a flow that the key may run, or shows
// whose key it is. Without a secret, the command takes the key from the environment.
func (p *keyPages) curlOf(x *visit, k authn.APIKey, secret string) (curlView, error) {
	v := curlView{}
	from := x.clientIP()
	v.Elsewhere = len(k.Networks) > 0
	for _, n := range k.Networks {
		if n.Contains(from.Unmap()) {
			v.Elsewhere = false
		}
	}
	header := ` \` + "\n  -H 'Authorization: Bearer " + secret + "'"
	if secret == "" {
		header = ` \` + "\n" + `  -H "Authorization: Bearer $SLUICE_API_KEY"`
	}
	o, a, err := p.runnable(x, k)
	if err != nil {
		return v, err
	}
	if a == nil {
		v.Text = "curl -sS " + x.origin() + "/api/v1/me" + header
		return v, nil
	}
	v.Flow = cmp.Or(o.Name, "a flow without a name")
	call := a.Kind.RunCall
	v.Text = "curl -sS " + a.Origin(x.r.Host) + call.Path + url.PathEscape(o.ID) + header + ` \` +
		"\n  -H 'Content-Type: application/json'" + ` \` + "\n  -d '" + call.Body + "'"
	return v, nil
}

// runnable finds a flow that the key may run by a call, and its app; nil if it may run none.
func (p *keyPages) runnable(x *visit, k authn.APIKey) (flow.Object, *app.App, error) {
	list, _, err := p.forms.flowsIn(x, k.Workspace)
	if err != nil {
		return flow.Object{}, nil, err
	}
	who, ok := p.people.Principal(k.Owner)
	if !ok {
		return flow.Object{}, nil, nil
	}
	who.KeyID, who.Workspace, who.Strong = k.ID, k.Workspace, true
	who.Scope = &authz.Scope{Workspace: k.Workspace, Actions: k.Scope.Actions, Apps: k.Scope.Apps, Flows: k.Scope.Flows}
	for _, o := range list {
		a, ok := p.apps.ByID(o.App)
		if !ok || a.ForwardAuth() || a.Pending || a.Kind.RunCall == nil || !a.UsedIn(k.Workspace) {
			continue
		}
		res := authz.Resource{
			Type:      "Flow",
			ID:        o.ID,
			App:       o.App,
			Workspace: cmp.Or(o.Workspace, identity.DefaultWorkspace),
		}
		if p.gate.Decide(who, authz.FlowRun, res).Allowed {
			return o, a, nil
		}
	}
	return flow.Object{}, nil, nil
}

func lines(text string) int { return strings.Count(text, "\n") + 1 }
