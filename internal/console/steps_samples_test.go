package console

import (
	"time"

	"github.com/a-h/templ"

	"sluice/internal/login/factor"
	"sluice/internal/login/sso"
	"sluice/internal/web"
)

// sampleQR stands for a QR code.
const sampleQR = `<svg xmlns="http://www.w3.org/2000/svg" class="qr" viewBox="0 0 29 29" role="img" ` +
	`aria-label="QR code for an authenticator app"><rect width="29" height="29" fill="#fff"/>` +
	`<path d="M4 4h7v7h-7zM18 4h7v7h-7zM4 18h7v7h-7zM13 13h3v3h-3zM18 20h4v2h-4z" fill="#000"/></svg>`

func sampleStep() stepView {
	return stepView{Account: "ann", AppName: "Flowise", StartOver: "/login?return=%2F"}
}

func stepSamples() map[string]templ.Component {
	narrow := web.Page{Title: "Sample"}
	limited := sampleStep()
	limited.Problem, limited.Wait = "Too many mails were asked for.", 40*time.Second
	saw := []sawView{
		{"Scheme", "http: X-Forwarded-Proto was sent, but 10.0.0.7, which sent it, is not trusted"},
		{"X-Forwarded-Proto", "https, not trusted"},
		{"Connection from", "10.0.0.7"},
		{"Requested host", "sluice.example.com"},
		{"Sluice's own address", "https://sluice.example.com"},
		{"Cookie header received", "yes"},
		{"Sluice's cookies in it", "sluice_theme, sluice_device"},
		{"Session cookie sent", "only over https (Secure)"},
		{"Sluice's clock", "2026-03-14 15:09:26 UTC"},
	}
	causes := []causeView{
		{
			"Sluice does not trust the proxy in front of it",
			"The session cookie is for https only, and the proxy states that you came by https; but 10.0.0.7 is " +
				"not among the trusted proxies. Trust it:",
			[]string{"TRUST_PROXY=10.0.0.7"},
		},
	}
	scripted := web.Page{Title: "Sample", Scripts: []string{"passkey.js"}}
	here := passkeyView{
		Here: true,
	}
	away := passkeyView{
		Why: "Browsers do not support passkeys on an IP address.",
		How: "Open http://localhost:3000 instead.",
	}

	wrongCode := sampleStep()
	wrongCode.Wrong = wrong{"code": "That code is wrong. Enter the code that the app shows for Sluice now."}
	offer := totpView{
		Token:  "sample",
		Secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP",
		URL:    "otpauth://totp/Sluice:ann",
		QR:     sampleQR,
	}
	keys := factor.Ways{TOTP: true, Passkey: true, Recovery: true}
	codes := []string{
		"0f3k-9m2p-xq7v-4t8w",
		"1f3k-9m2p-xq7v-4t8w",
		"2f3k-9m2p-xq7v-4t8w",
		"3f3k-9m2p-xq7v-4t8w",
		"4f3k-9m2p-xq7v-4t8w",
		"5f3k-9m2p-xq7v-4t8w",
		"6f3k-9m2p-xq7v-4t8w",
		"7f3k-9m2p-xq7v-4t8w",
		"8f3k-9m2p-xq7v-4t8w",
		"9f3k-9m2p-xq7v-4t8w",
	}
	buttons := []sso.Button{
		{Slug: "okta", Name: "Example Okta", Kind: "oidc"},
		{Slug: "github", Name: "GitHub", Kind: "github"},
	}
	return map[string]templ.Component{
		"step-factor": factorStepPage(scripted, factorStepView{sampleStep(), keys, here, false}),
		"step-factor-wrong": factorStepPage(
			scripted,
			factorStepView{wrongCode, factor.Ways{TOTP: true, Recovery: true}, here, false},
		),
		"step-factor-recovery": factorStepPage(scripted, factorStepView{sampleStep(), keys, here, true}),
		"step-factor-away": factorStepPage(
			scripted,
			factorStepView{sampleStep(), factor.Ways{Passkey: true, Recovery: true}, away, true},
		),
		"step-enrol": enrolStepPage(
			scripted,
			enrolStepView{stepView: sampleStep(), MaySkip: true, Passkey: here},
		),
		"step-enrol-required": enrolStepPage(scripted, enrolStepView{stepView: sampleStep(), Passkey: away}),
		"step-enrol-app": enrolStepPage(
			scripted,
			enrolStepView{stepView: sampleStep(), Passkey: here, TOTP: &offer},
		),
		"recovery": recoveryPage(narrow, recoveryView{
			Codes:   codes,
			Account: "ann",
			Place:   "sluice.example.com",
			Added:   "Your second factor is set up",
			MadeAt:  sampleNow,
			Onward:  "/login/done",
			Action:  "I have saved them, continue",
		}),
		"login-ways": loginPage(
			scripted,
			loginView{SignUp: true, Return: "/", Passkeys: true, Providers: buttons},
		),
		"login-passkey": loginPage(scripted, loginView{Return: "/", Passkeys: true}),
		"login-superusers": loginPage(
			scripted,
			loginView{Return: "/", Passkeys: true, Providers: buttons, Hidden: true},
		),
		"step-verify": verifyStepPage(narrow, verifyStepView{sampleStep(), "ann@example.com"}),
		"step-verify-limited": verifyStepPage(
			narrow,
			verifyStepView{limited, "ann.with.a.very.long.address@subsidiary.example.com"},
		),
		"step-invitation": invitationStepPage(narrow, invitationStepView{
			sampleStep(),
			[]offeredWorkspace{
				{"1", "Research", "User"},
				{"2", "A workspace with a very long name that hardly fits", "Viewer"},
			},
		}),
		"diagnosis": diagnosisPage(web.Page{Title: "Sample", Scripts: []string{"diagnosis.js"}}, diagnosisView{
			Title:  "You signed in, but your browser did not bring the session back",
			Text:   "Sluice gave your browser a session cookie, but the browser came back without it.",
			Saw:    saw,
			Causes: causes,
			Again:  "/login",
			Scheme: "http",
			Host:   "sluice.example.com",
			Now:    sampleNow,
		}),
	}
}
