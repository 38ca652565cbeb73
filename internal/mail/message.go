package mail

import "time"

// Message is one mail to one person. The structs of this package are all there are.
type Message interface {
	// Kind is the mail's stable name, such as "password-reset".
	Kind() string
	parts() parts
}

// parts are what the shared layout needs of a message; the rest is in the templates of its kind.
type parts struct {
	subject string
	name    string    // who is greeted; may be empty
	link    string    // the one thing to open; may be empty
	label   string    // what the link does
	expires time.Time // when the link stops to work; zero for links that do not
}

// PasswordReset holds the link that sets a new password. It is only sent to an address that an account has.
type PasswordReset struct {
	Name    string
	Link    string
	Expires time.Time
}

// VerifyEmail asks the owner of an address to confirm it.
type VerifyEmail struct {
	Name    string
	Email   string
	Link    string
	Expires time.Time
}

// EmailChangeConfirm tells one end of a change of address. The link leads to a page on which the change is confirmed, or, at the old address, cancelled.
type EmailChangeConfirm struct {
	Name               string
	OldEmail, NewEmail string
	// ToOld is true for the mail to the old address.
	ToOld   bool
	Link    string
	Expires time.Time
}

// WorkspaceInvite invites somebody who has no account yet.
type WorkspaceInvite struct {
	WorkspaceName string
	// InvitedBy is a person's name; may be empty.
	InvitedBy    string
	RegisterLink string
	Expires      time.Time
}

// AddedToWorkspace tells somebody who has an account that a workspace is open to them. Its link is no token.
type AddedToWorkspace struct {
	Name          string
	WorkspaceName string
	// AddedBy is a person's name; may be empty.
	AddedBy       string
	DashboardLink string
}

// AccountCreated tells somebody that an account was made for them, with the link that sets its first password.
type AccountCreated struct {
	Name     string
	Username string
	Link     string
	Expires  time.Time
}

// PasswordChanged is the notice after a change of password. Its link is no token.
type PasswordChanged struct {
	Name string
	At   time.Time
	// IP is the address that the change came from; may be empty.
	IP string
	// ResetPage is where a new password can be asked for.
	ResetPage string
}

// FactorAdded is the notice after a second factor was set up. Its link is no token.
type FactorAdded struct {
	Name string
	// Factor is what was added, as it begins a sentence: "An authenticator app".
	Factor string
	At     time.Time
	// IP is the address that the change came from; may be empty.
	IP string
	// AccountPage is where the factors are listed.
	AccountPage string
}

// FactorRemoved is the notice after a second factor was removed. Its link is no token.
type FactorRemoved struct {
	Name string
	// Factor is what was removed, as it begins a sentence; All tells that it was every second factor of the account.
	Factor string
	All    bool
	// By is the admin who removed it; "" for the person.
	By string
	At time.Time
	// IP is the address that the change came from; may be empty.
	IP string
	// AccountPage is where the factors are listed.
	AccountPage string
}

// RecoveryUsed is the notice after a recovery code was used. Its link is no token.
type RecoveryUsed struct {
	Name string
	// Left is how many codes are left.
	Left int
	At   time.Time
	// IP is the address that the code came from; may be empty.
	IP string
	// AccountPage is where new codes are made.
	AccountPage string
}

// CodesGuessed is the warning that somebody who knows the password is trying codes. Its link is no token.
type CodesGuessed struct {
	Name string
	// Guesses is how many codes in a row were not right.
	Guesses int
	At      time.Time
	// IP is the address that the last one came from; may be empty.
	IP string
	// AccountPage is where the password is changed.
	AccountPage string
}

// TokenReplayed is the warning that a program's refresh token was used twice, and that its session was ended. Its link is no token.
type TokenReplayed struct {
	Name string
	At   time.Time
	// IP is the address that the second use came from, Program what called itself so there; both may be empty.
	IP, Program string
	// AccountPage is where the sessions are listed.
	AccountPage string
}

// Test is the mail that an admin sends to see whether mail works.
type Test struct{ At time.Time }

// Kind is "password-reset".
func (PasswordReset) Kind() string { return "password-reset" }

// Kind is "verify-email".
func (VerifyEmail) Kind() string { return "verify-email" }

// Kind is "email-change-old" or "email-change-new", by the end that it goes to.
func (m EmailChangeConfirm) Kind() string {
	if m.ToOld {
		return "email-change-old"
	}
	return "email-change-new"
}

// Kind is "workspace-invite".
func (WorkspaceInvite) Kind() string { return "workspace-invite" }

// Kind is "added-to-workspace".
func (AddedToWorkspace) Kind() string { return "added-to-workspace" }

// Kind is "account-created".
func (AccountCreated) Kind() string { return "account-created" }

// Kind is "password-changed".
func (PasswordChanged) Kind() string { return "password-changed" }

// Kind is "factor-added".
func (FactorAdded) Kind() string { return "factor-added" }

// Kind is "factor-removed".
func (FactorRemoved) Kind() string { return "factor-removed" }

// Kind is "recovery-used".
func (RecoveryUsed) Kind() string { return "recovery-used" }

// Kind is "codes-guessed".
func (CodesGuessed) Kind() string { return "codes-guessed" }

// Kind is "token-replayed".
func (TokenReplayed) Kind() string { return "token-replayed" }

// Kind is "test".
func (Test) Kind() string { return "test" }

func (m PasswordReset) parts() parts {
	return parts{subject: "Set a new password", name: m.Name, link: m.Link, label: "Set a new password", expires: m.Expires}
}

func (m VerifyEmail) parts() parts {
	return parts{subject: "Confirm your e-mail address", name: m.Name, link: m.Link, label: "Confirm this address", expires: m.Expires}
}

func (m EmailChangeConfirm) parts() parts {
	if m.ToOld {
		return parts{subject: "Your e-mail address is about to change", name: m.Name, link: m.Link, label: "Confirm or cancel", expires: m.Expires}
	}
	return parts{subject: "Confirm your new e-mail address", name: m.Name, link: m.Link, label: "Confirm this address", expires: m.Expires}
}

func (m WorkspaceInvite) parts() parts {
	return parts{subject: "Invitation to the workspace " + m.WorkspaceName, link: m.RegisterLink, label: "Accept the invitation", expires: m.Expires}
}

func (m AddedToWorkspace) parts() parts {
	return parts{subject: "You were added to the workspace " + m.WorkspaceName, name: m.Name, link: m.DashboardLink, label: "Open the workspace"}
}

func (m AccountCreated) parts() parts {
	return parts{subject: "Your new account", name: m.Name, link: m.Link, label: "Set your password", expires: m.Expires}
}

func (m PasswordChanged) parts() parts {
	return parts{subject: "Your password was changed", name: m.Name, link: m.ResetPage, label: "Set another password"}
}

func (m FactorAdded) parts() parts {
	return parts{subject: "A second factor was added to your account", name: m.Name, link: m.AccountPage, label: "See your second factors"}
}

func (m FactorRemoved) parts() parts {
	return parts{subject: "A second factor was removed from your account", name: m.Name, link: m.AccountPage, label: "See your second factors"}
}

func (m RecoveryUsed) parts() parts {
	return parts{subject: "A recovery code of yours was used", name: m.Name, link: m.AccountPage, label: "See your second factors"}
}

func (m CodesGuessed) parts() parts {
	return parts{subject: "Somebody knows your password, and tries codes", name: m.Name, link: m.AccountPage, label: "Change your password"}
}

func (m TokenReplayed) parts() parts {
	return parts{subject: "A program's token was used twice", name: m.Name, link: m.AccountPage, label: "See your sessions"}
}

func (m Test) parts() parts { return parts{subject: "Test mail from Sluice"} }
