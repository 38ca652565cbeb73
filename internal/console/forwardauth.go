package console

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"time"

	forwardauth "sluice/deploy/forward-auth"
	"sluice/internal/app"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// forwardAuthPages connect apps that the operator's own reverse proxy forwards to.
type forwardAuthPages struct {
	views *appViews
	apps  *app.Apps
	trust web.Trust
	// listens returns where a reverse proxy on this machine reaches Sluice.
	listens    func() string
	mainOrigin func(requestHost string) string
}

// newForwardAuthView is the form for an app behind a reverse proxy.
type newForwardAuthView struct {
	Form appForm
	// Products names the products that Sluice recognizes.
	Products      string
	Problem, Next string
}

// forwardAuthView is the configuration for the reverse proxy, and whether it works.
type forwardAuthView struct {
	App appView
	// Products names the products that Sluice recognizes.
	Products string
	// Gate and Runs are where the reverse proxy reaches Sluice and the app.
	Gate, Runs string
	Wrong      wrong
	Snippets   []forwardauth.Snippet
	// Asked is when the reverse proxy last asked; zero for never.
	Asked, Now time.Time
	// Untrusted reports that Sluice believes no proxy at all. Shared is Sluice's own address if it
	// is on the app's host name.
	Untrusted bool
	Shared    string
}

func (v forwardAuthView) path() string { return "/admin/apps/" + v.App.ID + "/forward-auth" }

func (p *forwardAuthPages) showNewForwardAuth(x *visit) error {
	v := newForwardAuthView{Products: p.apps.Kinds.Products()}
	return x.render(
		http.StatusOK,
		newForwardAuthPage(x.frame("Connect an app behind a reverse proxy", "/admin/apps"), v),
	)
}

// addForwardAuth connects the app and redirects to the configuration for the reverse proxy.
func (p *forwardAuthPages) addForwardAuth(x *visit) error {
	form := formOf(x)
	a, err := p.apps.Manager.Add(
		x.r.Context(),
		x.who,
		app.Spec{Mode: app.ModeForwardAuth, Name: form.Name, PublicURL: form.PublicURL},
	)
	if err == nil {
		return x.done("/admin/apps/"+a.ID+"/forward-auth", "forward-auth")
	}
	m, ok := formMistake(err, "name", "public_url")
	if !ok {
		return err
	}
	form.Wrong = m.Wrong
	return x.render(m.status, newForwardAuthPage(
		x.frame("Connect an app behind a reverse proxy", "/admin/apps"),
		newForwardAuthView{Form: form, Products: p.apps.Kinds.Products(), Problem: m.Text, Next: m.Next},
	))
}

// behindProxy returns the app of the route if a reverse proxy asks about it.
func (p *forwardAuthPages) behindProxy(x *visit) (*app.App, error) {
	a, err := p.views.find(x)
	if err == nil && !a.ForwardAuth() {
		err = problem.Newf(problem.NotFound, "Sluice itself forwards to %s.", a.Name).WithNext("Open the app's page.")
	}
	return a, err
}

func (p *forwardAuthPages) showForwardAuth(x *visit) error {
	a, err := p.behindProxy(x)
	if err != nil {
		return err
	}
	return p.renderForwardAuth(x, http.StatusOK, a, forwardAuthView{Gate: p.listens(), Runs: "127.0.0.1:8080"})
}

// fillForwardAuth shows the configuration with other addresses, and stores none of them. It takes
// no link, so that no one can be sent to a configuration with another person's addresses.
func (p *forwardAuthPages) fillForwardAuth(x *visit) error {
	a, err := p.behindProxy(x)
	if err != nil {
		return err
	}
	v := forwardAuthView{Gate: x.value("gate"), Runs: x.value("runs"), Wrong: wrong{}}
	for _, field := range []struct {
		name string
		to   *string
	}{{"gate", &v.Gate}, {"runs", &v.Runs}} {
		host := forwardauth.HostOf(*field.to)
		if !app.PlainHost(host) {
			v.Wrong[field.name] = "This is not a host with a port. Use the form 127.0.0.1:8080."
			continue
		}
		*field.to = host
	}
	status := http.StatusOK
	if len(v.Wrong) > 0 {
		status = http.StatusBadRequest
	}
	return p.renderForwardAuth(x, status, a, v)
}

func (p *forwardAuthPages) renderForwardAuth(x *visit, status int, a *app.App, v forwardAuthView) error {
	v.Products = p.apps.Kinds.Products()
	v.App, v.Asked, v.Now = p.views.appOf(x, a), p.apps.LastAsked(a), x.now()
	v.Untrusted = len(p.trust.Proxies) == 0 && p.trust.Hops == 0
	_, host, _ := strings.Cut(a.PublicURL, "://")
	if main := p.mainOrigin(host); sameName(main, a.PublicURL) {
		v.Shared = main
	}
	if len(v.Wrong) == 0 {
		v.Snippets = forwardauth.Fill(forwardauth.Addresses{Public: a.PublicURL, Gate: v.Gate, App: v.Runs})
	}
	page := x.frame("Reverse proxy of "+a.Name, "/admin/apps")
	page.Scripts = []string{"htmx.min.js"}
	return x.render(status, forwardAuthPage(page, v))
}

// sameName reports whether two origins have the same host name, ignoring their ports.
func sameName(a, b string) bool {
	first, err1 := url.Parse(a)
	second, err2 := url.Parse(b)
	return cmp.Or(err1, err2) == nil && strings.EqualFold(first.Hostname(), second.Hostname())
}
