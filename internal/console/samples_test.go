package console

import (
	"time"

	"github.com/a-h/templ"

	"sluice/internal/web"
)

// sampleNow is the clock of the samples.
var sampleNow = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// sampleProducts are those that the samples name as known to Sluice.
const sampleProducts = "Flowise or Langflow"

func sampleApp() appView {
	return appView{
		Product:  "Flowise",
		ID:       "0195a000-0000-7000-8000-000000000001",
		Name:     "Flowise",
		Title:    "Flowise",
		Version:  "3.1.4",
		Upstream: "http://127.0.0.1:3001",
		Origin:   "http://127.0.0.1:3101",
		Bridge:   bridgeReady,
		Manage:   true,
		Health:   healthView{Tone: web.Good, Word: "Online", CheckedAt: sampleNow.Add(-12 * time.Second)},
	}
}

func sampleApps() []appView {
	first, second, third := sampleApp(), sampleApp(), sampleApp()
	second.ID = "0195a000-0000-7000-8000-000000000002"
	second.Name = "Research flows"
	second.Origin = "https://research.example.com"
	second.Bridge = bridgeNeedsLogin
	second.Health = healthView{Tone: web.Warning, Word: "Not connected", Detail: "The owner's credentials are missing."}
	third.ID = "0195a000-0000-7000-8000-000000000003"
	third.Name = "Internal wiki"
	third.Title = "Web app"
	third.Version = ""
	third.Bridge = bridgeHeaders
	third.Health = healthView{
		Tone:      web.Bad,
		Word:      "Down",
		Detail:    "http://10.0.0.7:8080 refused the connection.",
		CheckedAt: sampleNow.Add(-3 * time.Second),
	}
	return []appView{first, second, third}
}

func samplePerson() personView {
	return personView{
		ID:            "0195a000-0000-7000-8000-0000000000a1",
		Email:         "ann@example.com",
		Username:      "ann",
		Name:          "Ann Archer",
		Role:          "Admin",
		EmailVerified: true,
		Oneself:       true,
		Superuser:     true,
		Active:        true,
		HasPassword:   true,
		CreatedAt:     sampleNow.Add(-40 * 24 * time.Hour),
		LastSignInAt:  sampleNow.Add(-3 * time.Minute),
	}
}

func samplePeople() []personView {
	ann := samplePerson()
	bob := personView{
		ID:           "b",
		Email:        "bob.with.a.very.long.address@subsidiary.example.com",
		Username:     "bob",
		Role:         "User",
		Active:       true,
		HasPassword:  true,
		CreatedAt:    sampleNow,
		LastSignInAt: sampleNow.Add(-50 * time.Hour),
	}
	cid := personView{
		ID:        "c",
		Username:  "cid",
		Name:      "Cid Campeador",
		Role:      "Viewer",
		Active:    true,
		CreatedAt: sampleNow,
	}
	dora := personView{
		ID:          "d",
		Username:    "dora",
		Email:       "dora@example.com",
		Waiting:     true,
		HasPassword: true,
		CreatedAt:   sampleNow,
	}
	return []personView{ann, bob, cid, dora}
}

func sampleFrame(active string) web.Page {
	return web.Page{
		Title:  "Sample",
		Path:   "/",
		Person: &web.Person{Name: "Ann Archer", Email: "ann@example.com", Role: "Superuser", Menu: personMenu(true)},
		Nav:    navigation(true, true, active),
		Workspaces: []web.Workspace{
			{ID: "default", Name: "Default workspace", Current: true},
			{ID: "r", Name: "Research"},
		},
	}
}

func sampleChecks() []check {
	return []check{
		{Title: "Create the first admin", Detail: "ann", Done: true},
		{Title: "Connect an app", Detail: "Flowise 3.1.4 at http://127.0.0.1:3001", Done: true},
		{
			Title:  "Verify that it works",
			Detail: "Streams, addresses and what the builder sees.",
			Href:   "/x",
			Action: "Verify",
		},
		{
			Title:  "Add a second person",
			Detail: "Sluice is for teams: give each person an account of their own.",
			Href:   "/x",
			Action: "Add",
		},
		{Title: "Serve it on https", Detail: "Set APP_URL to the https address that people use.", Failed: true},
	}
}

// samples renders every page in the states that matter, for the page tests and for the preview.
func samples() map[string]templ.Component {
	all := map[string]templ.Component{}
	for _, group := range []map[string]templ.Component{
		doorSamples(),
		appSamples(),
		forwardAuthSamples(),
		peopleSamples(),
		joiningSamples(),
		workspaceSamples(),
		mailSamples(),
		stepSamples(),
		securitySamples(),
		signInSamples(),
		keySamples(),
		vaultSamples(),
		secretSamples(),
		langflowSamples(),
	} {
		for name, page := range group {
			all[name] = page
		}
	}
	return all
}

func doorSamples() map[string]templ.Component {
	narrow := web.Page{Title: "Sample"}
	viewer := web.Page{
		Title:  "Sample",
		Path:   "/",
		Person: &web.Person{Name: "cid", Role: "Viewer", Menu: personMenu(false)},
		Nav:    navigation(false, false, "/flows"),
	}
	ready, owner, login := sampleApp(), sampleApp(), sampleApp()
	owner.Bridge, login.Bridge = bridgeNeedsOwner, bridgeNeedsLogin
	return map[string]templ.Component{
		"setup": setupPage(narrow, setupView{}),
		"setup-wrong": setupPage(narrow, setupView{
			Email:    "ann@example.com",
			Username: "ann",
			Wrong:    wrong{"password": "The password is too short: at least 15 characters."},
		}),
		"setup-closed": setupClosedPage(narrow, setupClosedView{
			Title:  "This link is no longer valid",
			Detail: "It was used already, or its 30 minutes are over.",
		}),
		"setup-done": setupClosedPage(
			narrow,
			setupClosedView{Title: "Sluice is already set up", Detail: "There is an admin.", HasAdmin: true},
		),
		"setup-apps-ready": setupAppsPage(narrow, setupAppsView{Apps: []appView{ready}, Ready: ready.ID}),
		"setup-apps-owner": setupAppsPage(narrow, setupAppsView{Apps: []appView{owner}}),
		"setup-apps-login": setupAppsPage(
			narrow,
			setupAppsView{Apps: []appView{login}, Problem: "Flowise did not accept these credentials."},
		),
		"setup-apps-none": setupAppsPage(narrow, setupAppsView{}),
		"login":           loginPage(narrow, loginView{SignUp: true}),
		"login-app": loginPage(narrow, loginView{
			App:        "x",
			AppName:    "Flowise",
			Return:     "/canvas/1",
			Identifier: "ann",
			Problem:    "That sign-in was not right. Check the name and the password.",
		}),
		"login-wait": loginPage(
			narrow,
			loginView{Identifier: "ann", Problem: "Too many attempts.", Wait: 90 * time.Second},
		),
		"login-no-admin": loginPage(narrow, loginView{NoAdmin: true}),
		"logout":         logoutPage(narrow, "Ann Archer"),
		"signed-out":     logoutPage(narrow, ""),
		"reset":          resetPage(narrow, resetView{Username: "ann"}),
		"reset-closed": linkClosedPage(narrow, linkClosedView{
			Title:  "This link is no longer valid",
			Detail: "It was used already, or its time is over.",
			Next:   resetLink.Next,
		}),
		"home-admin": homePage(
			sampleFrame("/"),
			homeView{Name: "Ann", Products: sampleProducts, Apps: sampleApps(), Checks: sampleChecks()},
		),
		"home-admin-nothing": homePage(sampleFrame("/"), homeView{Name: "Ann", Products: sampleProducts}),
		"flows-no-workspace": flowsPage(viewer, flowsView{Now: sampleNow}),
		"flows-viewer-none": flowsPage(viewer, flowsView{
			Workspace:  "default",
			Workspaces: sampleWorkspaceOptions()[:1],
			Apps:       []appView{sampleApp()},
			Now:        sampleNow,
		}),
	}
}

func appSamples() map[string]templ.Component {
	frame := sampleFrame("/admin/apps")
	flowise := &foundView{
		Product:    "Flowise",
		Kind:       "flowise",
		HasOwner:   true,
		Title:      "Flowise",
		Version:    "3.1.4",
		OwnerState: "present",
		Evidence:   "/api/v1/version answered 3.1.4.",
	}
	other := &foundView{
		Kind:       "generic",
		Title:      "Example Domain",
		OwnerState: "n/a",
		Evidence:   "An HTML page titled “Example Domain” answered.",
		Note:       "This does not look like a builder that Sluice knows.",
	}
	broken := sampleApps()[2]
	broken.Bridge = bridgeBroken
	checks := []check{
		{Title: "The builder responds", Detail: "Flowise 3.1.4 in 12 ms.", Done: true},
		{Title: "Sluice is signed in to the builder", Detail: "The session is held and renewed by Sluice.", Done: true},
		{
			Title:  "No way around Sluice",
			Detail: "http://10.0.0.7:3001 answers anybody who reaches it. Bind it to 127.0.0.1 or close the port.",
			Failed: true,
		},
	}
	return map[string]templ.Component{
		"apps":      appsPage(frame, appsView{Apps: sampleApps()}),
		"apps-none": appsPage(frame, appsView{Products: sampleProducts}),
		"app-new":   newAppPage(frame, newAppView{}),
		"app-new-wrong": newAppPage(frame, newAppView{
			Form: appForm{URL: "ftp://x", Wrong: wrong{"url": "An address begins with http:// or https://."}},
		}),
		"app-found": newAppPage(
			frame,
			newAppView{Form: appForm{URL: "http://127.0.0.1:3001", Name: "Flowise"}, Found: flowise},
		),
		"app-generic": newAppPage(
			frame,
			newAppView{Form: appForm{URL: "http://127.0.0.1:3009", Name: "Example"}, Found: other},
		),
		"app": appPage(frame, appPageView{
			App:       sampleApp(),
			Published: []string{"0c1f7c0e-5d6b-4c3e-9a55-1d2f3e4a5b6c"},
			Now:       sampleNow,
			MayOffer:  true,
			UsedIn:    sampleWorkspaceOptions()[:2],
			Offerable: sampleWorkspaceOptions()[2:],
		}),
		"unowned": unownedPage(frame, unownedView{
			App:        sampleApp(),
			Total:      2,
			Workspace:  "r",
			Workspaces: sampleWorkspaceOptions(),
			Chosen:     []string{"1"},
			Groups: []unownedGroup{
				{Name: "Chatflows", Objects: []unownedObject{{"1", "Answers about invoices"}}},
				{Name: "Credentials", Objects: []unownedObject{{"2", "OpenAI"}}},
			},
		}),
		"unowned-none":    unownedPage(frame, unownedView{App: sampleApp()}),
		"unowned-nowhere": unownedPage(frame, unownedView{App: sampleApp(), Total: 1}),
		"app-broken": appPage(
			frame,
			appPageView{
				App:     broken,
				Now:     sampleNow,
				FlowsAt: "/canvas/",
				Problem: "Flowise did not accept these credentials.",
			},
		),
		"app-remove": removeAppPage(frame, appPageView{App: sampleApp(), Now: sampleNow}),
		"app-removed": removedAppPage(
			frame,
			removedAppView{App: sampleApp(), Email: "service@sluice.internal", Password: "sample-not-a-password"},
		),
		"verify": verifyPage(frame, verifyView{
			App:    sampleApp(),
			Setup:  true,
			Checks: checks,
			Person: "Ann Archer (ann)",
			Rights: "Superuser, Admin",
			IP:     "127.0.0.1",
			Chain:  []string{"127.0.0.1"},
		}),
	}
}

func sampleSessions() []sessionView {
	return []sessionView{
		{
			ID:        "1",
			Device:    "Chrome on Linux",
			IP:        "127.0.0.1",
			SeenAt:    sampleNow,
			CreatedAt: sampleNow.Add(-3 * time.Minute),
			Current:   true,
		},
		{
			ID:        "2",
			Device:    "Safari on iPhone",
			IP:        "2001:db8::17",
			SeenAt:    sampleNow.Add(-5 * time.Hour),
			CreatedAt: sampleNow.Add(-8 * 24 * time.Hour),
		},
	}
}
