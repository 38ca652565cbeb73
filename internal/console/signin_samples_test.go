package console

import (
	"github.com/a-h/templ"

	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/sso"
)

func signInSamples() map[string]templ.Component {
	frame := sampleFrame(signInPath)
	okta := sso.Provider{
		ID:        "0195a000-0000-7000-8000-0000000000b1",
		Slug:      "okta",
		Kind:      sso.KindOIDC,
		Name:      "Example Okta",
		Issuer:    "https://example.okta.com",
		ClientID:  "0oa1b2c3d4",
		HasSecret: true,
		Enabled:   true,
		Scopes: []string{
			"openid",
			"profile",
			"email",
			"groups",
		},
		CreateAccounts: true,
		Domains:        []string{"example.com"},
		GroupClaim:     "groups",
		Mappings: []sso.Mapping{
			{Group: "flow-authors", Workspace: "default", Role: "user"},
			{Group: "a-group-with-a-rather-long-name", Workspace: "r", Role: "viewer"},
		},
	}
	hub := sso.Provider{
		ID:        "2",
		Slug:      "github",
		Kind:      sso.KindGitHub,
		Name:      "GitHub",
		ClientID:  "Iv1",
		HasSecret: true,
		Scopes:    []string{"read:user"},
	}
	view := func(p sso.Provider) providerView {
		v := providerView{
			Form:       p,
			Preset:     presetOf(p),
			Redirect:   "https://sluice.example.com/sso/" + p.Slug + "/callback",
			Workspaces: sampleWorkspaceOptions(),
			Roles:      sampleRoleOptions(),
		}
		if v.oidc() {
			v.BackChannel = "https://sluice.example.com/sso/" + p.Slug + "/back-channel-logout"
		}
		return v
	}
	checked := view(okta)
	fresh := view(sso.Provider{
		Slug:           "keycloak",
		Kind:           sso.KindOIDC,
		Name:           "Keycloak",
		Scopes:         presets[3].Scopes,
		GroupClaim:     "groups",
		Enabled:        true,
		CreateAccounts: true,
	})
	github := view(hub)
	fresh.Preset = presets[3]
	checked.Findings = []sso.Finding{
		{
			Level: sso.FindingGood,
			Text: "The discovery document at https://example.okta.com/.well-known/openid-configuration was read, " +
				"and names the issuer as it stands here.",
		},
		{
			Level: sso.FindingNote,
			Text:  "It does not report sign-outs to applications (back-channel logout).",
		}, {Level: sso.FindingBad, Text: "Its key set contains no key for signatures."},
	}
	wrongOne := fresh
	wrongOne.Wrong = wrong{
		"issuer":   "An issuer must begin with https, so that nobody between can answer in its place.",
		"mappings": "Mapping 2 names a workspace that does not exist.",
	}
	report := sso.ClaimReport{
		At:            sampleNow,
		Issuer:        "https://example.okta.com",
		Subject:       "00u1a2b3",
		Username:      "zoe",
		Email:         "zoe@example.com",
		EmailVerified: true,
		Name:          "Zoë Example",
		Groups:        []string{"flow-authors", "everyone"},
		Factors:       "two factors",
		Outcome:       "A new account zoe would be created and signed in.",
		Notes:         []string{"No group of theirs gives a role in Research."},
		Roles: []sso.RoleChange{
			{Workspace: "Default workspace", Role: "User", Group: "flow-authors"},
			{Workspace: "Research", From: "Viewer", Stays: true},
			{Workspace: "Sales", From: "Viewer"},
		},
		Claims: []sso.Claim{
			{Name: "aud", Value: `"0oa1b2c3d4"`},
			{Name: "groups", Value: `["flow-authors","everyone"]`},
		},
		UserInfo: []sso.Claim{{Name: "locale", Value: `"en-GB"`}},
	}
	refused := report
	refused.Refused = true
	refused.Outcome = "zoe@example.org is not of a domain that may come in."
	refused.Next = "Add the domain, or make the account by hand."
	refused.Roles = nil
	refused.UserInfo = nil
	return map[string]templ.Component{
		"sign-in": signInSettingsPage(
			frame,
			signInView{Providers: []sso.Provider{okta, hub}, Password: login.PasswordEveryone},
		),
		"sign-in-none":           signInSettingsPage(frame, signInView{Password: login.PasswordEveryone}),
		"sign-in-presets":        presetsPage(frame),
		"sign-in-new":            newProviderPage(frame, fresh),
		"sign-in-new-wrong":      newProviderPage(frame, wrongOne),
		"sign-in-provider":       providerPage(frame, checked),
		"sign-in-github":         providerPage(frame, github),
		"sign-in-remove":         removeProviderPage(frame, view(okta)),
		"sign-in-report":         reportPage(frame, reportView{okta, &report}),
		"sign-in-report-refused": reportPage(frame, reportView{okta, &refused}),
		"sign-in-report-none":    reportPage(frame, reportView{okta, nil}),
		"workspace-factor": workspacePage(sampleFrame("/workspaces"), workspacePageView{
			Workspace:     workspaceView{ID: "default", Name: "Default workspace", Members: 3},
			Now:           sampleNow,
			Roles:         sampleRoleOptions(),
			Rename:        true,
			Name:          "Default workspace",
			SecondFactor:  identity.FactorEncouraged,
			WithoutFactor: 2,
		}),
	}
}
