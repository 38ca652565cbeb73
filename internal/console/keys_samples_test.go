package console

import (
	"strings"
	"time"

	"github.com/a-h/templ"

	"sluice/internal/authz"
	"sluice/internal/web"
)

func sampleKeys() []keyView {
	return []keyView{
		{
			ID:            "0195a000-0000-7000-8000-0000000000c1",
			Name:          "Website chat",
			Prefix:        "sluice_Ab3dE",
			Owner:         "ann",
			WorkspaceName: "Default workspace",
			What:          "Run flows",
			Where:         "Answers about invoices, Complaints",
			Networks:      "192.0.2.0/24, 2001:db8::/32",
			Limits:        "60 a minute, 10000 a day (about 1200 of today's used)",
			CreatedAt:     sampleNow.Add(-900 * time.Hour),
			IssuedAt:      sampleNow.Add(-20 * time.Hour),
			ExpiresAt:     sampleNow.Add(1400 * time.Hour),
			FormerUntil:   sampleNow.Add(4 * time.Hour),
			LastUsedAt:    sampleNow.Add(-3 * time.Minute),
			LastUsedIP:    "192.0.2.17",
			Tone:          web.Good,
			State:         "Active",
			Live:          true,
		},
		{
			ID:            "2",
			Name:          "A nightly job with rather a long name that goes on",
			Prefix:        "sluice_Zx81k",
			Owner:         "bob",
			WorkspaceName: "Default workspace",
			What:          "Run flows; See flows; Edit flows and 4 more",
			Where:         "All apps and flows of the workspace",
			CreatedAt:     sampleNow.Add(-9 * time.Hour),
			IssuedAt:      sampleNow.Add(-9 * time.Hour),
			ExpiresAt:     sampleNow.Add(50 * time.Hour),
			Tone:          web.Warning,
			State:         "Expires soon",
			Live:          true,
		},
		{
			ID:            "3",
			Name:          "Old laptop",
			Prefix:        "sluice_0aB9x",
			Owner:         "cid",
			WorkspaceName: "Default workspace",
			What:          "Everything that its owner can do",
			Where:         "Flowise",
			CreatedAt:     sampleNow.Add(-9000 * time.Hour),
			RevokedAt:     sampleNow.Add(-30 * time.Hour),
			LastUsedAt:    sampleNow.Add(-31 * time.Hour),
			LastUsedIP:    "2001:db8:abcd:12:3456:789a:bcde:f012",
			Tone:          web.Plain,
			State:         "Revoked",
		},
	}
}

func sampleKeyForm() keyForm {
	groups := keyActions()
	groups[0].Actions[0].Chosen = true
	f := keyForm{
		Ends: []web.Option{
			{Value: "30", Label: "In 30 days"},
			{Value: "90", Label: "In 90 days"},
			{Value: "latest", Label: latestWord(365 * 24 * time.Hour)},
			{Value: "date", Label: "On a date"},
		},
		Name:    "",
		Expires: "90",
		What:    "some",
		Where:   "all",
		Most:    365 * 24 * time.Hour,
		Groups:  groups[:3],
		Apps: []pick{
			{ID: "a", Name: "Flowise", Hint: "Flowise 3.1.4"},
			{ID: "b", Name: "Research flows", Hint: "Flowise 3.1.4"},
		},
		Flows: []pick{
			{ID: "f1", Name: "Answers about invoices", Hint: "Chatflow in Flowise", App: "a", Chosen: true},
			{ID: "f2", Name: "Complaints", Hint: "Agentflow in Flowise", App: "a"},
			{
				ID:   "f3",
				Name: "A flow with a name that is longer than one would like it to be",
				Hint: "Chatflow in Research flows",
				App:  "b",
			},
		},
	}
	return f
}

func keySamples() map[string]templ.Component {
	frame, keys := sampleFrame("/account"), sampleKeys()
	secret := "sluice_" + strings.Repeat("Sample0123", 4) + "000000"
	run := curlView{
		Flow: "Answers about invoices",
		Text: "curl -sS http://127.0.0.1:3101/api/v1/prediction/0c1f7c0e-5d6b-4c3e-9a55-1d2f3e4a5b6c \\\n  -H " +
			"'Authorization: Bearer " + secret + "' \\\n  -H 'Content-Type: application/json' \\\n  -d " +
			"'{\"question\": \"Hello\"}'",
	}
	me := curlView{
		Text:      "curl -sS http://127.0.0.1:3000/api/v1/me \\\n  -H \"Authorization: Bearer $SLUICE_API_KEY\"",
		Elsewhere: true,
	}
	filled, flows := sampleKeyForm(), sampleKeyForm()
	filled.Name = "Website chat"
	filled.Networks = "not a network"
	filled.PerMinute = "60"
	filled.Expires = "date"
	filled.Date = "2020-01-01"
	filled.Wrong = wrong{
		"networks": "“not a network” is not a network. Write networks like 192.0.2.0/24 or 2001:db8::/32, or " +
			"single addresses.",
		"expires_at": "This expiry time is in the past.",
		"actions":    "Select at least one, or choose everything.",
		"flows":      "Select at least one flow, or choose all.",
	}
	flows.Where, flows.MoreFlows, filled.Where = "flows", 12, "flows"
	flows.Groups = append(flows.Groups, keyActionGroup{
		Name:    "Single permissions",
		Actions: []keyAction{{Action: "chatflows:view", Title: actionTitle("chatflows:view"), Chosen: true}},
	})
	flows.Ends = []web.Option{{Value: "keep", Label: "Unchanged"}}
	list := keysView{Keys: keys, Workspace: "default", WorkspaceName: "Default workspace", Elsewhere: 2, Now: sampleNow}
	return map[string]templ.Component{
		"keys": keysPage(frame, list),
		"keys-none": keysPage(
			frame,
			keysView{Workspace: "default", WorkspaceName: "Default workspace", Now: sampleNow},
		),
		"keys-no-workspace": keysPage(frame, keysView{Now: sampleNow}),
		"key-new":           newKeyPage(frame, newKeyView{Form: sampleKeyForm(), WorkspaceName: "Default workspace"}),
		"key-new-wrong":     newKeyPage(frame, newKeyView{Form: filled, WorkspaceName: "Default workspace"}),
		"key-shown": keyShownPage(
			frame,
			keyShownView{Key: keys[1], Secret: secret, Curl: run, Now: sampleNow},
		),
		"key-rotated": keyShownPage(
			frame,
			keyShownView{Key: keys[0], Secret: secret, Curl: me, Rotated: true, Now: sampleNow},
		),
		"key":         keyPage(frame, keyPageView{Key: keys[0], Form: flows, Curl: me, Now: sampleNow}),
		"key-revoked": keyPage(frame, keyPageView{Key: keys[2], Form: flows, Now: sampleNow}),
		"key-revoke": revokeKeyPage(frame, revokeKeyView{
			Key:       keys[0],
			Back:      keys[0].path(""),
			BackLabel: keys[0].Name,
			Action:    keys[0].path("/revoke"),
			Call:      "DELETE /api/v1/keys/1",
			Own:       true,
			Now:       sampleNow,
		}),
		"workspace-keys": workspaceKeysPage(sampleFrame("/workspaces"), list),
		"workspace-keys-none": workspaceKeysPage(
			sampleFrame("/workspaces"),
			keysView{Workspace: "default", WorkspaceName: "Default workspace", Now: sampleNow},
		),
	}
}

// grantable are the actions that a key's form must know in words.
func grantable() (out []authz.Action) {
	for _, a := range authz.Actions() {
		if authz.Grantable(a) {
			out = append(out, a)
		}
	}
	return out
}
