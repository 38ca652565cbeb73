// Package generic is the kind of builder for any web app that Sluice knows nothing about.
//
// Safe methods need authz.FlowView, all others authz.FlowEdit, and admin paths authz.BuilderManage.
// Any answer may be a stream. A WebSocket upgrade is a GET, but Sluice does not check the messages
// that follow, so the proxy also requires authz.FlowRun (profile.Endpoint.Upgrade). Paths are
// compared case-insensitively, since the app may compare them that way. Sluice does not interfere
// with the app's own sign-in, cookies and bodies.
package generic

import (
	"errors"
	"fmt"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// Kind is any web app.
func Kind() *builder.Kind {
	return &builder.Kind{
		Name:     "generic",
		Title:    "Web app",
		Profile:  load,
		Fallback: true,
		Bridge: func(builder.BridgeConfig) *builder.Bridge {
			return &builder.Bridge{Session: builder.Passthrough{}}
		},
	}
}

func load(o builder.Options) (*profile.Profile, error) {
	admin := o.AdminPaths
	if admin == nil {
		admin = []string{"/admin", "/admin/{rest...}"}
	}
	all := []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	rows := make([]*profile.Endpoint, 0, len(admin)+4)
	for i, pattern := range admin {
		rows = append(rows, &profile.Endpoint{
			Name:    fmt.Sprintf("admin.%d", i+1),
			Methods: all,
			Pattern: pattern,
			Action:  authz.BuilderManage,
			Stream:  true,
			Upgrade: true,
			Page:    true,
		})
	}
	rows = append(rows, readAndWrite("root", "/")...)
	rows = append(rows, readAndWrite("any", "/{rest...}")...)
	p, err := profile.New(profile.Source{Rows: rows, KeepSlash: true, FoldCase: true})
	if bad := (*profile.RowError)(nil); errors.As(err, &bad) {
		const next = "Write each path once, such as /admin or /settings/{rest...}, with plain letters, digits " +
			"and - . _ ~ only."
		return nil, problem.Newf(problem.Invalid, "The admin path %q is invalid.", bad.Pattern).
			WithField("admin_paths").WithCause(err).WithNext(next)
	}
	return p, err
}

func readAndWrite(name, pattern string) []*profile.Endpoint {
	return []*profile.Endpoint{
		{
			Name:    name + ".read",
			Methods: []string{"GET"},
			Pattern: pattern,
			Action:  authz.FlowView,
			Stream:  true,
			Upgrade: true,
			Page:    true,
		},
		{
			Name:    name + ".write",
			Methods: []string{"POST", "PUT", "PATCH", "DELETE"},
			Pattern: pattern,
			Action:  authz.FlowEdit,
			Stream:  true,
		},
	}
}
