package proxy_test

import (
	"net/http"
	"net/url"
	"time"

	"sluice/internal/app"
	"sluice/internal/db"
	"sluice/internal/profile"
)

// upstreamServer is anything that listens as a builder.
type upstreamServer interface{ url() *url.URL }

// connect makes the app.
func (w *world) connect(_ *db.DB, f upstreamServer, o options) {
	kind := o.kind
	if kind == "" {
		kind = profile.KindFlowise
	}
	p, err := profile.New(kind, profile.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	a := &app.App{ID: "app-1", Slug: "flowise", Name: "Flowise", WorkspaceID: "default", Profile: p, Upstream: f.url(), PublicURL: appOrigin, Bridge: profile.Passthrough{}, Pub: map[string]bool{publicFlow: true}}
	if o.public != "" {
		a.PublicURL = o.public
	}
	if o.public == "-" {
		a.PublicURL = ""
	}
	if kind == profile.KindFlowise {
		a.Bridge = profile.NewFlowiseBridge(profile.FlowiseConfig{Base: f.url(), Client: &http.Client{}, Email: "owner@example.test", Password: "x", Now: time.Now})
	}
	w.apps = &app.Registry{Apps: []*app.App{a}}
	w.app = a
}
