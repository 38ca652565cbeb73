package console

import (
	"time"

	"github.com/a-h/templ"

	"sluice/internal/identity"
	"sluice/internal/login/factor"
	"sluice/internal/login/sso"
	"sluice/internal/web"
)

func securitySamples() map[string]templ.Component {
	frame, narrow := sampleFrame("/account"), web.Page{Title: "Sample", Scripts: []string{"passkey.js"}}
	frame.Scripts = []string{"passkey.js"}
	here := passkeyView{
		Here: true,
	}
	away := passkeyView{
		Why: "Browsers do not support passkeys on an IP address.",
		How: "Open http://localhost:3000 instead.",
	}

	full := securityView{
		User:    samplePerson(),
		Now:     sampleNow,
		Policy:  identity.FactorRequired,
		Passkey: here,
		Factors: factor.Set{
			TOTPSince:    sampleNow.Add(-90 * time.Hour),
			TOTPUsed:     sampleNow.Add(-3 * time.Hour),
			RecoveryLeft: 3,
			HasPassword:  true,
			Passkeys: []factor.Passkey{
				{
					ID:        "a",
					Name:      "Work laptop",
					RP:        "sluice.example.com",
					CreatedAt: sampleNow.Add(-900 * time.Hour),
					UsedAt:    sampleNow.Add(-3 * time.Minute),
				},
				{
					ID:        "b",
					Name:      "A phone with quite a long name of its own",
					RP:        "sluice.example.com",
					Synced:    true,
					CreatedAt: sampleNow.Add(-20 * time.Hour),
				},
			},
		},
		Links: []sso.Link{
			{
				Provider:     "p",
				ProviderName: "Example Okta",
				Label:        "ann@example.com",
				CreatedAt:    sampleNow.Add(-90 * time.Hour),
				UsedAt:       sampleNow.Add(-time.Hour),
			},
		},
		Linkable: []sso.Button{{Slug: "github", Name: "GitHub", Kind: "github"}},
	}
	bare := securityView{
		User:    samplePerson(),
		Now:     sampleNow,
		Policy:  identity.FactorRequired,
		Passkey: away,
		Factors: factor.Set{},
	}
	wrongOne := securityView{
		User:    samplePerson(),
		Now:     sampleNow,
		Passkey: here,
		Factors: factor.Set{HasPassword: true},
		At:      "password",
		Wrong:   wrong{"old_password": "This is not your present password."},
	}
	offer := totpView{
		Token:  "sample",
		Secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP",
		URL:    "otpauth://totp/Sluice:ann",
		QR:     sampleQR,
		Wrong:  wrong{"code": "That code is wrong."},
	}
	fields := []carried{{"active", "false"}, {"active", "true"}, {"password", "a new password"}}
	asked := confirmView{
		Ways:    factor.ConfirmWays{TOTP: true, Passkey: true, Recovery: true},
		Passkey: here,
		Action:  "/admin/people",
		Fields:  fields,
		Back:    "/admin",
	}
	bySSO := confirmView{
		Ways:     factor.ConfirmWays{Provider: "okta"},
		Provider: "Example Okta",
		Passkey:  here,
		Action:   "/admin/people",
		Fields:   fields,
		Back:     "/admin",
		Problem:  "You have not confirmed yet.",
		Next:     "First finish on your provider's page.",
	}
	byPassword := confirmView{
		Ways:    factor.ConfirmWays{Password: true},
		Passkey: here,
		Action:  "/admin/people",
		Fields:  fields,
		Back:    "/admin",
		Wrong:   wrong{"confirm_password": "The current password is wrong."},
	}
	return map[string]templ.Component{
		"security":          securityPage(frame, full),
		"security-none":     securityPage(frame, bare),
		"security-wrong":    securityPage(frame, wrongOne),
		"security-app":      appSetupPage(frame, appSetupView{TOTP: offer}),
		"confirm":           confirmPage(narrow, asked),
		"confirm-sso":       confirmPage(narrow, bySSO),
		"confirm-password":  confirmPage(narrow, byPassword),
		"confirm-no-way":    confirmPage(narrow, confirmView{Action: "/admin/people", Back: "/"}),
		"confirm-elsewhere": confirmedPage(narrow),
		"away": awayPage(narrow, awayView{
			"You are signed out of Sluice",
			"Your identity provider can sign you out too, and then returns you here.",
			"https://login.example.com/end",
			"Sign out there too",
		}),
	}
}
