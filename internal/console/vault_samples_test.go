package console

import (
	"time"

	"github.com/a-h/templ"

	"sluice/internal/builder"
	"sluice/internal/web"
)

func vaultSamples() map[string]templ.Component {
	frame, here := sampleFrame("/workspaces"), workspaceView{ID: "default", Name: "Default workspace"}
	openAI := builder.CredentialKind{
		Name:   "openAIApi",
		Label:  "OpenAI API",
		Fields: []builder.CredentialField{{Name: "openAIApiKey", Label: "OpenAI Api Key", Secret: true}},
	}
	google := builder.CredentialKind{
		Name:  "googleVertexAuth",
		Label: "Google Vertex Auth",
		Fields: []builder.CredentialField{
			{
				Name:     "googleApplicationCredential",
				Label:    "Google Application Credential JSON File",
				Long:     true,
				Optional: true,
			}, {Name: "projectID", Label: "Project ID", Optional: true},
			{Name: "region", Label: "Region", Options: []string{"europe-west1", "us-central1"}, Default: "us-central1"},
		},
	}
	team := credentialView{
		ID:        "c",
		Name:      "OpenAI, team account",
		Kind:      "openAIApi",
		Fields:    []string{"openAIApiKey"},
		Shared:    []string{"User", "Prompt author"},
		Apps:      []string{"Flowise", "Research flows"},
		Outdated:  1,
		RotatedAt: sampleNow.Add(-40 * 24 * time.Hour),
	}
	plain := credentialView{
		ID:        "d",
		Name:      "A database with quite a long name of its own, for reports",
		Kind:      "PostgresApi",
		Fields:    []string{"host", "password", "user"},
		RotatedAt: sampleNow.Add(-3 * time.Minute),
	}
	ticks := []roleTick{
		{"user", "User", "They can put it into apps.", true},
		{"x", "Prompt author", "They can see it, but not put it into apps.", false},
	}
	choose := newCredentialView{
		Workspace: here,
		Source:    "Flowise",
		Kinds: []web.Option{
			{Value: "openAIApi", Label: "OpenAI API"},
			{Value: "googleVertexAuth", Label: "Google Vertex Auth"},
		},
	}
	fill, long, free := choose, choose, choose
	fill.Kind = &openAI
	fill.Roles = ticks
	fill.Name = "OpenAI, team account"
	fill.Wrong = wrong{
		"name":   "A credential with this name already exists in the workspace.",
		"values": "The field openAIApiKey is empty.",
	}

	long.Kind, long.Roles = &google, ticks
	free.Free = true
	free.Names = []string{
		"host",
		"password",
		"",
		"",
	}
	free.KindName = "my own"
	free.Wrong = wrong{
		"kind": "The kind is the builder's own word for the type of credential.",
	}

	page := credentialPageView{
		Workspace:  here,
		Credential: team,
		Manage:     true,
		Use:        true,
		Now:        sampleNow,
		Name:       team.Name,
		Roles:      ticks,
		Fields:     openAI.Fields,
		Keepers:    "Flowise",
		Targets:    []web.Option{{Value: "t", Label: "Third Flowise"}},
		Copies: []copyView{
			{
				App:        "a",
				AppName:    "Flowise",
				Current:    true,
				FlowsKnown: true,
				Flows:      []string{"Support", "Echo"},
				Withdraw:   true,
			},
			{App: "b", AppName: "Research flows", Withdraw: true},
		},
	}
	unused, user := page, page
	unused.Credential, unused.Copies, unused.Targets, unused.Fields = plain, nil, nil, google.Fields
	unused.Problem = "Flowise does not accept Sluice's session at the moment."
	unused.Next = "Try again in a few seconds."
	user.Manage = false
	return map[string]templ.Component{
		"vault": vaultPage(
			frame,
			vaultView{Workspace: here, Items: []credentialView{team, plain}, Manage: true, Now: sampleNow},
		),
		"vault-empty":      vaultPage(frame, vaultView{Workspace: here, Manage: true, Now: sampleNow}),
		"vault-nothing":    vaultPage(frame, vaultView{Workspace: here, Now: sampleNow}),
		"vault-choose":     newCredentialPage(frame, choose),
		"vault-new":        newCredentialPage(frame, fill),
		"vault-new-long":   newCredentialPage(frame, long),
		"vault-new-free":   newCredentialPage(frame, free),
		"vault-credential": credentialPage(frame, page),
		"vault-unused":     credentialPage(frame, unused),
		"vault-user":       credentialPage(frame, user),
	}
}
