package console

import (
	"context"
	"strings"
	"testing"

	"sluice/internal/mail"
)

func TestMail_WithoutServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	b := s.signedIn("root")
	says(t, b.get("/admin/mail").want(t, 200, "").body, "This Sluice sends no mail", "SMTP_HOST")
	if got := b.post("/admin/mail/test", "to", "ann@example.test"); got.status != 503 {
		t.Errorf("a test without a server gives %d", got.status)
	}
}

func TestMailPage(t *testing.T) {
	t.Parallel()
	box := newMailbox(t)
	s := newSite(t, withMail(box))
	s.add("root", "superuser")
	b := s.signedIn("root")
	says(t, b.get("/admin/mail").want(t, 200, "").body, "Ready", "No mail yet")

	good := b.post("/admin/mail/test", "to", "ann@example.test").want(t, 200, "")
	says(t, good.body, "has accepted the mail", "RCPT TO", "250")
	bad := b.post("/admin/mail/test", "to", "refused@example.test").want(t, 200, "")
	says(t, bad.body, "It failed at: recipient", "550")
	has(
		t,
		b.post("/admin/mail/test", "to", "not an address").want(t, 400, "").body,
		"input[name=to][aria-invalid=true]",
	)
	b.post("/admin/mail/test").want(t, 400, "")

	b.post("/workspaces/default/invitations", "email", "refused@example.test", "role", "viewer").want(t, 200, "")
	waiting := b.get("/admin/mail?state=waiting").want(t, 200, "").body
	says(t, waiting, "refused@example.test", "Waiting")
	if tokenLink.MatchString(main(waiting)) {
		t.Error("the outbox shows a live link")
	}
	fatal(t, s.mail.Deliver(context.Background(), s.clock.now()))
	failed := b.get("/admin/mail?state=failed&q=refused").want(t, 200, "").body
	says(t, failed, "550", "1 mail")
	b.post(actionOf(failed, "/retry")).want(t, 303, "/admin/mail")
	says(t, b.get("/admin/mail?state=waiting").body, "refused@example.test")
	b.post(actionOf(failed, "/discard")).want(t, 303, "/admin/mail")
	b.post(actionOf(failed, "/discard")).want(t, 409, "")
	says(t, b.get("/admin/mail?state=discarded").body, "refused@example.test")
	b.post("/admin/mail/nothing/retry").want(t, 404, "")
	says(t, b.get("/admin/mail?state=nonsense").want(t, 200, "").body, "refused@example.test")
	says(t, b.get("/admin/mail?q=nobody").body, "No such mail")
}

func TestMailPreviews(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	b := s.signedIn("root")
	for _, kind := range mail.Previews() {
		page := b.get("/admin/mail/previews/"+kind).want(t, 200, "")
		has(t, page.body, "iframe[sandbox]", "a[aria-current=page]")
		if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-src 'self'") ||
			strings.Contains(csp, "unsafe") {
			t.Errorf("%s: the page's policy is %q", kind, csp)
		}
		html := b.get("/admin/mail/previews/"+kind+"/html").want(t, 200, "")
		csp := html.header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "sandbox;") || strings.Contains(csp, "script") ||
			html.header.Get("X-Frame-Options") != "SAMEORIGIN" {
			t.Errorf("%s: the mail's policy is %q, framing %q", kind, csp, html.header.Get("X-Frame-Options"))
		}
		if !strings.Contains(html.body, "<html") {
			t.Errorf("%s: no HTML", kind)
		}
	}
	b.get("/admin/mail/previews/nothing").want(t, 404, "")
	b.get("/admin/mail/previews/nothing/html").want(t, 404, "")
}
