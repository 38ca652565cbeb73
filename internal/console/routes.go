package console

import (
	"net/http"

	"sluice/internal/authz"
)

// need is what a route asks for before its handler runs: open, person, or an authz.Action in the default workspace.
type need string

const (
	// open routes are for everybody.
	open need = "open"
	// person routes are for everybody who is signed in.
	person need = "person"
)

// route is one row of the map.
type route struct {
	method, pattern string
	run             func(*visit) error
	needs           need
}

// routes is the whole map of the console.
func (c *Console) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	const (
		seeApps, manageApps, publish = need(authz.AppView), need(authz.AppManage), need(authz.FlowPublish)
		seePeople, addPeople         = need(authz.UserView), need(authz.UserCreate)
		changePeople, disablePeople  = need(authz.UserUpdate), need(authz.UserDisable)
		resetPeople                  = need(authz.UserReset)
	)
	return []route{
		{get, "/setup", showSetup, open},
		{post, "/setup", claimSetup, open},
		{get, "/setup/apps", showSetupApps, manageApps},
		{post, "/setup/apps", addSetupApp, manageApps},

		{get, "/login", showLogin, open},
		{post, "/login", signIn, open},
		{get, "/logout", showLogout, open},
		{post, "/logout", signOut, open},
		{get, "/reset", showReset, open},
		{post, "/reset", reset, open},
		{get, "/enter", enter, person},
		{post, "/theme", setTheme, open},
		{get, "/favicon.ico", favicon, open},
		{get, "/robots.txt", robots, open},

		{get, "/", showHome, person},
		{get, "/account", showAccount, person},
		{post, "/account/password", changePassword, person},
		{post, "/account/sessions/end-others", endOtherSessions, person},
		{post, "/account/sessions/{id}/end", endSession, person},

		{get, "/admin/apps", showApps, seeApps},
		{get, "/admin/apps/new", showNewApp, manageApps},
		{post, "/admin/apps/find", findApp, manageApps},
		{post, "/admin/apps", addApp, manageApps},
		{get, "/admin/apps/{id}", showApp, seeApps},
		{post, "/admin/apps/{id}/check", checkApp, seeApps},
		{post, "/admin/apps/{id}/connect", connectApp, manageApps},
		{get, "/admin/apps/{id}/verify", showVerify, manageApps},
		{post, "/admin/apps/{id}/verify", markVerified, manageApps},
		{post, "/admin/apps/{id}/flows", publishFlow, publish},
		{post, "/admin/apps/{id}/flows/{flow}/unpublish", unpublishFlow, publish},
		{get, "/admin/apps/{id}/remove", showRemoveApp, manageApps},
		{post, "/admin/apps/{id}/remove", removeApp, manageApps},

		{get, "/admin/people", showPeople, seePeople},
		{post, "/admin/people", addPerson, addPeople},
		{get, "/admin/people/new", showNewPerson, addPeople},
		{get, "/admin/people/{id}", showPerson, seePeople},
		{post, "/admin/people/{id}/role", setRole, changePeople},
		{post, "/admin/people/{id}/superuser", setSuperuser, changePeople},
		{post, "/admin/people/{id}/active", setActive, disablePeople},
		{post, "/admin/people/{id}/reset-link", makeResetLink, resetPeople},
	}
}
