package langflow

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sluice/internal/builder"
	"sluice/internal/problem"
)

// The releases of Langflow (1.x) that Sluice was built with, by their second number.
const (
	oldest = 6
	newest = 13
	// firstExternal is the first release that verifies foreign tokens, see External.
	firstExternal = 10
)

// probe recognizes Langflow by its version answer.
func probe(ctx context.Context, v *builder.Visit) (builder.Found, bool, error) {
	version, err := v.Get(ctx, "/api/v1/version")
	if err != nil {
		return builder.Found{}, false, err
	}
	pkg, number := version.Text("package"), version.Text("version")
	if !strings.HasPrefix(pkg, "Langflow") {
		return unusable(ctx, v, version)
	}
	product := number
	if base, ok := strings.CutPrefix(number, "0."); ok && strings.Contains(pkg, "Base") {
		product = "1." + base // until 1.11 langflow-base was numbered one major version behind
	}
	minor, ok := minorVersion(product)
	if !ok {
		return builder.Found{}, false, problem.Newf(problem.Invalid, "This is %.40s %.20s. Sluice supports "+
			"Langflow 1 only.", pkg, number).
			WithField("url").
			WithNext("Update Langflow to 1.13.0.")
	}
	f := builder.Found{
		Version: builder.Clip(product, 20), OwnerState: builder.OwnerPresent,
		Evidence: fmt.Sprintf("/api/v1/version says %.40s %.20s.", pkg, number),
	}
	if err := checkHealth(ctx, v); err != nil {
		return builder.Found{}, false, err
	}
	session, err := v.Get(ctx, "/api/v1/session")
	if err != nil {
		return builder.Found{}, false, err
	}
	auto, err := v.Get(ctx, "/api/v1/auto_login")
	if err != nil {
		return builder.Found{}, false, err
	}
	_, asks := session.Object()["authenticated"]
	f.Supports, f.Note = supports(minor, asks), strings.Join(notes(minor, auto.Text("access_token") != ""), " ")
	return f, true, nil
}

// unusable distinguishes a Langflow that is broken, or too old to name its package, from other
// servers.
func unusable(ctx context.Context, v *builder.Visit, version *builder.Reply) (builder.Found, bool, error) {
	root, err := v.Get(ctx, "/")
	if err != nil {
		return builder.Found{}, false, err
	}
	named := builder.PageTitle(root) == "Langflow"
	switch {
	case named && (version.Status >= 500 || version.Status == http.StatusTooManyRequests):
		return builder.Found{}, false, problem.Newf(problem.Upstream, "Langflow's page loads, but "+
			"/api/v1/version answers %d.", version.Status).
			WithField("url").
			WithNext("Wait until it has started, or see its log.")
	case named && version.Object() == nil:
		return builder.Found{}, false, problem.Newf(problem.Upstream, "Langflow's page loads, but "+
			"/api/v1/version answers %d without JSON.", version.Status).
			WithField("url").
			WithNext("Use the address of Langflow itself, not of a server that only serves its pages or redirects.")
	case version.Text("version") == "":
		return builder.Found{}, false, nil
	}
	health, err := v.Get(ctx, "/health_check")
	if err != nil {
		return builder.Found{}, false, err
	}
	if _, ok := health.Object()["chat"]; !ok && !named {
		return builder.Found{}, false, nil
	}
	return builder.Found{}, false, problem.Newf(problem.Invalid, "This is Langflow %.20s. Sluice supports "+
		"Langflow 1 only, from a release that names its package.", version.Text("version")).
		WithField("url").
		WithNext("Update Langflow to 1.13.0.")
}

// minorVersion is the second number of a version 1.x.
func minorVersion(version string) (int, bool) {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return n, major == "1" && err == nil && n >= 0
}

// checkHealth checks that Langflow reports itself healthy.
func checkHealth(ctx context.Context, v *builder.Visit) error {
	health, err := v.Get(ctx, "/health_check")
	if err != nil {
		return err
	}
	for _, part := range [...]struct{ key, what string }{{"db", "its database"}, {"chat", "its chat service"}} {
		if state := health.Text(part.key); state != "ok" {
			return problem.Newf(problem.Upstream, "Langflow answers, but reports trouble with %s.", part.what).
				WithField("url").
				WithNext("See Langflow's log.")
		}
	}
	return nil
}

// supports lists in sentences how people can be carried into a release, and which features it has
// or lacks.
func supports(minor int, session bool) []string {
	var list []string
	if minor >= firstExternal {
		list = append(
			list,
			"It can verify tokens that Sluice signs (external authentication), once its "+
				"LANGFLOW_EXTERNAL_AUTH_… variables are set.",
		)
	} else {
		list = append(list, "It cannot verify tokens that Sluice signs: external authentication starts with 1.10.")
	}
	list = append(list, "It accepts tokens signed with its LANGFLOW_SECRET_KEY, if Sluice has the same key.",
		"Sluice can sign its accounts in with passwords, at most 5 times per minute.")
	if !session {
		list = append(
			list,
			"It does not report who is signed in (GET /api/v1/session, from 1.7): its pages read a cookie "+
				"instead, which Sluice provides.",
		)
	}
	return list
}

// notes are the warnings for the admin.
func notes(minor int, automatic bool) []string {
	var notes []string
	if automatic {
		notes = append(
			notes,
			"LANGFLOW_AUTO_LOGIN is on there: anyone who bypasses Sluice is Langflow's superuser. Start it with "+
				"LANGFLOW_AUTO_LOGIN=False.",
		)
	}
	switch {
	case minor > newest:
		notes = append(
			notes,
			fmt.Sprintf(
				"It is newer than 1.%d, for which Sluice was built: newer features are closed.",
				newest,
			),
		)
	case minor < oldest:
		notes = append(
			notes,
			fmt.Sprintf(
				"It is older than 1.%d, the oldest release tested with Sluice; some of its pages may not work.",
				oldest,
			),
		)
	}
	return notes
}
