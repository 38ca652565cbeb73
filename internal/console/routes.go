package console

import (
	"net/http"
	"slices"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login"
)

// need is what a route asks for before its handler runs: open, person, or an authz.Action. What lies in a workspace asks for person: only the
// capability knows which workspace it is, and answers "not found" for those of others.
type need string

const (
	// open routes are for everybody.
	open need = "open"
	// person routes are for everybody who is signed in.
	person need = "person"
)

// resource is what a need's action is asked on: apps lie in the default workspace, all else belongs to the whole installation.
func (n need) resource() authz.Resource {
	switch authz.Action(n) {
	case authz.AppView, authz.AppManage, authz.FlowPublish, authz.ObjectAdopt:
		return authz.Resource{Type: "System", Workspace: identity.DefaultWorkspace}
	}
	return authz.Resource{Type: "System"}
}

// route is one row of the map.
type route struct {
	method, pattern string
	run             func(*visit) error
	needs           need
}

// routes is the whole map of the console.
func (c *Console) routes() []route {
	return slices.Concat(doorRoutes(), ownRoutes(), appRoutes(), forwardAuthRoutes(), langflowRoutes(), peopleRoutes(), workspaceRoutes(), vaultRoutes(), keyRoutes(), secretRoutes(), systemRoutes())
}

// backChannelPath is where a provider's server tells of sign-outs. It is the one form that no page of Sluice's sends.
const backChannelPath = "/sso/{slug}/back-channel-logout"

const get, post = http.MethodGet, http.MethodPost

// doorRoutes are for people who are not in yet.
func doorRoutes() []route {
	return []route{
		{get, "/setup", showSetup, open},
		{post, "/setup", claimSetup, open},
		{get, "/setup/apps", showSetupApps, need(authz.AppManage)},
		{post, "/setup/apps", addSetupApp, need(authz.AppManage)},
		{get, "/login", showLogin, open},
		{post, "/login", signIn, open},
		{get, "/login/done", loginDone, open},
		{get, "/login/verify", atStep(login.StepVerify, showVerifyStep), open},
		{post, "/login/verify", atStep(login.StepVerify, resendVerification), open},
		{post, "/login/passkey", signInByPasskey, open},
		{post, "/login/passkey/options", offerPasskey, open},
		{get, "/login/factor", atStep(login.StepFactor, showFactorStep), open},
		{post, "/login/factor", atStep(login.StepFactor, proveFactor), open},
		{post, "/login/factor/passkey", offerFactorPasskey, open},
		{get, "/login/enrol", atStep(login.StepEnrol, showEnrolStep), open},
		{post, "/login/enrol", atStep(login.StepEnrol, enrolStep), open},
		{post, "/login/enrol/passkey", offerEnrolPasskey, open},
		{get, "/login/invitation", atStep(login.StepInvitation, showInvitationStep), open},
		{post, "/login/invitation", atStep(login.StepInvitation, answerInvitations), open},
		{get, "/sso/{slug}", beginSSO, open},
		{get, "/sso/{slug}/callback", finishSSO, open},
		{post, backChannelPath, backChannelLogout, open},
		{get, "/logout", showLogout, open},
		{post, "/logout", signOut, open},
		{get, "/signup", showSignUp, open},
		{post, "/signup", signUp, open},
		{get, "/forgot", showForgot, open},
		{post, "/forgot", forgot, open},
		{get, "/reset", showReset, open},
		{post, "/reset", reset, open},
		{get, "/verify", showVerifyEmail, open},
		{post, "/verify", verifyEmail, open},
		{get, "/email", showEmailChange, open},
		{post, "/email", confirmEmailChange, open},
		{post, "/email/cancel", cancelEmailChange, open},
		{get, "/invite", showInvite, open},
		{post, "/invite", acceptInvite, open},
		{get, "/enter", enter, person},
		{post, "/theme", setTheme, open},
		{get, "/favicon.ico", favicon, open},
		{get, "/robots.txt", robots, open},
	}
}

// ownRoutes are what everybody who is signed in has.
func ownRoutes() []route {
	return []route{
		{get, "/", showHome, person},
		{get, "/flows", showFlows, person},
		{post, "/workspace", switchWorkspace, person},
		{get, "/confirm", showConfirm, person},
		{post, "/confirm", confirmed, person},
		{post, "/confirm/passkey", offerConfirmPasskey, person},
		{get, "/account", showAccount, person},
		{post, "/account/name", changeName, person},
		{post, "/account/email", changeEmail, person},
		{post, "/account/verify", sendVerification, person},
		{get, "/account/devices", showDevices, person},
		{get, "/account/workspaces", showOwnWorkspaces, person},
		{get, securityPath, showSecurity, person},
		{post, "/account/password", changePassword, person},
		{post, "/account/security/passkeys", addPasskey, person},
		{post, "/account/security/passkeys/options", offerOwnPasskey, person},
		{post, "/account/security/passkeys/{id}/name", renamePasskey, person},
		{post, "/account/security/passkeys/{id}/remove", removePasskey, person},
		{post, "/account/security/app", setUpApp, person},
		{post, "/account/security/app/remove", removeTOTPApp, person},
		{post, "/account/security/recovery", newRecoveryCodes, person},
		{post, "/account/security/links/{slug}", linkIdentity, person},
		{post, "/account/security/links/{provider}/unlink", unlinkIdentity, person},
		{post, "/account/sessions/end-others", endOtherSessions, person},
		{post, "/account/sessions/{id}/end", endSession, person},
	}
}

func appRoutes() []route {
	const see, manage, publish = need(authz.AppView), need(authz.AppManage), need(authz.FlowPublish)
	return []route{
		{get, "/admin/apps", showApps, see},
		{get, "/admin/apps/new", showNewApp, manage},
		{post, "/admin/apps/find", findApp, manage},
		{post, "/admin/apps", addApp, manage},
		{get, "/admin/apps/{id}", showApp, see},
		{post, "/admin/apps/{id}/check", checkApp, see},
		{post, "/admin/apps/{id}/connect", connectApp, manage},
		{get, "/admin/apps/{id}/verify", showVerify, manage},
		{post, "/admin/apps/{id}/verify", markVerified, manage},
		{post, "/admin/apps/{id}/flows", publishFlow, publish},
		{post, "/admin/apps/{id}/flows/{flow}/unpublish", unpublishFlow, publish},
		{post, "/admin/apps/{id}/workspaces", offerApp, need(authz.WorkspaceManage)},
		{post, "/admin/apps/{id}/workspaces/{workspace}/withdraw", withdrawApp, need(authz.WorkspaceManage)},
		{get, "/admin/apps/{id}/unowned", showUnowned, need(authz.ObjectAdopt)},
		{post, "/admin/apps/{id}/unowned", adopt, need(authz.ObjectAdopt)},
		{get, "/admin/apps/{id}/remove", showRemoveApp, manage},
		{post, "/admin/apps/{id}/remove", removeApp, manage},
	}
}

// peopleRoutes are accounts and roles, which belong to the installation.
func peopleRoutes() []route {
	const see, update, roles = need(authz.UserView), need(authz.UserUpdate), need(authz.RoleManage)
	return []route{
		{get, "/admin", showPeople, see},
		{get, "/admin/people", showPeople, see},
		{post, "/admin/people", addPerson, need(authz.UserCreate)},
		{get, "/admin/people/new", showNewPerson, need(authz.UserCreate)},
		{get, "/admin/people/{id}", showPerson, see},
		{post, "/admin/people/{id}/names", setNames, update},
		{post, "/admin/people/{id}/role", setRole, update},
		{post, "/admin/people/{id}/superuser", setSuperuser, update},
		{post, "/admin/people/{id}/active", setActive, need(authz.UserDisable)},
		{post, "/admin/people/{id}/reset-link", makeResetLink, need(authz.UserReset)},
		{post, "/admin/people/{id}/reset-mail", mailResetLink, need(authz.UserReset)},
		{post, "/admin/people/{id}/factors/remove", removeFactors, need(authz.UserReset)},
		{post, "/admin/people/{id}/sessions/end", endAllSessions, need(authz.SessionEnd)},
		{get, "/admin/people/{id}/rights", showRights, see},
		{get, "/admin/people/{id}/remove", showRemovePerson, need(authz.UserDelete)},
		{post, "/admin/people/{id}/remove", removePerson, need(authz.UserDelete)},
		{get, "/admin/roles", showRoles, roles},
		{post, "/admin/roles", addRole, roles},
		{get, "/admin/roles/new", showNewRole, roles},
		{get, "/admin/roles/{id}", showRole, roles},
		{post, "/admin/roles/{id}", changeRole, roles},
		{post, "/admin/roles/{id}/delete", deleteRole, roles},
	}
}

func workspaceRoutes() []route {
	return []route{
		{get, "/workspaces", showWorkspaces, person},
		{post, "/workspaces", addWorkspace, need(authz.WorkspaceCreate)},
		{get, "/workspaces/new", showNewWorkspace, need(authz.WorkspaceCreate)},
		{get, "/workspaces/{id}", showWorkspace, person},
		{post, "/workspaces/{id}/name", renameWorkspace, person},
		{post, "/workspaces/{id}/second-factor", setSecondFactor, person},
		{post, "/workspaces/{id}/delete", deleteWorkspace, need(authz.WorkspaceCreate)},
		{post, "/workspaces/{id}/members/{person}/role", setMemberRole, person},
		{post, "/workspaces/{id}/members/{person}/remove", removeMember, person},
		{post, "/workspaces/{id}/invitations", invite, person},
		{post, "/workspaces/{id}/invitations/{invitation}/renew", renewInvitation, person},
		{post, "/workspaces/{id}/invitations/{invitation}/revoke", revokeInvitation, person},
	}
}

func systemRoutes() []route {
	const mails, signs = need(authz.MailManage), need(authz.SignInManage)
	return []route{
		{get, signInPath, showSignIn, signs},
		{post, signInPath, addProvider, signs},
		{post, signInPath + "/passwords", setPasswordPolicy, signs},
		{get, signInPath + "/new", showNewProvider, signs},
		{get, signInPath + "/{id}", showProvider, signs},
		{post, signInPath + "/{id}", changeProvider, signs},
		{post, signInPath + "/{id}/check", checkProvider, signs},
		{get, signInPath + "/{id}/test", showReport, signs},
		{post, signInPath + "/{id}/test", testProvider, signs},
		{get, signInPath + "/{id}/remove", showRemoveProvider, signs},
		{post, signInPath + "/{id}/remove", removeProvider, signs},
		{get, "/admin/mail", showMail, mails},
		{post, "/admin/mail/test", testMail, mails},
		{get, "/admin/mail/previews/{kind}", showMailPreview, mails},
		{get, "/admin/mail/previews/{kind}/html", showMailHTML, mails},
		{post, "/admin/mail/{id}/retry", retryMail, mails},
		{post, "/admin/mail/{id}/discard", discardMail, mails},
	}
}
