package console

import (
	"context"
	"io"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sluice/internal/authz"
	"sluice/internal/mail"
)

// mailbox is a real SMTP server that keeps what it gets.
type mailbox struct {
	config mail.SMTP
	mu     sync.Mutex
	mails  []string // recipient, line end, message
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	m := &mailbox{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{box: m}, nil }))
	server.Domain, server.AllowInsecureAuth = "mail.example.test", true
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(t, err)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	host, port, err := net.SplitHostPort(l.Addr().String())
	fatal(t, err)
	number, err := strconv.Atoi(port)
	fatal(t, err)
	m.config = mail.SMTP{Host: host, Port: number, Timeout: 10 * time.Second}
	return m
}

// delivery is one conversation with the mailbox.
type delivery struct {
	box *mailbox
	to  string
}

func (d *delivery) Reset()                                    {}
func (d *delivery) Logout() error                             { return nil }
func (d *delivery) Mail(string, *smtp.MailOptions) error      { return nil }
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error { d.to = to; return refuse(to) }

func refuse(to string) error {
	if strings.HasPrefix(to, "refused@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.mails = append(d.box.mails, d.to+"\n"+strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(string(b)))
	return err
}

var tokenLink = regexp.MustCompile(`http://[^\s"<>]+\?token=[A-Za-z0-9_-]+`)

// link delivers what waits and returns the path of the link in the last mail to an address; "" for
// none.
func (s *site) link(box *mailbox, to string) string {
	s.t.Helper()
	fatal(s.t, s.mail.Deliver(context.Background(), s.clock.now()))
	box.mu.Lock()
	defer box.mu.Unlock()
	for i := len(box.mails) - 1; i >= 0; i-- {
		if recipient, text, _ := strings.Cut(box.mails[i], "\n"); recipient == to {
			return strings.TrimPrefix(tokenLink.FindString(text), s.url)
		}
	}
	return ""
}

func withMail(box *mailbox) func(*options) { return func(o *options) { o.smtp = box.config } }

func TestSignUp_WithoutMail(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	b := s.browser()
	hasNot(t, b.get("/login").body, "a[href=/signup]")
	b.get("/signup").want(t, 404, "")
	b.post("/signup", "username", "eve", "password", "a completely different phrase").want(t, 404, "")

	s = newSite(t, func(o *options) { o.openSignUp = true })
	s.add("root", "superuser")
	b, root := s.browser(), s.signedIn("root")
	has(t, b.get("/login").body, "a[href=/signup]")
	has(t, b.get("/signup").want(t, 200, "").body, "input[name=username][required]")
	weak := b.post("/signup", "username", "eve", "password", "short").want(t, 400, "")
	has(t, weak.body, "input[name=password][aria-invalid=true]", "input[name=username][value=eve]")
	says(
		t,
		b.post(
			"/signup",
			"username", "eve",
			"password", "a completely different phrase",
			"superuser", "true",
			"role", "admin",
			"active", "true",
		).want(t, 200, "").body,
		"Waiting for approval",
	)
	says(
		t,
		b.post("/login", "identifier", "eve", "password", "a completely different phrase").want(t, 403, "").body,
		"waiting for approval",
	)
	b.post("/signup", "username", "EVE", "password", "a completely different phrase").want(t, 409, "")

	list := main(root.get("/admin").want(t, 200, "").body)
	if eve, own := strings.Index(list, "eve"), strings.Index(list, ">The root<"); eve < 0 || own < 0 || eve > own {
		t.Error("who waits does not come first")
	}
	action := selectAll(list, "form[method=post]")
	for _, f := range action {
		if strings.HasSuffix(f.attrs["action"], "/active") {
			root.post(f.attrs["action"], "on", "true", "return", "/admin").want(t, 303, "/admin")
		}
	}
	b.post("/login", "identifier", "eve", "password", "a completely different phrase").want(t, 303, "/")
	b.get("/admin").want(t, 303, "/flows")
	b.get("/signup").want(t, 303, "/")

	s = newSite(t, func(o *options) { o.openSignUp, o.newUserActive = true, true })
	b = s.browser()
	b.post("/signup", "username", "eve", "password", "a completely different phrase").want(t, 303, "/login")
	says(t, b.get("/login").body, "Your account is ready")
}

func TestSignUp_ByMail(t *testing.T) {
	t.Parallel()
	box := newMailbox(t)
	s := newSite(t, withMail(box), func(o *options) { o.openSignUp, o.newUserActive = true, true })
	s.add("ann", "viewer")
	b := s.browser()
	const password = "a completely different phrase"
	has(
		t,
		b.post("/signup", "username", "eve", "password", password).want(t, 400, "").body,
		"input[name=email][aria-invalid=true]",
	)
	fresh := b.post("/signup", "username", "eve", "email", "eve@example.test", "password", password).want(t, 200, "")
	taken := b.post("/signup", "username", "eva", "email", "ann@example.test", "password", password).want(t, 200, "")
	if strings.ReplaceAll(main(fresh.body), "eve@example.test", "X") != strings.ReplaceAll(
		main(taken.body),
		"ann@example.test",
		"X",
	) {
		t.Error("the answer tells whether an address has an account")
	}
	path := s.link(box, "eve@example.test")
	if !strings.HasPrefix(path, "/verify?token=") {
		t.Fatalf("the mail leads to %q", path)
	}
	scanner := s.browser()
	scanner.get(path).want(t, 303, "/verify")
	b.post("/login", "identifier", "eve", "password", password).want(t, 303, "/login/verify")

	b.get(path).want(t, 303, "/verify")
	says(t, b.get("/verify").want(t, 200, "").body, "eve@example.test")
	says(t, b.post("/verify").want(t, 200, "").body, "Your address is confirmed")
	b.post("/login", "identifier", "eve", "password", password).want(t, 303, "/")
	says(t, b.get("/account").body, "Confirmed")
	scanner.post("/verify").want(t, 410, "")
	b.get(path).want(t, 410, "")
}

// TestSignUp_TokensOfOtherPages: every page takes only its own tokens, none of them twice, and none
// after its time.
func TestSignUp_TokensOfOtherPages(t *testing.T) {
	t.Parallel()
	box := newMailbox(t)
	s := newSite(t, withMail(box))
	root, ann := s.add("root", "superuser"), s.add("ann", "viewer")
	b, theirs := s.signedIn("root"), s.signedIn("ann")
	_ = root
	person := b.post("/admin/people/"+ann.ID+"/reset-link").want(t, 200, "").body
	resetLink := selectAll(person, "input[id=one-time-link]")[0].attrs["value"]
	theirs.post("/account/verify").want(t, 303, "/account")
	verifyLink := s.link(box, "ann@example.test")
	workspace := b.post("/workspaces/default/invitations", "email", "new@example.test", "role", "viewer").
		want(t, 200, "").body
	inviteLink := selectAll(workspace, "input[id=invitation-link]")[0].attrs["value"]
	theirs.post("/account/email", "email", "ann@example.org", "password", goodPassword).want(t, 303, "/account")
	emailLink := s.link(box, "ann@example.org")

	links := map[string]string{"/reset": resetLink, "/verify": verifyLink, "/invite": inviteLink, "/email": emailLink}
	for own, link := range links {
		token := link[strings.Index(link, "token="):]
		for page := range links {
			want, to := 404, ""
			if page == own {
				want, to = 303, page
			}
			s.browser().get(page+"?"+token).want(t, want, to)
		}
	}
	for page, link := range links {
		for _, garbage := range []string{
			"",
			"?token=",
			"?token=x",
			"?token=" + strings.Repeat("a", 300),
			"?token=%00%ff",
			"?token=" + url.QueryEscape(link),
		} {
			if got := s.browser().get(page + garbage); got.status != 404 {
				t.Errorf("%s%.40s gives %d", page, garbage, got.status)
			}
		}
		if got := s.browser().post(page); got.status != 404 {
			t.Errorf("POST %s without a token gives %d", page, got.status)
		}
	}
	s.clock.forward(25 * time.Hour)
	for page, link := range links {
		if got := s.browser().get(page + link[strings.Index(link, "?token="):]); got.status != 410 {
			t.Errorf("%s after its time gives %d", page, got.status)
		}
	}
}

// TestMailedFirstPassword: an account without a password gets its link by mail, and the admin does
// not see it.
func TestMailedFirstPassword(t *testing.T) {
	t.Parallel()
	box := newMailbox(t)
	s := newSite(t, withMail(box))
	s.add("root", "superuser")
	b := s.signedIn("root")
	shown := b.post("/admin/people", "username", "new", "email", "new@example.test").want(t, 200, "").body
	old := selectAll(shown, "input[id=one-time-link]")[0].attrs["value"]
	mailed := actionOf(shown, "/reset-mail")
	page := strings.TrimSuffix(mailed, "/reset-mail")
	b.post(mailed).want(t, 303, page)
	says(t, b.get(page).body, "on its way to them by mail")
	path := s.link(box, "new@example.test")
	s.browser().get(strings.TrimPrefix(old, s.url)).want(t, 404, "")
	guest := s.browser()
	guest.get(path).want(t, 303, "/reset")
	guest.post("/reset", "password", "a completely different phrase").want(t, 303, "/")
	guest.get("/flows").want(t, 200, "")

	b.post("/admin/people", "username", "plain").want(t, 200, "")
	plain, err := s.people.Find(context.Background(), authz.SystemPrincipal("test"), "plain")
	fatal(t, err)
	hasNot(t, b.get("/admin/people/"+plain.ID).body, "form[action=/admin/people/"+plain.ID+"/reset-mail]")
	says(t, b.post("/admin/people/"+plain.ID+"/reset-mail").want(t, 409, "").body, "has no email address")
}

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	says(t, newSite(t).browser().get("/forgot").want(t, 200, "").body, "Ask an admin")
	box := newMailbox(t)
	s := newSite(t, withMail(box))
	s.add("ann", "viewer")
	b, elsewhere := s.browser(), s.signedIn("ann")
	has(t, b.get("/forgot").want(t, 200, "").body, "input[name=identifier][required]")
	b.post("/forgot").want(t, 400, "")
	known := b.post("/forgot", "identifier", "ann").want(t, 200, "")
	unknown := b.post("/forgot", "identifier", "nobody@example.test").want(t, 200, "")
	if main(known.body) != main(unknown.body) {
		t.Error("the answer tells whether there is such an account")
	}
	b.post("/forgot", "identifier", strings.Repeat("a", 300)).want(t, 200, "")
	s.signUps.Close() // finish work that was answered in advance
	path := s.link(box, "ann@example.test")
	b.get(path).want(t, 303, "/reset")
	b.post("/reset", "password", "a completely different phrase").want(t, 303, "/")
	elsewhere.get("/account").want(t, 303, "/login?return=%2Faccount")
	if got := s.browser().get(path); got.status != 404 && got.status != 410 {
		t.Errorf("a used link gives %d", got.status)
	}
	s.browser().post("/login", "identifier", "ann", "password", goodPassword).want(t, 401, "")
}

func TestChangeOfAddress(t *testing.T) {
	t.Parallel()
	box := newMailbox(t)
	s := newSite(t, withMail(box))
	s.add("ann", "viewer")
	b := s.signedIn("ann")
	wrongOne := b.post("/account/email", "email", "ann@example.org", "password", "not it").want(t, 400, "")
	says(t, wrongOne.body, "password is wrong")
	has(t, wrongOne.body, "input[id=f-email-password][aria-invalid=true]", "input[name=email][value=ann@example.org]")
	has(
		t,
		b.post("/account/email", "email", "аnn@example.org", "password", goodPassword).want(t, 400, "").body,
		"input[name=email][aria-invalid=true]",
	)

	b.post("/account/email", "email", "ann@example.org", "password", goodPassword).want(t, 303, "/account")
	fresh, old := s.link(box, "ann@example.org"), s.link(box, "ann@example.test")
	b.get(fresh).want(t, 303, "/email")
	says(t, b.post("/email").want(t, 200, "").body, "One address is confirmed")
	says(t, b.get("/account").body, "ann@example.test")
	b.get(old).want(t, 303, "/email")
	says(t, b.get("/email").want(t, 200, "").body, "instead of this one", "No, stop the change")
	says(t, b.post("/email").want(t, 200, "").body, "Your address is changed")
	says(t, b.get("/account").body, "ann@example.org")

	b.post("/account/email", "email", "ann@example.net", "password", goodPassword).want(t, 303, "/account")
	old = s.link(box, "ann@example.org")
	b.get(old).want(t, 303, "/email")
	says(t, b.post("/email/cancel").want(t, 200, "").body, "The change is stopped")
	if got := b.get(s.link(box, "ann@example.net")); got.status != 404 && got.status != 410 {
		t.Errorf("the other end of a stopped change gives %d", got.status)
	}
}

func TestInvitationByLink(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	s.add("bob", "viewer")
	b, bob := s.signedIn("root"), s.signedIn("bob")
	w, err := s.people.CreateWorkspace(context.Background(), authz.SystemPrincipal("test"), "Research")
	fatal(t, err)
	page := "/workspaces/" + w.ID
	made := b.post(page+"/invitations", "email", "new@example.test", "role", "user").want(t, 200, "")
	says(t, made.body, "new@example.test is invited as User", "sends no mail", "Open invitations")
	first := linkIn(s, made.body)
	action := actionOf(made.body, "/renew")
	second := linkIn(s, b.post(action).want(t, 200, "").body)
	if got := s.browser().get(first); got.status != 404 && got.status != 410 {
		t.Errorf("a renewed invitation's former link gives %d", got.status)
	}

	bob.get(second).want(t, 303, "/invite")
	says(t, bob.get("/invite").want(t, 200, "").body, "You are signed in as bob", "different address")
	bob.post("/invite").want(t, 403, "")
	guest := s.browser()
	guest.get(second).want(t, 303, "/invite")
	has(t, guest.get("/invite").want(t, 200, "").body, "input[name=username][required]")
	has(
		t,
		guest.post("/invite", "username", "новый", "password", "a completely different phrase").want(t, 400, "").body,
		"input[name=username][aria-invalid=true]",
	)
	has(
		t,
		guest.post("/invite", "username", "new", "password", "short").want(t, 400, "").body,
		"input[name=password][aria-invalid=true]",
		"input[name=username][value=new]",
	)
	guest.post("/invite", "username", "new", "password", "a completely different phrase", "role", "admin").
		want(t, 303, "/flows")
	says(t, guest.get("/flows").want(t, 200, "").body, "Welcome", "Flows in Research")
	says(t, guest.get("/workspaces").body, "you are User")
	s.browser().get(second).want(t, 410, "")

	added := b.post(page+"/invitations", "email", "bob@example.test", "role", "viewer").want(t, 200, "")
	says(t, added.body, "bob@example.test belongs to the workspace now")
	b.post(page+"/invitations", "email", "bob@example.test", "role", "viewer").want(t, 409, "")
	gone := b.post(page+"/invitations", "email", "late@example.test", "role", "viewer").want(t, 200, "")
	b.post(actionOf(gone.body, "/revoke")).want(t, 303, page)
	if got := s.browser().get(linkIn(s, gone.body)); got.status != 404 && got.status != 410 {
		t.Errorf("an invitation that was taken back gives %d", got.status)
	}
	for _, bad := range [][2]string{
		{"", "viewer"},
		{"no address", "viewer"},
		{"а@example.test", "viewer"},
		{strings.Repeat("a", 250) + "@example.test", "viewer"},
		{"x@example.test", "emperor"},
		{"x@example.test", ""},
	} {
		if got := b.post(page+"/invitations", "email", bad[0], "role", bad[1]); got.status != 400 {
			t.Errorf("inviting %.20q as %q gives %d", bad[0], bad[1], got.status)
		}
	}
}

// TestInvitation_ExistingAccount signs in first and joins then.
func TestInvitation_ExistingAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	b := s.signedIn("root")
	w, err := s.people.CreateWorkspace(context.Background(), authz.SystemPrincipal("test"), "Research")
	fatal(t, err)
	link := linkIn(
		s,
		b.post("/workspaces/"+w.ID+"/invitations", "email", "cid@example.test", "role", "user").want(t, 200, "").body,
	)
	s.add("cid", "viewer")
	guest := s.browser()
	guest.get(link).want(t, 303, "/invite")
	has(t, guest.get("/invite").want(t, 200, "").body, "a[href=/login?return=%2Finvite]")
	guest.post("/login", "identifier", "cid", "password", goodPassword, "return", "/invite").want(t, 303, "/invite")
	says(t, guest.get("/invite").want(t, 200, "").body, "Join as cid")
	guest.post("/invite").want(t, 303, "/flows")
	says(t, guest.get("/workspaces").body, "Research")
	guest.get("/invite").want(t, 404, "")
}

func linkIn(s *site, page string) string {
	s.t.Helper()
	inputs := selectAll(page, "input[id=invitation-link]")
	if len(inputs) == 0 {
		s.t.Fatal("the page shows no link")
	}
	return strings.TrimPrefix(inputs[0].attrs["value"], s.url)
}

// actionOf is the address of the last form whose address ends so.
func actionOf(page, suffix string) string {
	action := ""
	for _, f := range selectAll(page, "form[method=post]") {
		if strings.HasSuffix(f.attrs["action"], suffix) {
			action = f.attrs["action"]
		}
	}
	return action
}
