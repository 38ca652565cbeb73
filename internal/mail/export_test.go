package mail

import (
	"context"
	"net"
)

// RenderInvite renders an invitation with an operator's template.
func RenderInvite(t *Template, workspace, link string) (string, bool) {
	return t.html(WorkspaceInvite{WorkspaceName: workspace, RegisterLink: link})
}

// SignInOver signs in over a connection that is not encrypted and not to this machine.
func SignInOver(c net.Conn) error {
	d := &dialogue{SMTP: SMTP{User: "u", Password: "p"}, raw: c}
	return d.signIn(context.Background())
}

// ErrUnprotected is what SignInOver must return.
var ErrUnprotected = errUnprotected

// Check is Address.check.
func Check(a Address) error { return a.check() }

// Samples are the mails that the previews show.
var Samples = samples
