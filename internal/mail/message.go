package mail

import "time"

// Message is one email to one person. Only the structs of this package implement it.
type Message interface {
	// Kind is the email's stable name, such as "password-reset".
	Kind() string
	parts() parts
}

// parts are the data of a message for the shared layout. The templates of its kind contain the
// rest.
type parts struct {
	subject string
	name    string    // the person to greet; may be empty
	link    string    // the only link to open; may be empty
	label   string    // the label of the link
	expires time.Time // when the link expires; zero for links that do not
}

// PasswordReset contains the link that sets a new password. It is sent only to the address of an
// account.
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

// EmailChangeConfirm notifies one of the two addresses of a change of address. The link leads to a
// page that confirms the change or, at the old address, cancels it.
type EmailChangeConfirm struct {
	Name               string
	OldEmail, NewEmail string
	// ToOld is true for the email to the old address.
	ToOld   bool
	Link    string
	Expires time.Time
}

// WorkspaceInvite invites a person without an account.
type WorkspaceInvite struct {
	WorkspaceName string
	// InvitedBy is a person's name. It may be empty.
	InvitedBy    string
	RegisterLink string
	Expires      time.Time
}

// AddedToWorkspace informs a person with an account that they now belong to a workspace. Its link
// contains no token.
type AddedToWorkspace struct {
	Name          string
	WorkspaceName string
	// AddedBy is a person's name. It may be empty.
	AddedBy       string
	DashboardLink string
}

// AccountCreated informs a person about their new account, with the link that sets its first
// password.
type AccountCreated struct {
	Name     string
	Username string
	Link     string
	Expires  time.Time
}

// PasswordChanged is the notice after a change of password. Its link contains no token.
type PasswordChanged struct {
	Name string
	At   time.Time
	// IP is the address that the change came from. It may be empty.
	IP string
	// ResetPage is the page for requesting a new password.
	ResetPage string
}

// FactorAdded is the notice after a second factor was set up. Its link contains no token.
type FactorAdded struct {
	Name string
	// Factor is the added factor, as at the beginning of a sentence: "An authenticator app".
	Factor string
	At     time.Time
	// IP is the address that the change came from. It may be empty.
	IP string
	// AccountPage is the page that lists the factors.
	AccountPage string
}

// FactorRemoved is the notice after a second factor was removed. Its link contains no token.
type FactorRemoved struct {
	Name string
	// Factor is the removed factor, as at the beginning of a sentence. All means that every second
	// factor of the account was removed.
	Factor string
	All    bool
	// By is the admin who removed it; "" if the person did.
	By string
	At time.Time
	// IP is the address that the change came from. It may be empty.
	IP string
	// AccountPage is the page that lists the factors.
	AccountPage string
}

// RecoveryUsed is the notice after a recovery code was used. Its link contains no token.
type RecoveryUsed struct {
	Name string
	// Left is how many codes are left.
	Left int
	At   time.Time
	// IP is the address that the code came from. It may be empty.
	IP string
	// AccountPage is the page for creating new codes.
	AccountPage string
}

// CodesGuessed is the warning that someone who knows the password is guessing codes. Its link
// contains no token.
type CodesGuessed struct {
	Name string
	// Guesses is the number of consecutive wrong codes.
	Guesses int
	At      time.Time
	// IP is the address that the last one came from. It may be empty.
	IP string
	// AccountPage is the page for changing the password.
	AccountPage string
}

// TokenReplayed is the warning that a program's refresh token was used twice, and that its session
// was revoked. Its link contains no token.
type TokenReplayed struct {
	Name string
	At   time.Time
	// IP is the address of the second use, Program the name that the client sent. Both may be
	// empty.
	IP, Program string
	// AccountPage is the page that lists the sessions.
	AccountPage string
}

// Test is the mail that an admin sends to see whether mail works.
type Test struct{ At time.Time }

// Kind is "password-reset".
func (PasswordReset) Kind() string { return "password-reset" }

// Kind is "verify-email".
func (VerifyEmail) Kind() string { return "verify-email" }

// Kind is "email-change-old" or "email-change-new", depending on the recipient.
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
	return parts{
		subject: "Set a new password",
		name:    m.Name,
		link:    m.Link,
		label:   "Set a new password",
		expires: m.Expires,
	}
}

func (m VerifyEmail) parts() parts {
	return parts{
		subject: "Confirm your email address",
		name:    m.Name,
		link:    m.Link,
		label:   "Confirm this address",
		expires: m.Expires,
	}
}

func (m EmailChangeConfirm) parts() parts {
	if m.ToOld {
		return parts{
			subject: "Your email address is about to change",
			name:    m.Name,
			link:    m.Link,
			label:   "Confirm or cancel",
			expires: m.Expires,
		}
	}
	return parts{
		subject: "Confirm your new email address",
		name:    m.Name,
		link:    m.Link,
		label:   "Confirm this address",
		expires: m.Expires,
	}
}

func (m WorkspaceInvite) parts() parts {
	return parts{
		subject: "Invitation to the workspace " + m.WorkspaceName,
		link:    m.RegisterLink,
		label:   "Accept the invitation",
		expires: m.Expires,
	}
}

func (m AddedToWorkspace) parts() parts {
	return parts{
		subject: "You were added to the workspace " + m.WorkspaceName,
		name:    m.Name,
		link:    m.DashboardLink,
		label:   "Open the workspace",
	}
}

func (m AccountCreated) parts() parts {
	return parts{
		subject: "Your new account",
		name:    m.Name,
		link:    m.Link,
		label:   "Set your password",
		expires: m.Expires,
	}
}

func (m PasswordChanged) parts() parts {
	return parts{subject: "Your password was changed", name: m.Name, link: m.ResetPage, label: "Set another password"}
}

func (m FactorAdded) parts() parts {
	return parts{
		subject: "A second factor was added to your account",
		name:    m.Name,
		link:    m.AccountPage,
		label:   "See your second factors",
	}
}

func (m FactorRemoved) parts() parts {
	return parts{
		subject: "A second factor was removed from your account",
		name:    m.Name,
		link:    m.AccountPage,
		label:   "See your second factors",
	}
}

func (m RecoveryUsed) parts() parts {
	return parts{
		subject: "One of your recovery codes was used",
		name:    m.Name,
		link:    m.AccountPage,
		label:   "See your second factors",
	}
}

func (m CodesGuessed) parts() parts {
	return parts{
		subject: "Someone signed in with your password but failed the second step",
		name:    m.Name,
		link:    m.AccountPage,
		label:   "Change your password",
	}
}

func (m TokenReplayed) parts() parts {
	return parts{
		subject: "A program's token was used twice",
		name:    m.Name,
		link:    m.AccountPage,
		label:   "See your sessions",
	}
}

func (m Test) parts() parts { return parts{subject: "Test mail from Sluice"} }
