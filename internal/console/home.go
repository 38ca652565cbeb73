package console

import (
	"cmp"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/web"
)

// homePages are the start page.
type homePages struct {
	views  *appViews
	apps   *app.Apps
	people *identity.People
}

// showHome is for superusers, who have tasks to see to. Everyone else starts with the flows.
func (p *homePages) showHome(x *visit) error {
	if !x.may(authz.SystemView) {
		x.redirect("/flows")
		return nil
	}
	v := homeView{Name: cmp.Or(firstWord(x.who.DisplayName), x.who.Name), Products: p.apps.Kinds.Products()}
	for _, a := range p.apps.Visible(x.who) {
		v.Apps = append(v.Apps, p.views.appOf(x, a))
	}
	apps := p.apps.All()
	v.Elsewhere = len(v.Apps) == 0 && len(apps) > 0
	var err error
	if v.Checks, err = p.checklist(x, apps); err != nil {
		return err
	}
	return x.render(http.StatusOK, homePage(x.frame("Home", "/"), v))
}

// checklist lists what a new installation still needs before a team can work with it.
func (p *homePages) checklist(x *visit, apps []*app.App) ([]check, error) {
	_, people, err := p.people.List(x.r.Context(), x.who, identity.Filter{Limit: 1})
	if err != nil {
		return nil, err
	}
	connect, verify := appChecks(apps)
	second := check{
		Title:  "Add a second person",
		Detail: "Give each person a separate account and role.",
		Done:   people > 1,
		Href:   "/admin/people/new",
		Action: "Add a person",
	}
	if second.Done {
		second.Detail = web.Count(people, "account")
	}
	return []check{
		{Title: "Create the first admin", Detail: "Signed in as " + x.who.Name + ".", Done: true},
		connect, verify, second, addressCheck(x),
	}, nil
}

func appChecks(apps []*app.App) (connect, verify check) {
	connect = check{
		Title:  "Connect an app",
		Detail: "Tell Sluice where your builder runs.",
		Href:   "/admin/apps/new",
		Action: "Connect",
	}
	verify = check{
		Title:  "Verify that it works",
		Detail: "See what the builder learns about you, and whether streams work.",
	}
	for _, a := range apps {
		switch {
		case a.ForwardAuth():
			connect.Done, connect.Detail = true, a.Name+" at "+a.PublicURL
			if verify.Href == "" || !a.SeenAt.IsZero() {
				verify.Href, verify.Action = "/admin/apps/"+a.ID+"/forward-auth", "View"
				verify.Done = verify.Done || !a.SeenAt.IsZero()
			}
		case a.Pending:
			connect.Detail, connect.Href, connect.Action = a.Name+" has not answered yet.", "/admin/apps/"+a.ID, "View"
		case a.NeedsOwner:
			connect.Detail = a.Name + " still needs its owner account."
			connect.Href = "/admin/apps/" + a.ID
			connect.Action = "Finish"
		default:
			connect.Done, connect.Detail = true, a.Name+" at "+a.Upstream.String()
			if verify.Href == "" || !a.VerifiedAt.IsZero() {
				verify.Href, verify.Action = "/admin/apps/"+a.ID+"/verify", "Verify"
				verify.Done = verify.Done || !a.VerifiedAt.IsZero()
			}
		}
		if connect.Done && verify.Done {
			break
		}
	}
	return connect, verify
}

// addressCheck checks the address by which people reach Sluice. On a laptop there is nothing to
// fix.
func addressCheck(x *visit) check {
	origin := x.origin()
	c := check{Title: "Serve it on https", Detail: "People reach Sluice at " + origin + "."}
	switch {
	case strings.HasPrefix(origin, "https://"):
		c.Done = true
	case loopback(origin):
		c.Optional = true
		c.Detail = "Only this machine uses " + origin + ", which needs no https. For a team, put Sluice behind " +
			"https and set APP_URL to that address."
	default:
		c.Failed = true
		c.Detail = "Passwords and flows cross the network unencrypted at " + origin + ". Put Sluice behind https and " +
			"set APP_URL to that address."
	}
	return c
}

// loopback reports whether only this machine can reach an origin.
func loopback(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	name := u.Hostname()
	addr, err := netip.ParseAddr(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && addr.Unmap().IsLoopback()
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}
