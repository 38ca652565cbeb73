package proxy

import (
	"net/http"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/problem"
)

// checkUpgrade judges a request to leave HTTP. WebSocket (RFC 6455) is the only protocol that is let through, where the endpoint has it,
// for signed-in people, from pages of the app itself: browsers send cookies with WebSocket handshakes of any page and ask no CORS
// question, so that the Origin header is the whole defence (RFC 6455 section 10.2).
func (x *exchange) checkUpgrade() error {
	upgrade := x.r.Header["Upgrade"]
	if upgrade == nil {
		return nil
	}
	if len(upgrade) != 1 || !strings.EqualFold(upgrade[0], "websocket") || x.r.Method != http.MethodGet {
		return problem.New(problem.Invalid, "Only WebSocket connections can be upgraded here.").WithField("Upgrade").WithRule("upgrade")
	}
	if !x.who.SignedIn() {
		return needSignIn()
	}
	if !x.match.Endpoint.Upgrade {
		return problem.New(problem.Invalid, "There is no WebSocket at this address.").WithField("Upgrade").WithRule("upgrade")
	}
	if origin := x.r.Header["Origin"]; len(origin) != 1 || !strings.EqualFold(origin[0], x.appOrigin()) {
		return problem.New(problem.Denied, "WebSocket connections are taken from the app's own pages only.").WithField("Origin").WithRule("upgrade.origin")
	}
	return x.check(authz.FlowRun)
}

// upgrading reports whether the request asks for another protocol; checkUpgrade has judged it.
func (x *exchange) upgrading() bool { return x.r.Header["Upgrade"] != nil }
