package profile

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sluice/internal/problem"
)

// The releases of Langflow (1.x) with which Sluice was built, by the second number.
const (
	langflowOldest = 6
	langflowNewest = 13
	// langflowExternal is the first that verifies tokens of others, see BridgeExternal.
	langflowExternal = 10
)

// probeLangflow recognises Langflow by what it says of its version.
func probeLangflow(ctx context.Context, c *client, root, version *reply) (Found, bool, error) {
	pkg, number := version.text("package"), version.text("version")
	if !strings.HasPrefix(pkg, "Langflow") {
		return nearlyLangflow(ctx, c, root, version)
	}
	product := number
	if base, ok := strings.CutPrefix(number, "0."); ok && strings.Contains(pkg, "Base") {
		product = "1." + base // until 1.11 langflow-base was numbered one behind
	}
	minor, ok := langflowMinor(product)
	if !ok {
		return Found{}, false, problem.Newf(problem.Invalid, "This is %.40s %.20s. Sluice carries people into Langflow 1 only.", pkg, number).
			WithField("url").WithNext("Update Langflow to 1.13.0.")
	}
	f := Found{
		Kind: KindLangflow, Title: "Langflow", Version: clip(product, 20), OwnerState: OwnerPresent,
		Evidence: fmt.Sprintf("/api/v1/version says %.40s %.20s.", pkg, number),
	}
	if err := checkLangflow(ctx, c); err != nil {
		return Found{}, false, err
	}
	session, err := c.send(ctx, http.MethodGet, "/api/v1/session", "", nil)
	if err != nil {
		return Found{}, false, err
	}
	auto, err := c.send(ctx, http.MethodGet, "/api/v1/auto_login", "", nil)
	if err != nil {
		return Found{}, false, err
	}
	_, asks := session.object()["authenticated"]
	f.Supports, f.Note = langflowSupports(minor, asks), strings.Join(langflowNotes(minor, auto.text("access_token") != ""), " ")
	return f, true, nil
}

// nearlyLangflow tells a Langflow that is not in order, or too old to name itself, from what is none.
func nearlyLangflow(ctx context.Context, c *client, root, version *reply) (Found, bool, error) {
	named := titleOf(root) == "Langflow"
	switch {
	case named && (version.status >= 500 || version.status == http.StatusTooManyRequests):
		return Found{}, false, problem.Newf(problem.Upstream, "Langflow's page is here, but /api/v1/version answers %d.", version.status).
			WithField("url").WithNext("Wait until it has started, or see its own log.")
	case named && version.object() == nil:
		return Found{}, false, problem.Newf(problem.Upstream, "Langflow's page is here, but /api/v1/version answers %d and no JSON.", version.status).
			WithField("url").WithNext("Use the address of Langflow itself, and not one of a server that gives out only its pages or redirects.")
	case version.text("version") == "":
		return Found{}, false, nil
	}
	health, err := c.send(ctx, http.MethodGet, "/health_check", "", nil)
	if err != nil {
		return Found{}, false, err
	}
	if _, ok := health.object()["chat"]; !ok && !named {
		return Found{}, false, nil
	}
	return Found{}, false, problem.Newf(problem.Invalid, "This is Langflow %.20s. Sluice carries people into Langflow 1 only, from a release that names its package.", version.text("version")).
		WithField("url").WithNext("Update Langflow to 1.13.0.")
}

// langflowMinor is the second number of a version 1.x.
func langflowMinor(version string) (int, bool) {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return n, major == "1" && err == nil && n >= 0
}

// checkLangflow asks whether it is in order.
func checkLangflow(ctx context.Context, c *client) error {
	health, err := c.send(ctx, http.MethodGet, "/health_check", "", nil)
	if err != nil {
		return err
	}
	for _, part := range [...]struct{ key, what string }{{"db", "its database"}, {"chat", "its chat service"}} {
		if state := health.text(part.key); state != "ok" {
			return problem.Newf(problem.Upstream, "Langflow answers, but reports trouble with %s.", part.what).WithField("url").WithNext("See Langflow's own log.")
		}
	}
	return nil
}

// langflowSupports says in sentences how people can be carried into a release, and what it has that others have not.
func langflowSupports(minor int, session bool) []string {
	var list []string
	if minor >= langflowExternal {
		list = append(list, "It can verify tokens that Sluice signs (external authentication), once its LANGFLOW_EXTERNAL_AUTH_… variables are set.")
	} else {
		list = append(list, "It cannot verify tokens that Sluice signs: external authentication began with 1.10.")
	}
	list = append(list, "It takes tokens that are signed with its LANGFLOW_SECRET_KEY, if Sluice has the same.",
		"Sluice can sign its accounts in with passwords, at most 5 times a minute.")
	if !session {
		list = append(list, "It does not say who is signed in (GET /api/v1/session, from 1.7): its pages read a cookie instead, which Sluice provides.")
	}
	return list
}

// langflowNotes are the warnings for the admin.
func langflowNotes(minor int, automatic bool) []string {
	var notes []string
	if automatic {
		notes = append(notes, "LANGFLOW_AUTO_LOGIN is on there: whoever reaches Langflow around Sluice is its superuser. Start it with LANGFLOW_AUTO_LOGIN=False.")
	}
	switch {
	case minor > langflowNewest:
		notes = append(notes, fmt.Sprintf("It is newer than 1.%d, with which Sluice was built: what it has gained since is closed.", langflowNewest))
	case minor < langflowOldest:
		notes = append(notes, fmt.Sprintf("It is older than 1.%d, with which Sluice was tried last; some of its pages may not work.", langflowOldest))
	}
	return notes
}
