package console

import (
	"github.com/a-h/templ"

	"sluice/internal/app"
	"sluice/internal/builder"
	"sluice/internal/builder/langflow"
	"sluice/internal/web"
)

func sampleLangflow() appView {
	a := sampleApp()
	a.Product, a.Name, a.Title, a.Version = "Langflow", "Langflow", "Langflow", "1.13.0"
	a.Upstream = "http://127.0.0.1:7860"
	return a
}

const sampleLines = "LANGFLOW_EXTERNAL_AUTH_ENABLED=true\nLANGFLOW_EXTERNAL_AUTH_PROVIDER=sluice\n" +
	"LANGFLOW_EXTERNAL_AUTH_TOKEN_HEADER=X-Sluice-Assertion\n" +
	"LANGFLOW_EXTERNAL_AUTH_JWKS_URL=http://127.0.0.1:3000/.well-known/jwks.json\n" +
	"LANGFLOW_EXTERNAL_AUTH_ISSUER=http://127.0.0.1:3000\nLANGFLOW_EXTERNAL_AUTH_AUDIENCE=langflow"

// langflowSamples are the pages that connect a builder with accounts of its own and give its users
// to workspaces.
func langflowSamples() map[string]templ.Component {
	frame := sampleFrame("/admin/apps")
	ways := langflow.Kind().Accounts
	found := &foundView{
		Product:     "Langflow",
		Kind:        "langflow",
		HasAccounts: true,
		Title:       "Langflow",
		Version:     "1.13.0",
		OwnerState:  builder.OwnerPresent,
		Evidence:    "/api/v1/version says Langflow Base 1.13.0.",
		Supports: []string{
			"It can verify tokens that Sluice signs (external authentication), once its LANGFLOW_EXTERNAL_AUTH_… " +
				"variables are set.",
			"It accepts tokens that are signed with its LANGFLOW_SECRET_KEY, if Sluice has the same.",
			"Sluice can sign in its accounts with passwords, at most 5 times a minute.",
		},
	}
	fresh, done, waiting := sampleLangflow(), sampleLangflow(), sampleLangflow()
	fresh.Bridge = bridgeNeedsChoice
	fresh.Health = healthView{
		Tone:      web.Warning,
		Word:      "Not connected",
		Detail:    "The app is not connected: no method to enter Langflow has been chosen.",
		CheckedAt: sampleNow,
	}

	waiting.Bridge = bridgeBroken
	waiting.Health = healthView{
		Tone:   web.Bad,
		Word:   "Not working",
		Detail: "http://127.0.0.1:7860 refused the connection.",
	}

	tests := tried(ways, []builder.Trial{
		{
			Mode:   langflow.External,
			Detail: "Langflow does not accept Sluice's assertions.",
			Next: "Set the LANGFLOW_EXTERNAL_AUTH variables as Sluice shows them, and restart Langflow.\n" +
				sampleLines,
		},
		{
			Mode: langflow.Signed,
			OK:   true,
			Detail: "Langflow accepts tokens that Sluice signs with LANGFLOW_SECRET_KEY. The superuser creates the " +
				"accounts.",
		},
		{
			Mode:   langflow.SignIn,
			OK:     true,
			Detail: "The superuser can make accounts.",
			Next:   "Langflow lets 5 sign-ins a minute pass.",
		},
	})
	connected := app.Connection{
		Mode:          langflow.Signed,
		PerPerson:     true,
		Superuser:     "administrator",
		HasSecretKey:  true,
		HasPassword:   true,
		ExternalLines: sampleLines,
	}
	users := []builderUser{
		{ID: "u1", Username: "administrator", Active: true, Superuser: true, Flows: 12, Projects: 3, Files: 1},
		{
			ID:          "u2",
			Username:    "ann.with.quite.a.long.name@subsidiary.example.com",
			Active:      true,
			Adopted:     true,
			Flows:       1,
			WorkspaceID: "r",
			Workspace:   "Research",
			Who:         "Ann Archer",
		},
		{
			ID:          "u3",
			Username:    "sluice-default-workspace",
			Active:      true,
			Flows:       4,
			WorkspaceID: "default",
			Workspace:   "Default workspace",
		},
		{ID: "u4", Username: "former", Flows: builder.UnknownCount},
	}
	to := sampleWorkspaceOptions()
	banner := frame
	banner.Banner = &web.Banner{
		Text:   bannerText("langflow"),
		Href:   "/login?with=password",
		Action: "Sign in as someone else",
	}
	narrow := web.Page{Title: "Sample", Banner: banner.Banner}
	return map[string]templ.Component{
		"connection": connectionPage(frame, connectionView{
			Setup:   ways,
			App:     fresh,
			Found:   found,
			Choices: bridgeChoices(ways),
			State:   app.Connection{ExternalLines: sampleLines},
			Form:    accessForm{Accounts: accountsShared},
		}),
		"connection-tested": connectionPage(frame, connectionView{
			Setup:   ways,
			App:     fresh,
			Found:   found,
			Choices: tests,
			Tested:  true,
			State:   app.Connection{ExternalLines: sampleLines},
			Form:    accessForm{Mode: "external", Superuser: "administrator", Accounts: accountsShared},
			Problem: "Langflow does not accept Sluice's assertions.",
		}),
		"connection-done": connectionPage(frame, connectionView{
			Setup:   ways,
			App:     done,
			Found:   found,
			Choices: bridgeChoices(ways),
			State:   connected,
			Form:    accessForm{Mode: "signed", Superuser: "administrator", Accounts: accountsPerPerson},
		}),
		"connection-down": connectionPage(frame, connectionView{
			Setup:   ways,
			App:     waiting,
			Choices: bridgeChoices(ways),
			State:   connected,
			Form: accessForm{
				Accounts: accountsShared,
				Wrong:    wrong{"password": "Langflow does not accept this password."},
			},
			Problem: "http://127.0.0.1:7860 refused the connection.",
			Next:    "Start it.",
		}),
		"app-langflow": appPage(frame, appPageView{
			App:         done,
			Now:         sampleNow,
			HasAccounts: true,
			FlowsAt:     "/flow/",
			Connection:  modeTitle(ways, langflow.Signed),
			UsedIn:      to[:1],
			Offerable:   to[1:],
			MayOffer:    true,
		}),
		"app-langflow-new": appPage(
			frame,
			appPageView{App: fresh, Now: sampleNow, HasAccounts: true, FlowsAt: "/flow/", UsedIn: to[:1]},
		),
		"app-found-langflow": newAppPage(
			frame,
			newAppView{Form: appForm{URL: "http://127.0.0.1:7860", Name: "Langflow"}, Found: found},
		),
		"apps-langflow":       appsPage(frame, appsView{Apps: []appView{fresh, done, waiting}}),
		"setup-apps-langflow": setupAppsPage(web.Page{Title: "Sample"}, setupAppsView{Apps: []appView{fresh}}),
		"builder-users": builderUsersPage(frame, builderUsersView{
			App:   done,
			Setup: ways,
			Users: users,
			Blind: true,
		}),
		"builder-users-none": builderUsersPage(frame, builderUsersView{App: done}),
		"builder-users-trouble": builderUsersPage(frame, builderUsersView{
			App:     done,
			Problem: "Sluice needs a superuser of Langflow to create accounts there.",
			Next:    "Give Sluice a superuser's name and password.",
		}),
		"builder-user": builderUserPage(
			frame,
			builderUserView{App: done, User: users[0], To: to, Chosen: "r", NewPassword: true},
		),
		"builder-user-adopted": builderUserPage(frame, builderUserView{
			App:       done,
			User:      users[1],
			To:        []web.Option{{Value: "r/a", Label: "Ann Archer (Research)"}},
			Chosen:    "r/a",
			PerPerson: true,
			Wrong:     wrong{"to": "This person is not a member of the workspace."},
		}),
		"builder-user-nowhere": builderUserPage(frame, builderUserView{App: done, User: users[3]}),
		"confirm-unasked": confirmPage(
			narrow,
			confirmView{Unasked: "langflow", Action: "/account/keys", Back: "/"},
		),
		"apps-banner":  appsPage(banner, appsView{Apps: sampleApps()}),
		"login-banner": loginPage(narrow, loginView{}),
	}
}

// langflowExpectations are of these pages.
func langflowExpectations() map[string]expectation {
	return map[string]expectation{
		"connection": {
			has: []string{
				"input[name=secret_key][type=password]",
				"input[name=password][type=password]",
				"input[name=mode][value=external]",
				"input[name=mode][value=signed]",
				"input[name=mode][value=sign-in]",
				"input[name=accounts][value=per-person]",
				"button[name=do][value=test]",
				"button[name=do][value=save]",
				"textarea[id=external-lines][readonly]",
			},
			says: []string{
				"Langflow 1.13.0",
				"LANGFLOW_EXTERNAL_AUTH_ISSUER=http://127.0.0.1:3000",
				"Not tested",
				"external authentication",
				"PUT /api/v1/apps/",
				"same flows",
			},
		},
		"connection-tested": {
			has: []string{"input[name=superuser][value=administrator]"},
			says: []string{
				"Does not work yet",
				"Works",
				"Set the LANGFLOW_EXTERNAL_AUTH variables as Sluice shows them, and restart Langflow.",
			},
		},
		"connection-done": {
			has: []string{
				"input[name=mode][value=signed][checked]",
				"input[name=accounts][value=per-person][checked]",
			},
			says: []string{"Connected: A shared secret key", "Leave this empty to keep it"},
		},
		"connection-down": {
			has:  []string{"input[name=password][aria-invalid=true]"},
			says: []string{"refused the connection"},
		},
		"app-langflow": {
			says: []string{"A shared secret key", "Adopt flows of Langflow", "/flow/", "One per workspace"},
		},
		"app-langflow-new":   {says: []string{"Connect Langflow", "Not connected", "/flow/"}},
		"app-found-langflow": {says: []string{"Sluice tests each method", "external authentication"}},
		"builder-users": {
			has: []string{"a[aria-label=Adopt administrator]"},
			says: []string{
				"12 flows, 3 projects, 1 file",
				"adopted",
				"created by Sluice",
				"unknown",
				"inactive",
				"Ann Archer",
			},
		},
		"builder-users-none": {says: []string{"Langflow has no users"}},
		"builder-users-trouble": {
			has:  []string{"[role=alert]"},
			says: []string{"needs a superuser", "Open the connection page"},
		},
		"builder-user": {
			has:  []string{"select[name=to]"},
			says: []string{"Adopt this user with 12 flows", "another password", "keep their ids"},
		},
		"builder-user-adopted": {
			has: []string{"select[name=to][aria-invalid=true]"},
			says: []string{
				"Assign to",
				"Release user",
				"no longer reachable through Sluice",
				"DELETE /api/v1/apps/",
			},
		},
		"builder-user-nowhere": {says: []string{"No workspace uses this app"}},
		"confirm-unasked":      {says: []string{"sluice user reset-link langflow"}},
		"apps-banner": {
			says: []string{"No sign-in is required", "LANGFLOW_AUTO_LOGIN=False", "the superuser langflow"},
		},
		"login-banner": {says: []string{"No sign-in is required"}},
	}
}
