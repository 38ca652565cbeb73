package console

import (
	"strings"
	"time"

	"github.com/a-h/templ"

	"sluice/internal/authz"
	"sluice/internal/login/factor"
	"sluice/internal/login/sso"
	"sluice/internal/mail"
	"sluice/internal/web"
)

func sampleRoleOptions() []web.Option {
	return []web.Option{
		{Value: "admin", Label: "Admin", Hint: "May do everything in the workspace."},
		{Value: "user", Label: "User", Hint: "Creates and manages flows, and runs them."},
		{Value: "viewer", Label: "Viewer", Hint: "Reads and runs flows."},
		{Value: "x", Label: "Prompt author", Hint: "A custom role with 12 permissions."},
	}
}

func sampleWorkspaceOptions() []web.Option {
	return []web.Option{
		{Value: "default", Label: "Default workspace"},
		{Value: "r", Label: "Research"},
		{Value: "s", Label: "Support and a long name of a department"},
	}
}

func samplePersonPage(u personView) personPageView {
	return personPageView{
		User:     u,
		Now:      sampleNow,
		Form:     nameForm{Username: u.Username, Email: u.Email, Name: u.Name},
		Sessions: sampleSessions(),
		Roles:    sampleRoleOptions(),
		Memberships: []membershipView{
			{"default", "Default workspace", "admin"},
			{"r", "Research", "x"},
		},
		Joinable: sampleWorkspaceOptions()[2:],
		Factors: factor.Set{
			TOTPSince:    sampleNow.Add(-90 * time.Hour),
			RecoveryLeft: 8,
			Passkeys:     []factor.Passkey{{ID: "a", Name: "Work laptop", UsedAt: sampleNow.Add(-3 * time.Minute)}},
		},
		Links: []sso.Link{
			{Provider: "p", ProviderName: "Example Okta", Label: "ann@example.com", UsedAt: sampleNow.Add(-time.Hour)},
		},
	}
}

func peopleSamples() map[string]templ.Component {
	frame := sampleFrame("/admin")
	ann, bob, cid, dora := samplePerson(), samplePeople()[1], samplePeople()[2], samplePeople()[3]
	link := samplePersonPage(cid)
	off := samplePersonPage(bob)
	waiting := samplePersonPage(dora)
	left := samplePersonPage(bob)
	link.Link = "http://127.0.0.1:3000/reset?token=0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3a4b"
	link.LinkExpires = sampleNow.Add(24 * time.Hour)
	off.User.Active = false
	off.Problem = "ann is the last active superuser."
	off.Next = "Give another person the superuser role first."
	off.Memberships = nil
	left.User.Active, left.Left, left.Ended, left.Sessions = false, true, 2, nil
	many := listing{Path: "/admin", Total: 214, Number: 2, Shown: 4}
	return map[string]templ.Component{
		"people": peoplePage(frame, peopleView{listing: many, People: samplePeople(), Now: sampleNow}),
		"people-alone": peoplePage(frame, peopleView{
			listing: listing{Path: "/admin", Total: 1, Number: 1, Shown: 1},
			People:  []personView{ann},
			Now:     sampleNow,
		}),
		"people-none": peoplePage(
			frame,
			peopleView{listing: listing{Path: "/admin", Query: "<zz>", Number: 1}, Now: sampleNow},
		),
		"person-new": newPersonPage(frame, newPersonView{
			Role:       "viewer",
			Active:     true,
			Roles:      sampleRoleOptions(),
			Workspaces: sampleWorkspaceOptions(),
			Workspace:  "default",
			Wrong:      wrong{"username": "This username is taken."},
			Username:   "ann",
		}),
		"person":         personPage(frame, samplePersonPage(ann)),
		"person-link":    personPage(frame, link),
		"person-off":     personPage(frame, off),
		"person-left":    personPage(frame, left),
		"person-waiting": personPage(frame, waiting),
		"person-remove": removePersonPage(
			frame,
			removePersonView{User: bob, Problem: "bob owns 3 objects.", Next: "Choose the new owner."},
		),
		"person-rights": rightsPage(frame, rightsView{
			User:       bob,
			Workspace:  "r",
			Workspaces: sampleWorkspaceOptions(),
			Role:       "Prompt author",
			Groups:     sampleRights(),
			Allowed:    1,
			Total:      2,
		}),
		"account": accountPage(sampleFrame("/account"), accountView{User: ann, Now: sampleNow, Mail: true}),
		"account-email": accountPage(
			sampleFrame("/account"),
			accountView{User: dora, Now: sampleNow, Mail: true, At: "email", NewEmail: "dora@example.org",
				Wrong: wrong{"email_password": "The password is not right."}},
		),
		"account-devices":       devicesPage(sampleFrame("/account"), sampleSessions(), sampleNow),
		"account-workspaces":    ownWorkspacesPage(sampleFrame("/account"), sampleOwnWorkspaces()),
		"account-no-workspaces": ownWorkspacesPage(sampleFrame("/account"), nil),
	}
}

func sampleOwnWorkspaces() []ownWorkspace {
	return []ownWorkspace{
		{ID: "default", Name: "Default workspace", Role: "Admin", Current: true},
		{ID: "r", Name: "Research"},
	}
}

func sampleRights() []rightGroup {
	return []rightGroup{
		{Name: "Chatflows and agentflows", Rights: []rightView{
			{Title: "See chatflows", Name: "chatflows:view", Allowed: true, Why: "role Prompt author"},
			{Title: "Delete chatflows", Name: "chatflows:delete", Why: "no policy permits it"},
		}},
	}
}

func joiningSamples() map[string]templ.Component {
	narrow := web.Page{Title: "Sample"}
	invitation := inviteView{Email: "new@example.com", Workspace: "Research", Role: "User"}
	known, same, other := invitation, invitation, invitation
	known.HasAccount, same.SignedInAs, same.Same, other.SignedInAs = true, "ann", true, "bob"
	return map[string]templ.Component{
		"signup": signUpPage(narrow, signUpView{
			ByMail: true,
			Email:  "new@example.com",
			Wrong:  wrong{"username": "This username or email address is taken. Choose another one."},
		}),
		"signup-wait":    signUpPage(narrow, signUpView{Problem: "Too many attempts.", Wait: 90 * time.Second}),
		"forgot":         forgotPage(narrow, forgotView{Mail: true}),
		"forgot-no-mail": forgotPage(narrow, forgotView{}),
		"outcome": outcomePage(narrow, outcomeView{
			"Check your mail",
			"If there is an active account under what you entered, a link is on its way.",
			"/login",
			"Go to sign-in",
		}),
		"verify-email":     verifyEmailPage(narrow, "ann@example.com"),
		"email-change":     emailChangePage(narrow, "ann@example.org", false),
		"email-change-old": emailChangePage(narrow, "ann@example.org", true),
		"invite":           invitePage(narrow, invitation),
		"invite-known":     invitePage(narrow, known),
		"invite-same":      invitePage(narrow, same),
		"invite-other":     invitePage(narrow, other),
	}
}

func workspaceSamples() map[string]templ.Component {
	frame, roles := sampleFrame("/workspaces"), sampleFrame("/admin/roles")
	list := []workspaceView{
		{ID: "default", Name: "Default workspace", Members: 12, Role: "Admin", Current: true},
		{ID: "r", Name: "Research", Members: 1},
	}
	page := workspacePageView{
		Workspace: list[0],
		Now:       sampleNow,
		Roles:     sampleRoleOptions(),
		Role:      "viewer",
		Name:      "Default workspace",
		Manage:    true,
		Rename:    true,
		Accounts:  true,
		Mail:      true,
		Apps:      sampleApps(),
		Members: []memberView{
			{
				ID:       "a",
				Username: "ann",
				Name:     "Ann Archer",
				Email:    "ann@example.com",
				Role:     "admin",
				RoleName: "Admin",
				Active:   true,
				Oneself:  true,
			},
			{
				ID:       "b",
				Username: "bob",
				Email:    "bob.with.a.very.long.address@subsidiary.example.com",
				Role:     "x",
				RoleName: "Prompt author",
			},
		},
		Invitations: []invitationView{
			{ID: "1", Email: "new@example.com", Role: "User", ExpiresAt: sampleNow.Add(20 * time.Hour)},
			{ID: "2", Email: "late@example.com", Role: "Viewer", ExpiresAt: sampleNow.Add(-time.Hour), Expired: true},
		},
	}
	invited, added, member, empty := page, page, page, page
	invited.Invited = &invitedView{
		Email:     "new@example.com",
		Role:      "User",
		Link:      "http://127.0.0.1:3000/invite?token=0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3a4b",
		ExpiresAt: sampleNow.Add(24 * time.Hour),
	}
	added.Invited = &invitedView{Email: "bob@example.com", Role: "User", Added: true, Mailed: true}
	member.Manage, member.Rename, member.Accounts, member.Invitations = false, false, false, nil
	empty.Members = nil
	empty.Invitations = nil
	empty.Apps = nil
	empty.Delete = true
	empty.Problem = "3 objects of builders belong to this workspace."
	some := func(a authz.Action) bool { return strings.HasSuffix(string(a), ":view") }
	return map[string]templ.Component{
		"workspaces":      workspacesPage(frame, workspacesView{Workspaces: list, MayCreate: true}),
		"workspaces-none": workspacesPage(frame, workspacesView{}),
		"workspace-new": newWorkspacePage(frame, newWorkspaceView{
			Name: "x",
			Apps: []web.Option{
				{Value: "a", Label: "Flowise", Hint: "Flowise 3.1.4"},
				{Value: "b", Label: "Research flows", Hint: "Flowise 3.1.4"},
			},
			Offered: []string{"b"},
			Wrong:   wrong{"name": "A workspace's name has 2 to 60 printable characters."},
		}),
		"workspace":         workspacePage(frame, page),
		"workspace-invited": workspacePage(frame, invited),
		"workspace-added":   workspacePage(frame, added),
		"workspace-member":  workspacePage(frame, member),
		"workspace-empty":   workspacePage(frame, empty),
		"roles":             rolesPage(roles, rolesView{Roles: sampleRoles(), Groups: sampleMatrix()}),
		"role-new": rolePage(
			roles,
			rolePageView{Groups: groupsOf(some), Problem: "Choose at least one permission."},
		),
		"role": rolePage(roles, rolePageView{ID: "x", Name: "Prompt author", Groups: groupsOf(some)}),
		"role-built-in": rolePage(roles, rolePageView{
			ID:          "viewer",
			Name:        "Viewer",
			Description: "Reads and runs flows.",
			BuiltIn:     true,
			Groups:      groupsOf(some),
		}),
	}
}

func sampleRoles() []roleView {
	return []roleView{
		{ID: "admin", Name: "Admin", Description: "May do everything in the workspace.", BuiltIn: true, Count: 63},
		{ID: "viewer", Name: "Viewer", Description: "Reads and runs flows.", BuiltIn: true, Count: 12},
		{ID: "x", Name: "Prompt author", Count: 14},
	}
}

func sampleMatrix() []matrixGroup {
	return []matrixGroup{
		{Name: "Builder", Rows: []matrixRow{{"Open the builder's pages", "app:open", []bool{true, true, true}}}},
		{
			Name: "Chatflows and agentflows",
			Rows: []matrixRow{
				{"See chatflows", "chatflows:view", []bool{true, true, true}},
				{"Delete chatflows", "chatflows:delete", []bool{true, false, false}},
			},
		},
	}
}

func sampleMails() []mailItemView {
	return []mailItemView{
		{
			ID:        "1",
			To:        "ann@example.com",
			Subject:   "Choose a new password",
			State:     mail.Waiting,
			Attempts:  3,
			Trouble:   "421 try later",
			CreatedAt: sampleNow.Add(-time.Hour),
			DueAt:     sampleNow.Add(8 * time.Minute),
			now:       sampleNow,
		},
		{
			ID:        "2",
			To:        "bob@example.com",
			Subject:   "You are invited to Research",
			State:     mail.Sent,
			CreatedAt: sampleNow.Add(-2 * time.Hour),
			now:       sampleNow,
		},
		{
			ID:        "3",
			To:        "nobody@example.com",
			Subject:   "Confirm your email address",
			State:     mail.Failed,
			Trouble:   "550 no such user",
			Advice:    mail.TroubleRecipient.Advice(),
			CreatedAt: sampleNow.Add(-30 * time.Hour),
			now:       sampleNow,
		},
	}
}

func mailSamples() map[string]templ.Component {
	frame := sampleFrame("/admin/mail")
	ready := mail.Status{
		Configured: true,
		Server:     "smtp.example.com:587",
		Sender:     "Sluice <no-reply@example.com>",
		Waiting:    1,
		Failed:     1,
	}
	v := mailView{
		listing:  listing{Path: "/admin/mail", Total: 3, Number: 1, Shown: 3},
		Status:   ready,
		Items:    sampleMails(),
		To:       "ann@example.com",
		Previews: mail.Previews(),
		Now:      sampleNow,
	}
	said, none, wrongTo := v, v, v
	said.Transcript = &mail.Transcript{
		Lines: []mail.Line{
			{Text: "connecting to smtp.example.com:587"},
			{From: "server", Text: "220 smtp.example.com ESMTP"},
			{From: "client", Text: "EHLO sluice.example.com"},
			{From: "server", Text: "535 5.7.8 Error: authentication failed"},
		},
		Step:    mail.StepSignIn,
		Trouble: mail.TroubleCredentials,
		Text:    "535 5.7.8 Error: authentication failed",
		Advice:  mail.TroubleCredentials.Advice(),
	}
	none.Status, none.Items, none.listing = mail.Status{}, nil, listing{Path: "/admin/mail", Number: 1}
	wrongTo.State = "failed"
	wrongTo.Items = nil
	wrongTo.listing = listing{
		Path:   "/admin/mail",
		Number: 1,
	}
	wrongTo.Wrong = wrong{
		"to": "This is not an email address.",
	}

	wrongTo.Status.PausedUntil = sampleNow.Add(40 * time.Second)
	text := "Hello Ann,\n\nsomebody asked for a new password.\n"
	flows := flowsView{
		Products: sampleProducts,
		listing: listing{
			Path:   "/flows",
			Total:  2,
			Number: 1,
			Shown:  2,
		},
		Apps:       sampleApps()[:2],
		Workspace:  "default",
		Workspaces: sampleWorkspaceOptions(),
		MayEdit:    true,
		Admin:      true,
		Now:        sampleNow,
		Flows: []flowView{
			{
				Name:      "Answers about invoices",
				Kind:      "Agentflow",
				App:       "Flowise",
				Owner:     "ann",
				Open:      "/enter?app=a&return=%2Fv2%2Fagentcanvas%2F1",
				UpdatedAt: sampleNow.Add(-4 * time.Minute),
			},
			{
				Name:      "A flow with a name that goes on and on until nobody reads it",
				Kind:      "Chatflow",
				App:       "Research flows",
				Open:      "/enter?app=b",
				Switch:    "r",
				UpdatedAt: sampleNow.Add(-40 * 24 * time.Hour),
			},
		},
	}
	first, noApp, search := flows, flows, flows
	elsewhere := flowsView{
		Products:   sampleProducts,
		Elsewhere:  true,
		Admin:      true,
		Workspace:  "r",
		Workspaces: sampleWorkspaceOptions(),
		Now:        sampleNow,
	}
	first.Flows = nil
	first.listing = listing{
		Path:   "/flows",
		Number: 1,
	}
	noApp.Flows = nil
	noApp.Apps = nil
	noApp.listing = listing{
		Path:   "/flows",
		Number: 1,
	}

	search.Flows, search.listing = nil, listing{Path: "/flows", Query: "<zz>", Number: 1}
	return map[string]templ.Component{
		"mail":       mailPage(frame, v),
		"mail-said":  mailPage(frame, said),
		"mail-none":  mailPage(frame, none),
		"mail-wrong": mailPage(frame, wrongTo),
		"mail-preview": mailPreviewPage(frame, mailPreviewView{
			Kind:     "password-reset",
			Subject:  "Choose a new password",
			Text:     text,
			Previews: mail.Previews(),
		}),
		"flows":           flowsPage(sampleFrame("/flows"), flows),
		"flows-first":     flowsPage(sampleFrame("/flows"), first),
		"flows-no-app":    flowsPage(sampleFrame("/flows"), noApp),
		"flows-elsewhere": flowsPage(sampleFrame("/flows"), elsewhere),
		"flows-search":    flowsPage(sampleFrame("/flows"), search),
	}
}
