package console

import (
	"sluice/internal/identity"
	"sluice/internal/web"
)

var secondFactorOptions = []web.Option{
	{Value: identity.FactorOff, Label: "Left to the people", Hint: "Everybody decides for themselves."},
	{Value: identity.FactorEncouraged, Label: "Encouraged", Hint: "Who has none is offered to set one up at each sign-in, and may put it off."},
	{Value: identity.FactorRequired, Label: "Required", Hint: "The workspace is closed to sessions without one, from the next request. Who has none sets one up at the next sign-in."},
}

// withoutFactorText says whom a stricter choice concerns.
func (v workspacePageView) withoutFactorText() string {
	switch v.WithoutFactor {
	case 0:
		return "All active members have one."
	case 1:
		return "1 active member has none yet."
	}
	return web.Count(v.WithoutFactor, "active member") + " have none yet."
}

func setSecondFactor(x *visit) error {
	id := x.r.PathValue("id")
	if err := x.c.cfg.People.SetSecondFactor(x.r.Context(), x.who, id, x.value("second_factor")); err != nil {
		return x.workspaceMistake(id, err, func(*workspacePageView) {})
	}
	return x.done("/workspaces/"+id, "second-factor")
}

// closedHere reports whether the workspace that the visitor works in is closed to this session, because it has proven no second factor.
func (x *visit) closedHere() bool {
	if x.who.Strong {
		return false
	}
	for _, w := range x.c.cfg.People.WorkspacesOf(x.who) {
		if w.ID == x.who.Workspace {
			return w.SecondFactor == identity.FactorRequired
		}
	}
	return false
}
