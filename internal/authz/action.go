package authz

// Action is one thing that a principal can do to a resource, such as "flow:run". Its text appears
// in policies, audit entries and denials, so it never changes meaning.
type Action string

// Traffic to a builder, from least to most. No action implies another; policies grant each one to
// roles separately.
const (
	// AppOpen loads the builder's page shell and static files. It does not imply FlowView.
	AppOpen Action = "app:open"
	// FlowView reads flows, executions and messages. It does not imply FlowRun.
	FlowView Action = "flow:view"
	// FlowRun sends a message to a flow and reads the answer.
	FlowRun Action = "flow:run"
	// FlowEdit creates, changes and deletes flows, document stores and similar objects. It does not
	// imply FlowPublish or BuilderCode.
	FlowEdit Action = "flow:edit"
	// FlowPublish opens a flow to people who are not signed in, or changes what they can do with
	// it.
	FlowPublish Action = "flow:publish"
	// BuilderCode stores or runs the caller's code on the builder's host (custom tools, functions,
	// MCP servers).
	BuilderCode Action = "builder:code"
	// BuilderManage reads and changes things that the whole builder shares: credentials, variables,
	// upstream keys, settings.
	BuilderManage Action = "builder:manage"
)

// Sluice's own objects.
const (
	// UserView lists people and shows their details.
	UserView Action = "user:view"
	// UserCreate creates a person.
	UserCreate Action = "user:create"
	// UserUpdate changes a person's names, role or superuser flag.
	UserUpdate Action = "user:update"
	// UserDisable takes or restores a person's access.
	UserDisable Action = "user:disable"
	// UserReset starts a password reset for another person. It never reveals a password.
	UserReset Action = "user:reset"
	// AppView shows connected apps and their health, without secrets.
	AppView Action = "app:view"
	// AppManage connects, verifies, changes and removes apps.
	AppManage Action = "app:manage"
	// SessionView lists the sessions of a person. People can always see their own.
	SessionView Action = "session:view"
	// SessionEnd revokes a session. People can always revoke their own.
	SessionEnd Action = "session:end"
	// AccountUpdate changes the actor's own password and profile, and no one else's.
	AccountUpdate Action = "account:update"
	// AccountFactors adds and removes the actor's own second factors and linked identities, and no
	// one else's.
	AccountFactors Action = "account:factors"
	// AccountSignIn records sign-ins. Policies do not decide it; the password does.
	AccountSignIn Action = "account:sign-in"
	// SetupClaim creates the first admin with the one-time link. Only the link's bearer can do it.
	SetupClaim Action = "setup:claim"
	// UserDelete deletes an account for good.
	UserDelete Action = "user:delete"
	// WorkspaceView shows a workspace and its members.
	WorkspaceView Action = "workspace:view"
	// WorkspaceCreate creates a workspace.
	WorkspaceCreate Action = "workspace:create"
	// WorkspaceManage renames or removes a workspace and sets which apps it uses.
	WorkspaceManage Action = "workspace:manage"
	// MemberManage invites people to a workspace and sets their roles in it. It does not imply
	// UserView or UserUpdate.
	MemberManage Action = "member:manage"
	// RoleManage creates and changes custom roles, which apply in every workspace.
	RoleManage Action = "role:manage"
	// MailManage shows the outbox, sends a test message and retries messages.
	MailManage Action = "mail:manage"
	// ObjectAdopt assigns a builder's objects to a workspace.
	ObjectAdopt Action = "object:adopt"
	// SignInManage changes how people sign in: identity providers, and who can use a password.
	SignInManage Action = "sign-in:manage"
	// SecretManage shows where Sluice's own secrets come from and rotates them. It never reveals
	// one.
	SecretManage Action = "secret:manage"
	// KeyOwn creates, shows, changes and revokes the actor's own API keys in a workspace that they
	// belong to.
	KeyOwn Action = "key:own"
	// KeyManage shows, changes and revokes everyone's API keys of a workspace. It never reveals
	// one, and creates none for another person.
	KeyManage Action = "key:manage"
	// KeyUse records the use of a known key that is refused: it is not accepted from there, or no
	// longer works. Policies do not decide it.
	KeyUse Action = "key:use"
	// CredentialView lists the credentials of a workspace's vault that are shared with the actor's
	// role: names, never values.
	CredentialView Action = "credential:view"
	// CredentialUse puts such a credential into an app, where the builder keeps a copy.
	CredentialUse Action = "credential:use"
	// CredentialManage creates, shares, rotates and deletes all credentials of a workspace. It
	// never reveals one.
	CredentialManage Action = "credential:manage"
	// DataImport imports people, keys, credentials and the ownership of flows from another product.
	DataImport Action = "data:import"
	// SystemView shows the admin home page: checklist, health, warnings.
	SystemView Action = "system:view"
)

// Actions lists every action, for the policy schema and for tests that walk all of them.
func Actions() []Action {
	return []Action{
		AppOpen, FlowView, FlowRun, FlowEdit, FlowPublish, BuilderCode, BuilderManage,
		UserView, UserCreate, UserUpdate, UserDisable, UserReset, AppView, AppManage, SessionView, SessionEnd,
		AccountUpdate, AccountFactors, AccountSignIn, SetupClaim, UserDelete, WorkspaceView, WorkspaceCreate,
		WorkspaceManage, MemberManage, RoleManage, MailManage, ObjectAdopt, SignInManage, SecretManage, KeyOwn,
		KeyManage, KeyUse,
		CredentialView, CredentialUse, CredentialManage, DataImport, SystemView,
	}
}

// describe puts an action into words that fit after "no right to".
func describe(a Action) string {
	words := map[Action]string{
		AppOpen:     "open this builder",
		FlowView:    "see flows",
		FlowRun:     "run flows",
		FlowEdit:    "create or change flows",
		FlowPublish: "publish flows",
		BuilderCode: "run or store code on the builder", BuilderManage: "manage the builder's credentials and settings",
		UserView: "see people", UserCreate: "add people", UserUpdate: "change people", UserDisable: "deactivate or " +
			"activate people",
		UserReset:       "reset other people's passwords",
		AppView:         "see connected apps",
		AppManage:       "manage apps",
		SessionView:     "see these sessions",
		UserDelete:      "delete people",
		WorkspaceView:   "see this workspace",
		WorkspaceCreate: "make workspaces",
		WorkspaceManage: "change this workspace",
		MemberManage:    "manage the members of this workspace",
		RoleManage:      "manage roles",
		MailManage:      "manage mail",
		ObjectAdopt:     "assign objects to workspaces",
		SessionEnd:      "end this session", AccountUpdate: "change this account", AccountFactors: "change how this " +
			"account signs in",
		SignInManage: "change how people sign in", SecretManage: "manage Sluice's secrets",
		KeyOwn: "manage this API key", KeyManage: "manage the API keys of this workspace", KeyUse: "use this API key",
		CredentialView:   "see the credentials of this workspace",
		CredentialUse:    "use this credential",
		CredentialManage: "manage the credentials of this workspace",
		DataImport:       "import data", SystemView: "see the state of the installation",
	}
	if w, ok := words[a]; ok {
		return w
	}
	return "do this (" + string(a) + ")"
}
