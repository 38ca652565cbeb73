package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/authz"
)

// place is where a person must hold a right.
type place uint8

const (
	// nowhere: being signed in is enough; people see and change only their own data.
	nowhere place = iota
	// onInstallation: the right must be held on the whole installation, as superusers do. The route
	// checks it.
	onInstallation
	// inWorkspace and inApp: the right must be held in the workspace or app that the path names.
	// The capability checks it.
	inWorkspace
	inApp
	// toAnybody: the route needs no sign-in, and reads no cookie.
	toAnybody
)

// need is the requirement of a route.
type need struct {
	action authz.Action
	where  place
}

func person() need                     { return need{where: nowhere} }
func installation(a authz.Action) need { return need{a, onInstallation} }
func workspace(a authz.Action) need    { return need{a, inWorkspace} }
func apps(a authz.Action) need         { return need{a, inApp} }
func anybody() need                    { return need{where: toAnybody} }

// words describe, for people, who may use the route.
func (n need) words() string {
	switch n.where {
	case onInstallation:
		return "superusers (" + string(n.action) + " on the installation)"
	case inWorkspace:
		return string(n.action) + " in the workspace"
	case inApp:
		return string(n.action) + " on the app"
	case toAnybody:
		return "everyone; no cookie is read"
	}
	return "everyone who is signed in"
}

// route is one row of the map.
type route struct {
	method, path string
	needs        need
	// id is the operation's stable name, and summary its one-sentence description.
	id, summary string
	add         func(huma.API, huma.Operation)
}

// The methods, with names short enough to keep each row on one line.
const get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete

// routes is the whole map of the API.
func routes() []route {
	return slices.Concat(
		tokenRoutes(),
		meRoutes(),
		keyRoutes(),
		userRoutes(),
		workspaceRoutes(),
		vaultRoutes(),
		roleRoutes(),
		appRoutes(),
		connectionRoutes(),
		signInRoutes(),
		mailRoutes(),
		auditRoutes(),
	)
}

func tokenRoutes() []route {
	return []route{
		{post, "/auth/token", anybody(), "createTokens",
			"Sign a program in with a person's password, for an access token and a refresh token",
			answers(createTokens)},
		{post, "/auth/refresh", anybody(), "refreshTokens",
			"Exchange a refresh token, once, for the next pair of tokens", answers(refreshTokens)},
		{post, "/auth/revoke", anybody(), "revokeTokens",
			"Revoke the session of a refresh token (RFC 7009); also succeeds for an unknown token",
			answers(revokeTokens)},
		{post, "/auth/logout", person(), "logout",
			"Revoke the session of the request's access token, at once on all nodes", done(logout)},
	}
}

func meRoutes() []route {
	return []route{
		{get, "/me", person(), "getMe", "Your account, session and workspaces", answers(getMe)},
		{patch, "/me", person(), "updateMe", "Change your full name", answers(updateMe)},
		{post, "/me/email", person(), "changeEmail",
			"Start a change of your email address; a link to each address confirms it", done(changeEmail)},
		{post, "/me/email/verification", person(), "verifyEmail",
			"Send a link that confirms your email address", done(verifyEmail)},
		{put, "/me/password", person(), "changePassword",
			"Change your password; all other sessions are signed out", done(changePassword)},
		{put, "/me/workspace", person(), "switchWorkspace", "Switch to another workspace", done(switchWorkspace)},
		{get, "/me/sessions", person(), "listMySessions",
			"Your sessions, most recently used first", answers(listMySessions)},
		{del, "/me/sessions/{session}", person(), "endMySession",
			"Sign out one of your sessions at once", done(endMySession)},
		{post, "/me/sessions/end-others", person(), "endMyOtherSessions",
			"Sign out all your other sessions", done(endMyOtherSessions)},
		{get, "/me/factors", person(), "listMyFactors", "Your second factors", answers(listMyFactors)},
		{post, "/me/factors/totp", person(), "beginTOTP",
			"Offer a secret for an authenticator app; it takes effect when confirmed", created(beginTOTP)},
		{post, "/me/factors/totp/confirm", person(), "confirmTOTP",
			"Confirm the authenticator app with a code that it shows", answers(confirmTOTP)},
		{del, "/me/factors/totp", person(), "removeTOTP", "Remove your authenticator app", done(removeTOTP)},
		{post, "/me/factors/passkeys/options", person(), "offerPasskey",
			"Start to create a passkey", created(offerPasskey)},
		{post, "/me/factors/passkeys", person(), "addPasskey",
			"Store the passkey that the browser created", created(addPasskey)},
		{get, "/me/factors/passkeys/{passkey}", person(), "getMyPasskey",
			"One of your passkeys", answers(getMyPasskey)},
		{patch, "/me/factors/passkeys/{passkey}", person(), "renamePasskey",
			"Rename one of your passkeys", done(renamePasskey)},
		{del, "/me/factors/passkeys/{passkey}", person(), "removePasskey",
			"Remove one of your passkeys", done(removePasskey)},
		{post, "/me/factors/recovery-codes", person(), "newRecoveryCodes",
			"Create a new set of recovery codes; the previous codes stop working", created(newRecoveryCodes)},
		{get, "/me/confirmation", person(), "listProofs",
			"The ways in which you can confirm your identity", answers(listProofs)},
		{post, "/me/confirmation/passkey-options", person(), "offerProof",
			"Start to confirm your identity with a passkey", created(offerProof)},
		{post, "/me/confirmation", person(), "confirm",
			"Confirm your identity; dangerous actions require it (RFC 9470)", done(confirm)},
		{get, "/me/identities", person(), "listMyIdentities",
			"Your accounts at identity providers", answers(listMyIdentities)},
		{del, "/me/identities/{provider}", person(), "unlinkIdentity",
			"Unlink your account at an identity provider", done(unlinkIdentity)},
		{get, "/me/rights", person(), "listMyRights",
			"Your permissions in a workspace, and the policies behind them", answers(listMyRights)},
	}
}

func keyRoutes() []route {
	return []route{
		{get, "/keys", person(), "listKeys", "Your API keys, newest first", answers(listKeys)},
		{post, "/keys", person(), "createKey", "Create an API key for yourself; it is shown once", created(createKey)},
		{get, "/keys/{key}", person(), "getKey", "One of your API keys", answers(getKey)},
		{patch, "/keys/{key}", person(), "updateKey", "Change one of your API keys", answers(updateKey)},
		{post, "/keys/{key}/rotate", person(), "rotateKey",
			"Give an API key a new secret; the previous one can keep working for a while", answers(rotateKey)},
		{del, "/keys/{key}", person(), "revokeKey",
			"Revoke one of your API keys at once, with its streams", done(revokeKey)},
		{get, "/workspaces/{workspace}/keys", workspace(authz.KeyManage), "listWorkspaceKeys",
			"All API keys of a workspace, newest first", answers(listWorkspaceKeys)},
		{get, "/workspaces/{workspace}/keys/{key}", workspace(authz.KeyManage), "getWorkspaceKey",
			"An API key of a workspace", answers(getWorkspaceKey)},
		{patch, "/workspaces/{workspace}/keys/{key}", workspace(authz.KeyManage), "updateWorkspaceKey",
			"Change the name, networks, limits or expiry of an API key of a workspace", answers(updateWorkspaceKey)},
		{del, "/workspaces/{workspace}/keys/{key}", workspace(authz.KeyManage), "revokeWorkspaceKey",
			"Revoke an API key of a workspace at once", done(revokeWorkspaceKey)},
	}
}

func userRoutes() []route {
	return []route{
		{get, "/users", installation(authz.UserView), "listUsers",
			"People by username, with search", answers(listUsers)},
		{post, "/users", installation(authz.UserCreate), "createUser",
			"Add a person, with a password or a one-time link that sets it", created(createUser)},
		{get, "/users/{user}", installation(authz.UserView), "getUser", "One person", answers(getUser)},
		{patch, "/users/{user}", installation(authz.UserUpdate), "updateUser",
			"Change a person: names, role, superuser or active", answers(updateUser)},
		{del, "/users/{user}", installation(authz.UserDelete), "deleteUser",
			"Delete a person for good; what they own goes to an heir", done(deleteUser)},
		{post, "/users/{user}/reset-link", installation(authz.UserReset), "createResetLink",
			"Create a one-time link with which the person sets a new password", created(createResetLink)},
		{get, "/users/{user}/rights", installation(authz.UserView), "listRights",
			"A person's permissions in a workspace, and the policies behind them", answers(listRights)},
		{get, "/users/{user}/factors", installation(authz.UserView), "listFactors",
			"A person's second factors", answers(listFactors)},
		{del, "/users/{user}/factors", installation(authz.UserReset), "removeFactors",
			"Remove all second factors of a person who lost them", done(removeFactors)},
		{get, "/users/{user}/identities", installation(authz.UserView), "listIdentities",
			"A person's accounts at identity providers", answers(listIdentities)},
		{get, "/users/{user}/sessions", installation(authz.SessionView), "listSessions",
			"A person's sessions, most recently used first", answers(listSessions)},
		{del, "/users/{user}/sessions", installation(authz.SessionEnd), "endSessions",
			"Sign out all sessions of a person at once", done(endSessions)},
	}
}

func workspaceRoutes() []route {
	return []route{
		{get, "/workspaces", person(), "listWorkspaces", "The workspaces that you can see", answers(listWorkspaces)},
		{post, "/workspaces", installation(authz.WorkspaceCreate), "createWorkspace",
			"Add a workspace; its creator becomes its admin", created(createWorkspace)},
		{get, "/workspaces/{workspace}", workspace(authz.WorkspaceView), "getWorkspace",
			"One workspace", answers(getWorkspace)},
		{patch, "/workspaces/{workspace}", workspace(authz.WorkspaceManage), "updateWorkspace",
			"Change a workspace's name or its rule for second factors", done(updateWorkspace)},
		{del, "/workspaces/{workspace}", installation(authz.WorkspaceCreate), "deleteWorkspace",
			"Delete an empty workspace", done(deleteWorkspace)},
		{get, "/workspaces/{workspace}/members", workspace(authz.WorkspaceView), "listMembers",
			"The people of a workspace by username", answers(listMembers)},
		{put, "/workspaces/{workspace}/members/{user}", workspace(authz.MemberManage), "setMemberRole",
			"Give a person a role in a workspace", done(setMemberRole)},
		{del, "/workspaces/{workspace}/members/{user}", workspace(authz.MemberManage), "removeMember",
			"Remove a person from a workspace", done(removeMember)},
		{get, "/workspaces/{workspace}/invitations", workspace(authz.MemberManage), "listInvitations",
			"The open invitations, newest first", answers(listInvitations)},
		{post, "/workspaces/{workspace}/invitations", workspace(authz.MemberManage), "invite",
			"Invite a person by email address; a person with an account is added at once", created(invite)},
		{
			post,
			"/workspaces/{workspace}/invitations/{invitation}/renew",
			workspace(authz.MemberManage),
			"renewInvitation",
			"A new link for an open invitation, mailed again",
			answers(renewInvitation),
		},
		{del, "/workspaces/{workspace}/invitations/{invitation}", workspace(authz.MemberManage), "revokeInvitation",
			"Revoke an open invitation", done(revokeInvitation)},
	}
}

func roleRoutes() []route {
	return []route{
		{get, "/roles", person(), "listRoles", "The built-in roles and the custom ones", answers(listRoles)},
		{post, "/roles", installation(authz.RoleManage), "createRole",
			"Create a role from permissions", created(createRole)},
		{get, "/roles/{role}", person(), "getRole", "One role", answers(getRole)},
		{put, "/roles/{role}", installation(authz.RoleManage), "updateRole",
			"Change a custom role; this takes effect with the next request of everyone who has it", done(updateRole)},
		{del, "/roles/{role}", installation(authz.RoleManage), "deleteRole",
			"Delete a custom role that nobody holds", done(deleteRole)},
		{get, "/permissions", person(), "listPermissions",
			"The permissions that roles consist of", answers(listPermissions)},
	}
}

func appRoutes() []route {
	return []route{
		{get, "/apps", person(), "listApps", "The apps that you can open", answers(listApps)},
		{post, "/apps/look", apps(authz.AppManage), "lookAtApp",
			"Detect the product at an address, without adding it", answers(lookAtApp)},
		{post, "/apps", apps(authz.AppManage), "addApp", "Connect a builder", created(addApp)},
		{get, "/apps/{app}", apps(authz.AppView), "getApp", "One app with its health", answers(getApp)},
		{post, "/apps/{app}/owner", apps(authz.AppManage), "connectApp",
			"Give Sluice the builder's owner account, or let it register one", done(connectApp)},
		{post, "/apps/{app}/check", apps(authz.AppView), "checkApp", "Check an app now", answers(checkApp)},
		{get, "/apps/{app}/workspaces", apps(authz.AppView), "listAppWorkspaces",
			"The workspaces in which an app is used", answers(listAppWorkspaces)},
		{put, "/apps/{app}/workspaces/{workspace}", installation(authz.WorkspaceManage), "offerApp",
			"Offer an app to a workspace", done(offerApp)},
		{del, "/apps/{app}/workspaces/{workspace}", installation(authz.WorkspaceManage), "withdrawApp",
			"Withdraw an app from a workspace; objects created there are kept", done(withdrawApp)},
		{get, "/apps/{app}/unowned", apps(authz.ObjectAdopt), "listUnownedObjects",
			"The builder's unassigned objects; they are hidden until they are adopted", answers(listUnownedObjects)},
		{post, "/apps/{app}/adoptions", apps(authz.ObjectAdopt), "adoptObjects",
			"Adopt unassigned objects for a workspace", created(adoptObjects)},
		{get, "/apps/{app}/exposure", apps(authz.AppView), "getExposure",
			"Whether the builder is reachable without Sluice", answers(getExposure)},
		{post, "/apps/{app}/verified", apps(authz.AppManage), "markVerified",
			"Record that the app works through Sluice", done(markVerified)},
		{del, "/apps/{app}", apps(authz.AppManage), "removeApp", "Disconnect an app", answers(removeApp)},
		{get, "/apps/{app}/flows", apps(authz.AppView), "listPublishedFlows",
			"The published flows, oldest first", answers(listPublishedFlows)},
		{put, "/apps/{app}/flows/{flow}", apps(authz.FlowPublish), "publishFlow",
			"Publish a flow: people can run it without signing in", done(publishFlow)},
		{del, "/apps/{app}/flows/{flow}", apps(authz.FlowPublish), "unpublishFlow",
			"Unpublish a flow", done(unpublishFlow)},
	}
}

func signInRoutes() []route {
	return []route{
		{get, "/sign-in", installation(authz.SignInManage), "getSignIn", "How people sign in", answers(getSignIn)},
		{put, "/sign-in", installation(authz.SignInManage), "setSignIn",
			"Choose who can sign in with a password; superusers always can", done(setSignIn)},
		{get, "/providers", installation(authz.SignInManage), "listProviders",
			"The identity providers by name", answers(listProviders)},
		{post, "/providers", installation(authz.SignInManage), "addProvider",
			"Add an identity provider", created(addProvider)},
		{get, "/providers/{provider}", installation(authz.SignInManage), "getProvider",
			"One identity provider", answers(getProvider)},
		{patch, "/providers/{provider}", installation(authz.SignInManage), "updateProvider",
			"Change an identity provider; fields that are left out do not change", answers(updateProvider)},
		{del, "/providers/{provider}", installation(authz.SignInManage), "removeProvider",
			"Remove an identity provider with its links; accounts are kept", done(removeProvider)},
		{post, "/providers/{provider}/check", installation(authz.SignInManage), "checkProvider",
			"Check the provider now and report the findings", answers(checkProvider)},
	}
}

func mailRoutes() []route {
	return []route{
		{get, "/mail", installation(authz.MailManage), "getMailStatus",
			"The state of the mail server, and the waiting mails", answers(getMailStatus)},
		{post, "/mail/test", installation(authz.MailManage), "sendTestMail",
			"Send a test mail at once and return the dialogue with the server", answers(sendTestMail)},
		{get, "/mail/outbox", installation(authz.MailManage), "listMails",
			"The mails of the last month, newest first", answers(listMails)},
		{post, "/mail/outbox/{mail}/retry", installation(authz.MailManage), "retryMail",
			"Send a waiting or failed mail now", done(retryMail)},
		{post, "/mail/outbox/{mail}/discard", installation(authz.MailManage), "discardMail",
			"Discard a waiting or failed mail", done(discardMail)},
		{get, "/mail/previews", installation(authz.MailManage), "listPreviews",
			"The kinds of mail", answers(listPreviews)},
		{get, "/mail/previews/{kind}", installation(authz.MailManage), "getPreview",
			"A mail with sample content, from the operator's template or the built-in one", answers(getPreview)},
	}
}

func auditRoutes() []route {
	return []route{
		{get, "/audit", installation(authz.SystemView), "listAudit",
			"The audit record after a position, oldest first", answers(listAudit)},
		{get, "/audit/verify", installation(authz.SystemView), "verifyAudit",
			"Verify the whole chain of the audit record", answers(verifyAudit)},
	}
}

// needKey is the metadata key under which an operation keeps its need.
const needKey = "need"

func needOf(op *huma.Operation) need { return op.Metadata[needKey].(need) }

// operation returns the route in the form that huma takes.
func (rt route) operation() huma.Operation {
	tag, _, _ := strings.Cut(strings.TrimPrefix(rt.path, "/"), "/")
	var security []map[string][]string
	if rt.needs.where == toAnybody {
		security = []map[string][]string{{}}
	}
	return huma.Operation{
		Security:     security,
		OperationID:  rt.id,
		Method:       rt.method,
		Path:         rt.path,
		Summary:      rt.summary,
		Tags:         []string{tag},
		Description:  "Permitted for: " + rt.needs.words() + ".",
		MaxBodyBytes: maxBody + 1, BodyReadTimeout: bodyTime, RejectUnknownQueryParameters: true,
		Metadata: map[string]any{needKey: rt.needs}, Responses: map[string]*huma.Response{"default": problemResponse()},
	}
}

// output is an answer with a body.
type output[T any] struct{ Body T }

// handle turns a handler into a huma operation.
func handle[I, O any](status int, fn func(*visit, *I) (*O, error)) func(huma.API, huma.Operation) {
	return func(h huma.API, op huma.Operation) {
		op.DefaultStatus = status
		huma.Register(h, op, func(ctx context.Context, in *I) (*O, error) {
			x := ctx.(*visit)
			out, err := fn(x, in)
			if err != nil {
				return nil, &failure{x.mistake(err)}
			}
			return out, nil
		})
	}
}

// answers is for handlers whose answer has a body: 200.
func answers[I, T any](fn func(*visit, *I) (T, error)) func(huma.API, huma.Operation) {
	return withBody(http.StatusOK, fn)
}

// created is for handlers that create something: 201.
func created[I, T any](fn func(*visit, *I) (T, error)) func(huma.API, huma.Operation) {
	return withBody(http.StatusCreated, fn)
}

func withBody[I, T any](status int, fn func(*visit, *I) (T, error)) func(huma.API, huma.Operation) {
	return handle(status, func(x *visit, in *I) (*output[T], error) {
		body, err := fn(x, in)
		return &output[T]{Body: body}, err
	})
}

// done is for handlers that answer only with success: 204.
func done[I any](fn func(*visit, *I) error) func(huma.API, huma.Operation) {
	return handle(http.StatusNoContent, func(x *visit, in *I) (*struct{}, error) { return nil, fn(x, in) })
}
