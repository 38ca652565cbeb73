// Package n8ntest is a kind of builder that exists only in tests: a table, a probe and one answer,
// modeled on n8n. It proves that a new product takes one folder and one line in the map of kinds.
package n8ntest

import (
	"context"
	_ "embed"
	"net/http"
	"net/url"

	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

//go:embed n8n.yaml
var table []byte

// Kind is a workflow builder that learns from headers who is signed in.
func Kind() *builder.Kind {
	return &builder.Kind{
		Name:  "n8n",
		Title: "n8n",
		Profile: func(o builder.Options) (*profile.Profile, error) {
			style := profile.Style{Sealed: true, Headers: []string{"authorization", "x-n8n-api-key"}}
			return profile.New(profile.Source{Table: table, Open: o.Open, Style: style})
		},
		Answers: map[string]builder.AnswerFunc{"who": who},
		Probe:   probe,
		Bridge: func(builder.BridgeConfig) *builder.Bridge {
			return &builder.Bridge{Session: builder.Passthrough{}}
		},
		FlowPage: func(_ flow.Kind, id string) string { return "/workflow/" + url.PathEscape(id) },
	}
}

// probe recognizes the product by its settings.
func probe(ctx context.Context, v *builder.Visit) (builder.Found, bool, error) {
	r, err := v.Get(ctx, "/rest/settings")
	if err != nil {
		return builder.Found{}, false, err
	}
	data, _ := r.Object()["data"].(map[string]any)
	version, _ := data["versionCli"].(string)
	if version == "" {
		return builder.Found{}, false, nil
	}
	return builder.Found{
		Version:    builder.Clip(version, 20),
		OwnerState: builder.OwnerNotApplicable,
		Evidence:   "/rest/settings reports the version.",
	}, true, nil
}

// who answers with the signed-in person.
func who(_ context.Context, c builder.AnswerContext) (builder.Answer, error) {
	if !c.Principal.SignedIn() {
		return builder.Answer{}, problem.New(problem.Unauthenticated, "You are not signed in.")
	}
	return builder.JSON(http.StatusOK, map[string]any{"data": map[string]string{"email": c.Principal.Email}}), nil
}
