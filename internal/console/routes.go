package console

import (
	"net/http"
	"slices"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login"
)

// need is the requirement of a route, checked before its handler runs: open, person, or an
// authz.Action. Routes into a workspace require person: only the capability knows which workspace
// it is, and it answers "not found" for other people's workspaces.
type need string

const (
	// open routes are for everyone.
	open need = "open"
	// person routes are for everyone who is signed in.
	person need = "person"
)

// resource is the resource for a need's action. Apps are in the default workspace; everything else
// belongs to the whole installation.
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
func (p *pages) routes() []route {
	return slices.Concat(
		p.doorRoutes(),
		p.ownRoutes(),
		p.appRoutes(),
		p.forwardAuthRoutes(),
		p.connectionRoutes(),
		p.peopleRoutes(),
		p.workspaceRoutes(),
		p.vaultRoutes(),
		p.keyRoutes(),
		p.secretRoutes(),
		p.systemRoutes(),
	)
}

// backChannelPath is where a provider's server reports sign-outs. It is the only form that no
// Sluice page sends.
const backChannelPath = "/sso/{slug}/back-channel-logout"

const get, post = http.MethodGet, http.MethodPost

// doorRoutes are for people who are not signed in yet.
func (p *pages) doorRoutes() []route {
	return []route{
		{get, "/setup", p.links.showSetup, open},
		{post, "/setup", p.links.claimSetup, open},
		{get, "/setup/apps", p.apps.showSetupApps, need(authz.AppManage)},
		{post, "/setup/apps", p.apps.addSetupApp, need(authz.AppManage)},
		{get, "/login", p.signIn.showLogin, open},
		{post, "/login", p.signIn.signIn, open},
		{get, "/login/done", p.signIn.loginDone, open},
		{get, "/login/verify", p.attempts.atStep(login.StepVerify, p.steps.showVerifyStep), open},
		{post, "/login/verify", p.attempts.atStep(login.StepVerify, p.steps.resendVerification), open},
		{post, "/login/passkey", p.signIn.signInByPasskey, open},
		{post, "/login/passkey/options", p.signIn.offerPasskey, open},
		{get, "/login/factor", p.attempts.atStep(login.StepFactor, p.steps.showFactorStep), open},
		{post, "/login/factor", p.attempts.atStep(login.StepFactor, p.steps.proveFactor), open},
		{post, "/login/factor/passkey", p.steps.offerFactorPasskey, open},
		{get, "/login/enrol", p.attempts.atStep(login.StepEnrol, p.steps.showEnrolStep), open},
		{post, "/login/enrol", p.attempts.atStep(login.StepEnrol, p.steps.enrolStep), open},
		{post, "/login/enrol/passkey", p.steps.offerEnrolPasskey, open},
		{get, "/login/invitation", p.attempts.atStep(login.StepInvitation, p.steps.showInvitationStep), open},
		{post, "/login/invitation", p.attempts.atStep(login.StepInvitation, p.steps.answerInvitations), open},
		{get, "/sso/{slug}", p.sso.beginSSO, open},
		{get, "/sso/{slug}/callback", p.sso.finishSSO, open},
		{post, backChannelPath, p.sso.backChannelLogout, open},
		{get, "/logout", p.signIn.showLogout, open},
		{post, "/logout", p.signIn.signOut, open},
		{get, "/signup", p.joining.showSignUp, open},
		{post, "/signup", p.joining.signUp, open},
		{get, "/forgot", p.joining.showForgot, open},
		{post, "/forgot", p.joining.forgot, open},
		{get, "/reset", p.links.showReset, open},
		{post, "/reset", p.links.reset, open},
		{get, "/verify", p.links.showVerifyEmail, open},
		{post, "/verify", p.links.verifyEmail, open},
		{get, "/email", p.links.showEmailChange, open},
		{post, "/email", p.links.confirmEmailChange, open},
		{post, "/email/cancel", p.links.cancelEmailChange, open},
		{get, "/invite", p.joining.showInvite, open},
		{post, "/invite", p.joining.acceptInvite, open},
		{get, "/enter", p.signIn.enter, person},
		{post, "/theme", setTheme, open},
		{get, "/favicon.ico", favicon, open},
		{get, "/robots.txt", robots, open},
	}
}

// ownRoutes are for everyone who is signed in.
func (p *pages) ownRoutes() []route {
	return []route{
		{get, "/", p.home.showHome, person},
		{get, "/flows", p.flows.showFlows, person},
		{post, "/workspace", p.account.switchWorkspace, person},
		{get, "/confirm", p.confirm.showConfirm, person},
		{post, "/confirm", p.confirm.confirmed, person},
		{post, "/confirm/passkey", p.confirm.offerConfirmPasskey, person},
		{get, "/account", p.account.showAccount, person},
		{post, "/account/name", p.account.changeName, person},
		{post, "/account/email", p.account.changeEmail, person},
		{post, "/account/verify", p.account.sendVerification, person},
		{get, "/account/devices", p.account.showDevices, person},
		{get, "/account/workspaces", p.account.showOwnWorkspaces, person},
		{get, securityPath, p.security.showSecurity, person},
		{post, "/account/password", p.security.changePassword, person},
		{post, "/account/security/passkeys", p.security.addPasskey, person},
		{post, "/account/security/passkeys/options", p.security.offerOwnPasskey, person},
		{post, "/account/security/passkeys/{id}/name", p.security.renamePasskey, person},
		{post, "/account/security/passkeys/{id}/remove", p.security.removePasskey, person},
		{post, "/account/security/app", p.security.setUpApp, person},
		{post, "/account/security/app/remove", p.security.removeTOTPApp, person},
		{post, "/account/security/recovery", p.security.newRecoveryCodes, person},
		{post, "/account/security/links/{slug}", p.security.linkIdentity, person},
		{post, "/account/security/links/{provider}/unlink", p.security.unlinkIdentity, person},
		{post, "/account/sessions/end-others", p.account.endOtherSessions, person},
		{post, "/account/sessions/{id}/end", p.account.endSession, person},
	}
}

func (p *pages) appRoutes() []route {
	const see, manage, publish = need(authz.AppView), need(authz.AppManage), need(authz.FlowPublish)
	return []route{
		{get, "/admin/apps", p.apps.showApps, see},
		{get, "/admin/apps/new", p.apps.showNewApp, manage},
		{post, "/admin/apps/find", p.apps.findApp, manage},
		{post, "/admin/apps", p.apps.addApp, manage},
		{get, "/admin/apps/{id}", p.apps.showApp, see},
		{post, "/admin/apps/{id}/check", p.apps.checkApp, see},
		{post, "/admin/apps/{id}/connect", p.apps.connectApp, manage},
		{get, "/admin/apps/{id}/verify", p.verify.showVerify, manage},
		{post, "/admin/apps/{id}/verify", p.verify.markVerified, manage},
		{post, "/admin/apps/{id}/flows", p.apps.publishFlow, publish},
		{post, "/admin/apps/{id}/flows/{flow}/unpublish", p.apps.unpublishFlow, publish},
		{post, "/admin/apps/{id}/workspaces", p.apps.offerApp, need(authz.WorkspaceManage)},
		{post, "/admin/apps/{id}/workspaces/{workspace}/withdraw", p.apps.withdrawApp, need(authz.WorkspaceManage)},
		{get, "/admin/apps/{id}/unowned", p.adoption.showUnowned, need(authz.ObjectAdopt)},
		{post, "/admin/apps/{id}/unowned", p.adoption.adopt, need(authz.ObjectAdopt)},
		{get, "/admin/apps/{id}/remove", p.apps.showRemoveApp, manage},
		{post, "/admin/apps/{id}/remove", p.apps.removeApp, manage},
	}
}

// peopleRoutes are accounts and roles, which belong to the installation.
func (p *pages) peopleRoutes() []route {
	const see, update, roles = need(authz.UserView), need(authz.UserUpdate), need(authz.RoleManage)
	return []route{
		{get, "/admin", p.people.showPeople, see},
		{get, "/admin/people", p.people.showPeople, see},
		{post, "/admin/people", p.people.addPerson, need(authz.UserCreate)},
		{get, "/admin/people/new", p.people.showNewPerson, need(authz.UserCreate)},
		{get, "/admin/people/{id}", p.people.showPerson, see},
		{post, "/admin/people/{id}/names", p.people.setNames, update},
		{post, "/admin/people/{id}/role", p.people.setRole, update},
		{post, "/admin/people/{id}/superuser", p.people.setSuperuser, update},
		{post, "/admin/people/{id}/active", p.people.setActive, need(authz.UserDisable)},
		{post, "/admin/people/{id}/reset-link", p.people.createResetLink, need(authz.UserReset)},
		{post, "/admin/people/{id}/reset-mail", p.people.mailResetLink, need(authz.UserReset)},
		{post, "/admin/people/{id}/factors/remove", p.people.removeFactors, need(authz.UserReset)},
		{post, "/admin/people/{id}/sessions/end", p.people.endAllSessions, need(authz.SessionEnd)},
		{get, "/admin/people/{id}/rights", p.people.showRights, see},
		{get, "/admin/people/{id}/remove", p.people.showRemovePerson, need(authz.UserDelete)},
		{post, "/admin/people/{id}/remove", p.people.removePerson, need(authz.UserDelete)},
		{get, "/admin/roles", p.roles.showRoles, roles},
		{post, "/admin/roles", p.roles.addRole, roles},
		{get, "/admin/roles/new", p.roles.showNewRole, roles},
		{get, "/admin/roles/{id}", p.roles.showRole, roles},
		{post, "/admin/roles/{id}", p.roles.changeRole, roles},
		{post, "/admin/roles/{id}/delete", p.roles.deleteRole, roles},
	}
}

func (p *pages) workspaceRoutes() []route {
	return []route{
		{get, "/workspaces", p.workspaces.showWorkspaces, person},
		{post, "/workspaces", p.workspaces.addWorkspace, need(authz.WorkspaceCreate)},
		{get, "/workspaces/new", p.workspaces.showNewWorkspace, need(authz.WorkspaceCreate)},
		{get, "/workspaces/{id}", p.workspaces.showWorkspace, person},
		{post, "/workspaces/{id}/name", p.workspaces.renameWorkspace, person},
		{post, "/workspaces/{id}/second-factor", p.workspaces.setSecondFactor, person},
		{post, "/workspaces/{id}/delete", p.workspaces.deleteWorkspace, need(authz.WorkspaceCreate)},
		{post, "/workspaces/{id}/members/{person}/role", p.workspaces.setMemberRole, person},
		{post, "/workspaces/{id}/members/{person}/remove", p.workspaces.removeMember, person},
		{post, "/workspaces/{id}/invitations", p.workspaces.invite, person},
		{post, "/workspaces/{id}/invitations/{invitation}/renew", p.workspaces.renewInvitation, person},
		{post, "/workspaces/{id}/invitations/{invitation}/revoke", p.workspaces.revokeInvitation, person},
	}
}

func (p *pages) systemRoutes() []route {
	const mails, signs = need(authz.MailManage), need(authz.SignInManage)
	return []route{
		{get, signInPath, p.settings.showSignIn, signs},
		{post, signInPath, p.settings.addProvider, signs},
		{post, signInPath + "/passwords", p.settings.setPasswordPolicy, signs},
		{get, signInPath + "/new", p.settings.showNewProvider, signs},
		{get, signInPath + "/{id}", p.settings.showProvider, signs},
		{post, signInPath + "/{id}", p.settings.changeProvider, signs},
		{post, signInPath + "/{id}/check", p.settings.checkProvider, signs},
		{get, signInPath + "/{id}/test", p.settings.showReport, signs},
		{post, signInPath + "/{id}/test", p.settings.testProvider, signs},
		{get, signInPath + "/{id}/remove", p.settings.showRemoveProvider, signs},
		{post, signInPath + "/{id}/remove", p.settings.removeProvider, signs},
		{get, "/admin/mail", p.mail.showMail, mails},
		{post, "/admin/mail/test", p.mail.testMail, mails},
		{get, "/admin/mail/previews/{kind}", p.mail.showMailPreview, mails},
		{get, "/admin/mail/previews/{kind}/html", p.mail.showMailHTML, mails},
		{post, "/admin/mail/{id}/retry", p.mail.retryMail, mails},
		{post, "/admin/mail/{id}/discard", p.mail.discardMail, mails},
	}
}

// vaultRoutes are the pages of a workspace's vault.
func (p *pages) vaultRoutes() []route {
	const base = "/workspaces/{id}/vault"
	return []route{
		{get, base, p.vault.showVault, person},
		{post, base, p.vault.addCredential, person},
		{get, base + "/new", p.vault.showNewCredential, person},
		{get, base + "/{credential}", p.vault.showCredential, person},
		{post, base + "/{credential}", p.vault.changeCredential, person},
		{post, base + "/{credential}/rotate", p.vault.rotateCredential, person},
		{post, base + "/{credential}/put", p.vault.putCredential, person},
		{post, base + "/{credential}/refresh", p.vault.refreshCredential, person},
		{post, base + "/{credential}/withdraw", p.vault.withdrawCredential, person},
		{post, base + "/{credential}/delete", p.vault.deleteCredential, person},
	}
}

// keyRoutes manage API keys. A key appears only in the answer that creates it: in no address,
// redirect or later page.
func (p *pages) keyRoutes() []route {
	return []route{
		{get, keysPath, p.keys.showKeys, person},
		{post, keysPath, p.keys.createKey, person},
		{get, keysPath + "/new", p.keys.showNewKey, person},
		{get, keysPath + "/{id}", p.keys.showKey, person},
		{post, keysPath + "/{id}", p.keys.changeKey, person},
		{post, keysPath + "/{id}/rotate", p.keys.rotateKey, person},
		{get, keysPath + "/{id}/revoke", p.keys.showRevokeKey, person},
		{post, keysPath + "/{id}/revoke", p.keys.revokeKey, person},
		{get, "/workspaces/{id}/keys", p.keys.showWorkspaceKeys, person},
		{get, "/workspaces/{id}/keys/{key}/revoke", p.keys.showRevokeWorkspaceKey, person},
		{post, "/workspaces/{id}/keys/{key}/revoke", p.keys.revokeWorkspaceKey, person},
	}
}

// secretRoutes manage Sluice's own secrets. They never show a secret.
func (p *pages) secretRoutes() []route {
	const manage = need(authz.SecretManage)
	return []route{
		{get, secretsPath, p.secrets.showSecrets, manage},
		{get, secretsPath + "/{id}/rotate", p.secrets.showRotateSecret, manage},
		{post, secretsPath + "/{id}/rotate", p.secrets.rotateSecret, manage},
	}
}

// connectionRoutes connect a builder with its own accounts and give its users to workspaces.
func (p *pages) connectionRoutes() []route {
	const manage, adopt = need(authz.AppManage), need(authz.ObjectAdopt)
	return []route{
		{get, "/admin/apps/{id}/connection", p.connection.showConnection, manage},
		{post, "/admin/apps/{id}/connection", p.connection.changeConnection, manage},
		{get, "/admin/apps/{id}/builder-users", p.adoption.showBuilderUsers, adopt},
		{get, "/admin/apps/{id}/builder-users/{user}", p.adoption.showBuilderUser, adopt},
		{post, "/admin/apps/{id}/builder-users/{user}", p.adoption.adoptBuilderUser, adopt},
		{post, "/admin/apps/{id}/builder-users/{user}/release", p.adoption.releaseBuilderUser, adopt},
	}
}

// forwardAuthRoutes connect apps that the operator's own reverse proxy forwards to.
func (p *pages) forwardAuthRoutes() []route {
	const manage = need(authz.AppManage)
	return []route{
		{get, "/admin/apps/new/forward-auth", p.forwardAuth.showNewForwardAuth, manage},
		{post, "/admin/apps/forward-auth", p.forwardAuth.addForwardAuth, manage},
		{get, "/admin/apps/{id}/forward-auth", p.forwardAuth.showForwardAuth, manage},
		{post, "/admin/apps/{id}/forward-auth", p.forwardAuth.fillForwardAuth, manage},
	}
}
