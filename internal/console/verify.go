package console

import (
	"net/http"
	"strings"

	"sluice/internal/app"
	"sluice/internal/web"
)

// verifyPages let an admin check that an app works behind Sluice.
type verifyPages struct {
	views *appViews
	apps  *app.Apps
	trust web.Trust
}

// showVerify shows everything that Sluice itself can see: about the current request, the builder,
// and the ways around Sluice. The script verify.js checks at the app's own address what only the
// browser can see there.
func (p *verifyPages) showVerify(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	if a.ForwardAuth() {
		x.redirect("/admin/apps/" + a.ID + "/forward-auth")
		return nil
	}
	health, err := p.apps.Monitor.Check(x.r.Context(), x.who, a.ID)
	if err != nil {
		return err
	}
	exposure, err := p.apps.Monitor.Exposure(x.r.Context(), x.who, a.ID)
	if err != nil {
		return err
	}
	if now, ok := p.apps.ByID(a.ID); ok {
		a = now
	}
	v := verifyView{
		App:       p.views.appOf(x, a),
		Setup:     x.r.URL.Query().Get("setup") != "",
		Verified:  !a.VerifiedAt.IsZero(),
		Checks:    appVerdicts(p.views.appOf(x, a), health, exposure),
		Person:    x.who.Name,
		Rights:    x.rightsText(),
		IP:        x.event.Peer,
		Chain:     p.trust.Chain(x.r),
		ProxyHint: proxyHint(x),
	}
	if x.who.DisplayName != "" {
		v.Person = x.who.DisplayName + " (" + x.who.Name + ")"
	}
	x.policy.Connect = []string{v.App.Origin}
	page := x.frame("Verify "+a.Name, "/admin/apps")
	page.Scripts = []string{"verify.js"}
	return x.render(http.StatusOK, verifyPage(page, v))
}

func appVerdicts(a appView, h app.Health, e app.Exposure) []check {
	answers := check{
		Title:  "The builder responds",
		Detail: a.ProductVersion() + " at " + a.Upstream,
		Done:   h.OK || h.OwnerState != "",
	}
	if !answers.Done {
		answers.Failed, answers.Detail = true, strings.TrimSpace(h.Text+" "+h.Next)
	}
	signedIn := check{
		Title:  "Sluice is signed in to the builder",
		Detail: "It holds one session and uses it on behalf of the people you let in.",
		Done:   a.Bridge == bridgeReady,
	}
	switch a.Bridge {
	case bridgeHeaders:
		signedIn = check{
			Title:  "The builder learns who each person is",
			Detail: "By headers; it has no accounts that Sluice knows of.",
			Done:   true,
		}
	case bridgeNeedsOwner, bridgeNeedsLogin:
		signedIn.Failed = true
		signedIn.Detail = "Sluice has no owner account of the builder."
		signedIn.Href = "/admin/apps/" + a.ID
		signedIn.Action = "Connect"
	case bridgeBroken:
		signedIn.Failed, signedIn.Detail = true, strings.TrimSpace(h.Text+" "+h.Next)
	}
	around := check{
		Title:  "No way around Sluice",
		Detail: strings.TrimSpace(e.Text + " " + e.Next),
		Done:   e.State == "closed",
		Failed: e.State == "open",
	}
	if e.State == "unknown" {
		around.Title = "Is there a way around Sluice?"
	}
	return []check{answers, signedIn, around}
}

// proxyHint detects a proxy that is not configured. Every person then has the proxy's address, and
// failed guesses are limited for all of them at once.
func proxyHint(x *visit) string {
	if x.r.Header.Get("X-Forwarded-For") == "" || x.event.Peer != web.Peer(x.r).String() {
		return ""
	}
	return "Your request carries X-Forwarded-For, but " + x.event.Peer + " is not configured as a proxy, so Sluice " +
		"takes that address as yours. If it is your proxy, set NUMBER_OF_PROXIES to the number of proxies in front " +
		"of Sluice."
}

// markVerified records that an admin has seen the checks succeed.
func (p *verifyPages) markVerified(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	if err := p.apps.Manager.MarkVerified(x.r.Context(), x.who, a.ID); err != nil {
		return err
	}
	if !web.WantsPage(x.r) {
		x.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return x.done("/admin/apps/"+a.ID, "verified")
}
