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
		return "everybody; no cookie is read"
	}
	return "everybody who is signed in"
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
	return slices.Concat(tokenRoutes(), meRoutes(), keyRoutes(), userRoutes(), workspaceRoutes(), vaultRoutes(), roleRoutes(), appRoutes(), connectionRoutes(), signInRoutes(), mailRoutes(), auditRoutes())
}

func tokenRoutes() []route {
	return []route{
		{post, "/auth/token", anybody(), "createTokens", "Sign a program in with a person's password, for an access token and a refresh token", answers(createTokens)},
		{post, "/auth/refresh", anybody(), "refreshTokens", "The next pair of tokens for a refresh token, which counts once", answers(refreshTokens)},
		{post, "/auth/revoke", anybody(), "revokeTokens", "End the session of a refresh token (RFC 7009); of an unknown one too this says that it is done", answers(revokeTokens)},
		{post, "/auth/logout", person(), "logout", "End the session of the access token that this comes with, at once and on all nodes", done(logout)},
	}
}

func meRoutes() []route {
	return []route{
		{get, "/me", person(), "getMe", "Who am I, and where do I work", answers(getMe)},
		{patch, "/me", person(), "updateMe", "Change one's own full name", answers(updateMe)},
		{post, "/me/email", person(), "changeEmail", "Begin a change of one's own e-mail address; both ends confirm it by a link", done(changeEmail)},
		{post, "/me/email/verification", person(), "verifyEmail", "Have a link mailed that proves one's own address", done(verifyEmail)},
		{put, "/me/password", person(), "changePassword", "Change one's own password; all other sessions end", done(changePassword)},
		{put, "/me/workspace", person(), "switchWorkspace", "Work in another workspace from now on", done(switchWorkspace)},
		{get, "/me/sessions", person(), "listMySessions", "One's own sessions, last used first", answers(listMySessions)},
		{del, "/me/sessions/{session}", person(), "endMySession", "End one of one's own sessions at once", done(endMySession)},
		{post, "/me/sessions/end-others", person(), "endMyOtherSessions", "End all of one's own sessions but this one", done(endMyOtherSessions)},
		{get, "/me/factors", person(), "listMyFactors", "One's own second factors", answers(listMyFactors)},
		{post, "/me/factors/totp", person(), "beginTOTP", "A secret for an authenticator app; not in force until it is confirmed", created(beginTOTP)},
		{post, "/me/factors/totp/confirm", person(), "confirmTOTP", "Put the authenticator app in force with a code that it shows", answers(confirmTOTP)},
		{del, "/me/factors/totp", person(), "removeTOTP", "Remove one's own authenticator app", done(removeTOTP)},
		{post, "/me/factors/passkeys/options", person(), "offerPasskey", "Begin to make a passkey", created(offerPasskey)},
		{post, "/me/factors/passkeys", person(), "addPasskey", "Store the passkey that the browser has made", created(addPasskey)},
		{get, "/me/factors/passkeys/{passkey}", person(), "getMyPasskey", "One of one's own passkeys", answers(getMyPasskey)},
		{patch, "/me/factors/passkeys/{passkey}", person(), "renamePasskey", "Rename one of one's own passkeys", done(renamePasskey)},
		{del, "/me/factors/passkeys/{passkey}", person(), "removePasskey", "Remove one of one's own passkeys", done(removePasskey)},
		{post, "/me/factors/recovery-codes", person(), "newRecoveryCodes", "A new set of recovery codes; the former ones stop working", created(newRecoveryCodes)},
		{get, "/me/confirmation", person(), "listProofs", "How one can prove again that it is oneself", answers(listProofs)},
		{post, "/me/confirmation/passkey-options", person(), "offerProof", "Begin to prove that with a passkey", created(offerProof)},
		{post, "/me/confirmation", person(), "confirm", "Prove again that it is oneself; dangerous acts ask for it (RFC 9470)", done(confirm)},
		{get, "/me/identities", person(), "listMyIdentities", "One's own accounts at identity providers", answers(listMyIdentities)},
		{del, "/me/identities/{provider}", person(), "unlinkIdentity", "Unlink one's own account at an identity provider", done(unlinkIdentity)},
		{get, "/me/rights", person(), "listMyRights", "What one may do in a workspace, and by which policies", answers(listMyRights)},
	}
}

func keyRoutes() []route {
	return []route{
		{get, "/keys", person(), "listKeys", "One's own API keys, newest first", answers(listKeys)},
		{post, "/keys", person(), "createKey", "Make an API key for oneself; it is shown once", created(createKey)},
		{get, "/keys/{key}", person(), "getKey", "One of one's own API keys", answers(getKey)},
		{patch, "/keys/{key}", person(), "updateKey", "Change one of one's own API keys", answers(updateKey)},
		{post, "/keys/{key}/rotate", person(), "rotateKey", "Give an API key a new secret; the former one may work for a while", answers(rotateKey)},
		{del, "/keys/{key}", person(), "revokeKey", "End one of one's own API keys at once, with its streams", done(revokeKey)},
		{get, "/workspaces/{workspace}/keys", workspace(authz.KeyManage), "listWorkspaceKeys", "Everybody's API keys of a workspace, newest first", answers(listWorkspaceKeys)},
		{get, "/workspaces/{workspace}/keys/{key}", workspace(authz.KeyManage), "getWorkspaceKey", "An API key of a workspace", answers(getWorkspaceKey)},
		{patch, "/workspaces/{workspace}/keys/{key}", workspace(authz.KeyManage), "updateWorkspaceKey", "Change the name, networks, limits or end of an API key of a workspace", answers(updateWorkspaceKey)},
		{del, "/workspaces/{workspace}/keys/{key}", workspace(authz.KeyManage), "revokeWorkspaceKey", "End an API key of a workspace at once", done(revokeWorkspaceKey)},
	}
}

func userRoutes() []route {
	return []route{
		{get, "/users", installation(authz.UserView), "listUsers", "People by username, with search", answers(listUsers)},
		{post, "/users", installation(authz.UserCreate), "createUser", "Add a person, with a password or a one-time link that sets it", created(createUser)},
		{get, "/users/{user}", installation(authz.UserView), "getUser", "One person", answers(getUser)},
		{patch, "/users/{user}", installation(authz.UserUpdate), "updateUser", "Change one thing of a person: names, role, superuser or active", answers(updateUser)},
		{del, "/users/{user}", installation(authz.UserDelete), "deleteUser", "Delete a person for good; what they own goes to an heir", done(deleteUser)},
		{post, "/users/{user}/reset-link", installation(authz.UserReset), "createResetLink", "A one-time link with which the person sets a new password", created(createResetLink)},
		{get, "/users/{user}/rights", installation(authz.UserView), "listRights", "What a person may do in a workspace, and by which policies", answers(listRights)},
		{get, "/users/{user}/factors", installation(authz.UserView), "listFactors", "A person's second factors", answers(listFactors)},
		{del, "/users/{user}/factors", installation(authz.UserReset), "removeFactors", "Take all second factors from a person who has lost them", done(removeFactors)},
		{get, "/users/{user}/identities", installation(authz.UserView), "listIdentities", "A person's accounts at identity providers", answers(listIdentities)},
		{get, "/users/{user}/sessions", installation(authz.SessionView), "listSessions", "A person's sessions, last used first", answers(listSessions)},
		{del, "/users/{user}/sessions", installation(authz.SessionEnd), "endSessions", "End all sessions of a person at once", done(endSessions)},
	}
}

func workspaceRoutes() []route {
	return []route{
		{get, "/workspaces", person(), "listWorkspaces", "The workspaces that one may see", answers(listWorkspaces)},
		{post, "/workspaces", installation(authz.WorkspaceCreate), "createWorkspace", "Add a workspace; its creator becomes its admin", created(createWorkspace)},
		{get, "/workspaces/{workspace}", workspace(authz.WorkspaceView), "getWorkspace", "One workspace", answers(getWorkspace)},
		{patch, "/workspaces/{workspace}", workspace(authz.WorkspaceManage), "updateWorkspace", "Change one thing of a workspace: its name or what it asks of second factors", done(updateWorkspace)},
		{del, "/workspaces/{workspace}", installation(authz.WorkspaceCreate), "deleteWorkspace", "Delete an empty workspace", done(deleteWorkspace)},
		{get, "/workspaces/{workspace}/members", workspace(authz.WorkspaceView), "listMembers", "The people of a workspace by username", answers(listMembers)},
		{put, "/workspaces/{workspace}/members/{user}", workspace(authz.MemberManage), "setMemberRole", "Give somebody a role in a workspace", done(setMemberRole)},
		{del, "/workspaces/{workspace}/members/{user}", workspace(authz.MemberManage), "removeMember", "Take somebody out of a workspace", done(removeMember)},
		{get, "/workspaces/{workspace}/invitations", workspace(authz.MemberManage), "listInvitations", "The open invitations, newest first", answers(listInvitations)},
		{post, "/workspaces/{workspace}/invitations", workspace(authz.MemberManage), "invite", "Invite somebody by e-mail address; who has an account is added at once", created(invite)},
		{post, "/workspaces/{workspace}/invitations/{invitation}/renew", workspace(authz.MemberManage), "renewInvitation", "A new link for an open invitation, mailed again", answers(renewInvitation)},
		{del, "/workspaces/{workspace}/invitations/{invitation}", workspace(authz.MemberManage), "revokeInvitation", "Take an open invitation back", done(revokeInvitation)},
	}
}

func roleRoutes() []route {
	return []route{
		{get, "/roles", person(), "listRoles", "The built-in roles and the custom ones", answers(listRoles)},
		{post, "/roles", installation(authz.RoleManage), "createRole", "Make a role from permissions", created(createRole)},
		{get, "/roles/{role}", person(), "getRole", "One role", answers(getRole)},
		{put, "/roles/{role}", installation(authz.RoleManage), "updateRole", "Change a custom role; it counts on the next request of everybody who holds it", done(updateRole)},
		{del, "/roles/{role}", installation(authz.RoleManage), "deleteRole", "Delete a custom role that nobody holds", done(deleteRole)},
		{get, "/permissions", person(), "listPermissions", "The permissions that roles are made from", answers(listPermissions)},
	}
}

func appRoutes() []route {
	return []route{
		{get, "/apps", person(), "listApps", "The apps that one may open", answers(listApps)},
		{post, "/apps/look", apps(authz.AppManage), "lookAtApp", "Find out what runs at an address, without adding it", answers(lookAtApp)},
		{post, "/apps", apps(authz.AppManage), "addApp", "Connect a builder", created(addApp)},
		{get, "/apps/{app}", apps(authz.AppView), "getApp", "One app with its health", answers(getApp)},
		{post, "/apps/{app}/owner", apps(authz.AppManage), "connectApp", "Give Sluice the builder's owner account, or have one registered", done(connectApp)},
		{post, "/apps/{app}/check", apps(authz.AppView), "checkApp", "Look at an app now", answers(checkApp)},
		{get, "/apps/{app}/workspaces", apps(authz.AppView), "listAppWorkspaces", "The workspaces in which an app is used", answers(listAppWorkspaces)},
		{put, "/apps/{app}/workspaces/{workspace}", installation(authz.WorkspaceManage), "offerApp", "Let the people of a workspace use an app", done(offerApp)},
		{del, "/apps/{app}/workspaces/{workspace}", installation(authz.WorkspaceManage), "withdrawApp", "End the use of an app in a workspace; what it has made there stays", done(withdrawApp)},
		{get, "/apps/{app}/unowned", apps(authz.ObjectAdopt), "listUnownedObjects", "What the builder has and no workspace owns; nobody sees it until it is adopted", answers(listUnownedObjects)},
		{post, "/apps/{app}/adoptions", apps(authz.ObjectAdopt), "adoptObjects", "Give objects that nobody owns to a workspace", created(adoptObjects)},
		{get, "/apps/{app}/exposure", apps(authz.AppView), "getExposure", "Whether the builder can be reached around Sluice", answers(getExposure)},
		{post, "/apps/{app}/verified", apps(authz.AppManage), "markVerified", "Note that the way through Sluice has been seen to work", done(markVerified)},
		{del, "/apps/{app}", apps(authz.AppManage), "removeApp", "Disconnect an app", answers(removeApp)},
		{get, "/apps/{app}/flows", apps(authz.AppView), "listPublishedFlows", "The flows that are open to strangers, oldest first", answers(listPublishedFlows)},
		{put, "/apps/{app}/flows/{flow}", apps(authz.FlowPublish), "publishFlow", "Open a flow to people who are not signed in", done(publishFlow)},
		{del, "/apps/{app}/flows/{flow}", apps(authz.FlowPublish), "unpublishFlow", "Close a flow to people who are not signed in", done(unpublishFlow)},
	}
}

func signInRoutes() []route {
	return []route{
		{get, "/sign-in", installation(authz.SignInManage), "getSignIn", "How people sign in", answers(getSignIn)},
		{put, "/sign-in", installation(authz.SignInManage), "setSignIn", "Say who may sign in with a password; superusers always may", done(setSignIn)},
		{get, "/providers", installation(authz.SignInManage), "listProviders", "The identity providers by name", answers(listProviders)},
		{post, "/providers", installation(authz.SignInManage), "addProvider", "Add an identity provider", created(addProvider)},
		{get, "/providers/{provider}", installation(authz.SignInManage), "getProvider", "One identity provider", answers(getProvider)},
		{patch, "/providers/{provider}", installation(authz.SignInManage), "updateProvider", "Change an identity provider; what is left out stays", answers(updateProvider)},
		{del, "/providers/{provider}", installation(authz.SignInManage), "removeProvider", "Remove an identity provider with its links; accounts stay", done(removeProvider)},
		{post, "/providers/{provider}/check", installation(authz.SignInManage), "checkProvider", "Ask the provider now and say what was found", answers(checkProvider)},
	}
}

func mailRoutes() []route {
	return []route{
		{get, "/mail", installation(authz.MailManage), "getMailStatus", "Whether there is a mail server, and what waits", answers(getMailStatus)},
		{post, "/mail/test", installation(authz.MailManage), "sendTestMail", "Send a mail at once and see the conversation with the server", answers(sendTestMail)},
		{get, "/mail/outbox", installation(authz.MailManage), "listMails", "The mails of the last month, newest first", answers(listMails)},
		{post, "/mail/outbox/{mail}/retry", installation(authz.MailManage), "retryMail", "Send a waiting or failed mail now", done(retryMail)},
		{post, "/mail/outbox/{mail}/discard", installation(authz.MailManage), "discardMail", "Give up a waiting or failed mail", done(discardMail)},
		{get, "/mail/previews", installation(authz.MailManage), "listPreviews", "The kinds of mail that there are", answers(listPreviews)},
		{get, "/mail/previews/{kind}", installation(authz.MailManage), "getPreview", "A mail with made-up content, in the operator's words where there is a template", answers(getPreview)},
	}
}

func auditRoutes() []route {
	return []route{
		{get, "/audit", installation(authz.SystemView), "listAudit", "The audit record from a position on, oldest first", answers(listAudit)},
		{get, "/audit/verify", installation(authz.SystemView), "verifyAudit", "Walk the whole chain of the audit record", answers(verifyAudit)},
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
		Security:    security,
		OperationID: rt.id, Method: rt.method, Path: rt.path, Summary: rt.summary, Tags: []string{tag}, Description: "Who may: " + rt.needs.words() + ".",
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
