package console

import (
	"time"

	"github.com/a-h/templ"

	"sluice/internal/web"
)

func sampleStep() stepView {
	return stepView{Account: "ann", AppName: "Flowise", StartOver: "/login?return=%2F"}
}

func stepSamples() map[string]templ.Component {
	narrow := web.Page{Title: "Sample"}
	limited := sampleStep()
	limited.Problem, limited.Wait = "Too many mails were asked for.", 40*time.Second
	saw := []sawView{
		{"Scheme", "http: X-Forwarded-Proto was there, but 10.0.0.7, which sent it, is not trusted"}, {"X-Forwarded-Proto", "https, not trusted"}, {"Connection from", "10.0.0.7"},
		{"Host asked for", "sluice.example.com"}, {"Sluice's own address", "https://sluice.example.com"}, {"A Cookie header came", "yes"},
		{"Cookies of Sluice's in it", "sluice_theme, sluice_device"}, {"The session's cookie is kept", "only over https (Secure)"}, {"Sluice's clock", "2026-03-14 15:09:26 UTC"},
	}
	causes := []causeView{{"Sluice does not believe the proxy in front of it", "The session's cookie is for https only, and the proxy says that you came by https; but 10.0.0.7 is not among the trusted proxies. Trust it:", []string{"TRUST_PROXY=10.0.0.7"}}}
	return map[string]templ.Component{
		"step-verify":         verifyStepPage(narrow, verifyStepView{sampleStep(), "ann@example.com"}),
		"step-verify-limited": verifyStepPage(narrow, verifyStepView{limited, "ann.with.a.very.long.address@subsidiary.example.com"}),
		"step-invitation":     invitationStepPage(narrow, invitationStepView{sampleStep(), []offeredWorkspace{{"1", "Research", "User"}, {"2", "A workspace with a very long name that hardly fits", "Viewer"}}}),
		"diagnosis": diagnosisPage(web.Page{Title: "Sample", Scripts: []string{"diagnosis.js"}}, diagnosisView{
			Title: "You signed in, but your browser did not bring the session back", Text: "Sluice gave your browser a cookie that says who you are, and the browser came back without it.",
			Saw: saw, Causes: causes, Again: "/login", Scheme: "http", Host: "sluice.example.com", Now: sampleNow,
		}),
	}
}
