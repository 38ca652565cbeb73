package profile

import (
	"fmt"

	"sluice/internal/authz"
	"sluice/internal/problem"
)

// newGeneric is the profile of an app that Sluice knows nothing about: safe methods need FlowView, all others FlowEdit, admin paths
// BuilderManage. Answers may be streams anywhere. A WebSocket upgrade is a GET, but what follows is not judged any more, so the caller
// asks for FlowRun in addition (Endpoint.Upgrade). Paths are compared without regard to case, since the app may do so.
func newGeneric(o Options) (*Profile, error) {
	t := &table{foldCase: true}
	admin := o.AdminPaths
	if admin == nil {
		admin = []string{"/admin", "/admin/{rest...}"}
	}
	all := []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	rows := make([]*Endpoint, 0, len(admin)+4)
	for i, pattern := range admin {
		rows = append(rows, &Endpoint{
			Name: fmt.Sprintf("admin.%d", i+1), Methods: all, Pattern: pattern, Action: authz.BuilderManage, Stream: true, Upgrade: true, Page: true,
		})
	}
	rows = append(rows, genericRows("root", "/")...)
	rows = append(rows, genericRows("any", "/{rest...}")...)
	for _, e := range rows {
		if err := t.add(e); err != nil {
			return nil, problem.Newf(problem.Invalid, "The admin path %q is not usable.", e.Pattern).WithField("admin_paths").WithCause(err).
				WithNext("Write paths such as /admin or /settings/{rest...}, from plain letters, digits, - . _ ~, each once.")
		}
	}
	return &Profile{Kind: KindGeneric, Title: "Web app", table: t, style: style{
		headers: dropped(), errorBody: rfc9457, entry: func(returnPath string) string { return returnPath },
	}}, nil
}

func genericRows(name, pattern string) []*Endpoint {
	return []*Endpoint{
		{Name: name + ".read", Methods: []string{"GET"}, Pattern: pattern, Action: authz.FlowView, Stream: true, Upgrade: true, Page: true},
		{Name: name + ".write", Methods: []string{"POST", "PUT", "PATCH", "DELETE"}, Pattern: pattern, Action: authz.FlowEdit, Stream: true},
	}
}
