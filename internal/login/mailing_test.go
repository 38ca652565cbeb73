package login_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/problem"
)

const newPassword = "another fine sentence here"

func (h *house) principal(t testing.TB, id string) authz.Principal {
	t.Helper()
	p, ok := h.people.Principal(id)
	if !ok {
		t.Fatalf("%s is not active", id)
	}
	return p
}

func (h *house) root(t testing.TB) authz.Principal {
	t.Helper()
	u, err := h.people.Create(context.Background(), cli, identity.NewUser{Username: "root", Email: "root@example.com", Password: password, Superuser: true, Active: true})
	if err != nil {
		t.Fatal(err)
	}
	return h.principal(t, u.ID)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what + ": never")
		}
	}
}

func nothing(*login.Config) {}

func TestForgottenPassword(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		h.add(t, "ann")
		for _, who := range []string{"nobody@example.com", "ann@example.com", strings.Repeat("x", 5000), ""} {
			if err := h.logins.RequestReset(ctx, who, "192.0.2.1"); err != nil {
				t.Errorf("%.30q: %v; everybody gets the same answer", who, err)
			}
		}
		until(t, "the mail", func() bool { return h.post.count() == 1 })
		// The mail is seen when it is written; its link works when that is committed.
		until(t, "the link", func() bool { _, err := h.logins.CheckReset(ctx, h.post.token(t, 1)); return err == nil })
		if _, err := h.logins.Reset(ctx, h.post.token(t, 1), newPassword, authn.Meta{}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.try("ann", newPassword, "192.0.2.1", ""); err != nil {
			t.Errorf("the new password: %v", err)
		}
		limited := false
		for range 30 {
			limited = limited || problem.Is(h.logins.RequestReset(ctx, "ann", "192.0.2.1"), problem.Limited)
		}
		if !limited {
			t.Error("a mailbox can be flooded")
		}
		h.logins.Close()
		if n := h.post.count(); n > 8 {
			t.Errorf("%d mails to one person", n)
		}
	})
}

func TestForgottenPasswordWithoutMail(t *testing.T) {
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	if err := h.logins.RequestReset(context.Background(), "ann", "192.0.2.1"); !problem.Is(err, problem.Unavailable) {
		t.Errorf("%v, want unavailable with the way out", err)
	}
}

func TestSignUp(t *testing.T) {
	newbie := identity.NewUser{Username: "newbie", Email: "newbie@example.com", Password: password, Superuser: true, Role: authz.RoleAdmin, Active: true}
	ctx := context.Background()
	t.Run("closed", func(t *testing.T) {
		h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
		if _, err := h.logins.SignUp(ctx, newbie, authn.Meta{}); !problem.Is(err, problem.Denied) {
			t.Errorf("%v, want denied", err)
		}
	})
	t.Run("waits for approval", func(t *testing.T) {
		h := build(t, dbtest.SQLite(t), bcrypt.MinCost).with(t, func(c *login.Config) { c.OpenSignUp = true })
		state, err := h.logins.SignUp(ctx, newbie, authn.Meta{IP: "192.0.2.1"})
		if err != nil || state != login.SignUpWaiting {
			t.Fatalf("%v, %v", state, err)
		}
		_, err = h.try("newbie", password, "192.0.2.1", "")
		if e := problem.Of(err); e.Kind != problem.Denied || !strings.Contains(e.Detail, "waiting for approval") {
			t.Errorf("before approval: %v", err)
		}
		if _, err := h.try("newbie", "wrong", "192.0.2.1", ""); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("a wrong password tells about the account: %v", err)
		}
		u, err := h.people.Find(ctx, cli, "newbie")
		if err != nil || u.Superuser || u.Role != authz.RoleViewer {
			t.Errorf("rights that were asked for are given: %+v, %v", u, err)
		}
		if _, err := h.logins.SignUp(ctx, newbie, authn.Meta{IP: "192.0.2.1"}); !problem.Is(err, problem.Conflict) {
			t.Errorf("a taken name: %v", err)
		}
	})
	t.Run("active at once", func(t *testing.T) {
		h := build(t, dbtest.SQLite(t), bcrypt.MinCost).with(t, func(c *login.Config) { c.OpenSignUp, c.NewUserActive = true, true })
		if state, err := h.logins.SignUp(ctx, newbie, authn.Meta{}); err != nil || state != login.SignUpDone {
			t.Fatalf("%v, %v", state, err)
		}
		if _, err := h.try("newbie", password, "192.0.2.1", ""); err != nil {
			t.Error(err)
		}
	})
	t.Run("with mail", func(t *testing.T) {
		h := build(t, dbtest.SQLite(t), bcrypt.MinCost).withMail(t, func(c *login.Config) { c.OpenSignUp, c.NewUserActive = true, true })
		h.add(t, "ann")
		fresh, err1 := h.logins.SignUp(ctx, newbie, authn.Meta{IP: "192.0.2.1"})
		known, err2 := h.logins.SignUp(ctx, identity.NewUser{Username: "other", Email: "ANN@example.com", Password: password}, authn.Meta{IP: "192.0.2.1"})
		if err1 != nil || err2 != nil || fresh != login.SignUpCheckMail || known != fresh {
			t.Fatalf("a new address: %v %v; a known one: %v %v; they must not differ", fresh, err1, known, err2)
		}
		until(t, "both mails", func() bool { return h.post.count() == 2 })
		waiting, err := h.logins.Password(ctx, login.Attempt{Identifier: "newbie", Password: password, IP: "192.0.2.1"})
		if err != nil || waiting.Step != login.StepVerify || waiting.Result != nil || waiting.Email != "newbie@example.com" {
			t.Errorf("before the address is confirmed: %+v, %v; want the step that waits for it, and no session", waiting, err)
		}
		if _, err := h.try("newbie", "wrong", "192.0.2.1", ""); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("a wrong password tells about the account: %v", err)
		}
		token := ""
		for n := 1; n <= 2; n++ {
			if _, err := h.logins.CheckVerify(ctx, h.post.token(t, n)); err == nil {
				token = h.post.token(t, n)
			}
		}
		u, err := h.logins.Verify(ctx, token, "192.0.2.1")
		if err != nil || !u.EmailVerified || !u.Active {
			t.Fatalf("%+v, %v", u, err)
		}
		if _, err := h.logins.Verify(ctx, token, "192.0.2.1"); !problem.Is(err, problem.Gone) {
			t.Errorf("the link a second time: %v", err)
		}
		if _, err := h.try("newbie", password, "192.0.2.1", ""); err != nil {
			t.Error(err)
		}
	})
	t.Run("bad input", func(t *testing.T) {
		h := build(t, dbtest.SQLite(t), bcrypt.MinCost).withMail(t, func(c *login.Config) { c.OpenSignUp = true })
		for field, n := range map[string]identity.NewUser{
			"password": {Username: "a1", Email: "a1@example.com"}, "email": {Username: "a1", Password: password}, "username": {Username: "а1", Email: "a1@example.com", Password: password},
		} {
			if _, err := h.logins.SignUp(ctx, n, authn.Meta{}); problem.Of(err).Field != field {
				t.Errorf("%+v: %v, want field %s", n, err, field)
			}
		}
		limited := false
		for range 40 {
			_, err := h.logins.SignUp(ctx, identity.NewUser{}, authn.Meta{IP: "192.0.2.9"})
			_, err2 := h.logins.SignUp(ctx, identity.NewUser{Username: "x", Email: "x@y.zz", Password: "weak"}, authn.Meta{IP: "192.0.2.9"})
			limited = limited || problem.Is(err, problem.Limited) || problem.Is(err2, problem.Limited)
		}
		if !limited {
			t.Error("sign-ups from one address have no limit")
		}
	})
}

func TestChangeOfAddressNeedsBothEnds(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		ann := h.principal(t, h.add(t, "ann").ID)
		h.add(t, "bob")
		if err := h.logins.ChangeEmail(ctx, ann, "wrong", "new@example.com"); problem.Of(err).Field != "password" {
			t.Errorf("wrong password: %v", err)
		}
		for _, bad := range []string{"", "ann@example.com", "no address", "a@b\r\nBcc: c@d.ee"} {
			if err := h.logins.ChangeEmail(ctx, ann, password, bad); problem.Of(err).Field != "email" {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if err := h.logins.ChangeEmail(ctx, ann, password, "bob@example.com"); err != nil {
			t.Errorf("an address of somebody else gets another answer: %v", err)
		}
		if h.post.count() != 1 {
			t.Errorf("%d mails; somebody else must not get one", h.post.count())
		}
		if err := h.logins.ChangeEmail(ctx, ann, password, "new@example.com"); err != nil {
			t.Fatal(err)
		}
		atNew, atOld := h.post.token(t, 2), h.post.token(t, 1)
		var wg sync.WaitGroup
		done := make([]bool, 2)
		for i, token := range []string{atNew, atOld} {
			wg.Go(func() {
				var err error
				if done[i], err = h.logins.ConfirmEmailChange(ctx, token, "192.0.2.1"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if done[0] == done[1] {
			t.Errorf("both ends at once: %v; exactly the second one completes the change", done)
		}
		u, err := h.people.Get(ctx, cli, ann.ID)
		if err != nil || u.Email != "new@example.com" || !u.EmailVerified {
			t.Errorf("%+v, %v", u, err)
		}
		if _, err := h.logins.ConfirmEmailChange(ctx, atOld, ""); !problem.Is(err, problem.Gone) {
			t.Errorf("a link twice: %v", err)
		}
		if err := h.logins.ChangeEmail(ctx, ann, password, "third@example.com"); err != nil {
			t.Fatal(err)
		}
		atNew, atOld = h.post.token(t, 2), h.post.token(t, 1)
		if err := h.logins.CancelEmailChange(ctx, atOld); err != nil {
			t.Fatal(err)
		}
		if _, err := h.logins.ConfirmEmailChange(ctx, atNew, ""); err == nil {
			t.Error("a cancelled change can be confirmed")
		}
	})
}

func TestInvitations(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		root := h.root(t)
		team, err := h.people.CreateWorkspace(ctx, root, "Team")
		if err != nil {
			t.Fatal(err)
		}
		in, err := h.logins.Invite(ctx, root, team.ID, "eve@example.com", authz.RoleUser)
		if err != nil || in.Added || !in.Mailed || !strings.HasPrefix(in.Link, "https://sluice.example/invite?token=") {
			t.Fatalf("%+v, %v", in, err)
		}
		first := h.post.token(t, 1)
		again, err := h.logins.RenewInvitation(ctx, root, team.ID, in.ID)
		if err != nil {
			t.Fatal(err)
		}
		token := h.post.token(t, 1)
		if !strings.HasSuffix(again.Link, token) {
			t.Error("the shown link and the mailed one differ")
		}
		if _, err := h.logins.CheckInvite(ctx, first); !problem.Is(err, problem.NotFound) {
			t.Errorf("the replaced link: %v", err)
		}
		v, err := h.logins.CheckInvite(ctx, token)
		if err != nil || v.WorkspaceName != "Team" || v.RoleName != "User" || v.HasAccount {
			t.Errorf("%+v, %v", v, err)
		}
		r, err := session(h.logins.AcceptInvite(ctx, token, identity.NewUser{Username: "eve", Email: "other@example.com", Password: password, Superuser: true, Role: authz.RoleAdmin}, authn.Meta{}))
		if err != nil {
			t.Fatal(err)
		}
		eve, _ := h.sessions.Lookup(r.Token, authn.AudienceMain)
		if eve.Email != "eve@example.com" || eve.Superuser || eve.Role(team.ID) != authz.RoleUser || eve.Role(identity.DefaultWorkspace) != "" || eve.Workspace != team.ID {
			t.Errorf("the invited person: %+v", eve)
		}
		if _, err := h.logins.AcceptInvite(ctx, token, identity.NewUser{Username: "eve2", Password: password}, authn.Meta{}); err == nil {
			t.Error("the link worked twice")
		}
		if list, err := h.logins.Invitations(ctx, root, team.ID); err != nil || len(list) != 0 {
			t.Errorf("open invitations: %+v, %v", list, err)
		}
	})
}

func TestInvitingSomebodyWithAnAccount(t *testing.T) {
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost).withMail(t, nothing), context.Background()
	root := h.root(t)
	team, err := h.people.CreateWorkspace(ctx, root, "Team")
	if err != nil {
		t.Fatal(err)
	}
	ann := h.add(t, "ann")
	in, err := h.logins.Invite(ctx, root, team.ID, "Ann@example.com", authz.RoleViewer)
	if err != nil || !in.Added || in.Link != "" || h.principal(t, ann.ID).Role(team.ID) != authz.RoleViewer {
		t.Errorf("%+v, %v", in, err)
	}
	if _, err := h.logins.Invite(ctx, root, team.ID, "ann@example.com", authz.RoleViewer); !problem.Is(err, problem.Conflict) {
		t.Errorf("a second time: %v", err)
	}
	later, err := h.logins.Invite(ctx, root, team.ID, "carl@example.com", authz.RoleViewer)
	if err != nil {
		t.Fatal(err)
	}
	token := later.Link[strings.Index(later.Link, "=")+1:]
	carl := h.principal(t, h.add(t, "carl").ID)
	if _, err := h.logins.AcceptInvite(ctx, token, identity.NewUser{Username: "carl2", Password: password}, authn.Meta{}); !problem.Is(err, problem.Conflict) {
		t.Errorf("a second account for an address: %v", err)
	}
	if err := h.logins.AcceptInviteAs(ctx, h.principal(t, ann.ID), token); !problem.Is(err, problem.Denied) {
		t.Errorf("somebody else's invitation: %v", err)
	}
	if err := h.logins.AcceptInviteAs(ctx, carl, token); err != nil || h.principal(t, carl.ID).Role(team.ID) != authz.RoleViewer {
		t.Errorf("one's own: %v", err)
	}
}

func TestWhoMayInvite(t *testing.T) {
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	root := h.root(t)
	team, err := h.people.CreateWorkspace(ctx, root, "Team")
	if err != nil {
		t.Fatal(err)
	}
	member := func(name, role string) authz.Principal {
		u, err := h.people.Create(ctx, cli, identity.NewUser{Username: name, Workspace: team.ID, Role: role, Active: true})
		if err != nil {
			t.Fatal(err)
		}
		return h.principal(t, u.ID)
	}
	admin, viewer, outsider := member("adam", authz.RoleAdmin), member("vic", authz.RoleViewer), h.principal(t, h.add(t, "otto").ID)
	in, err := h.logins.Invite(ctx, admin, team.ID, "x@example.com", authz.RoleViewer)
	if err != nil || in.Mailed || in.Link == "" {
		t.Errorf("a workspace admin, without mail: %+v, %v; the link is shown to be copied", in, err)
	}
	if _, err := h.logins.Invite(ctx, viewer, team.ID, "y@example.com", authz.RoleViewer); !problem.Is(err, problem.Denied) {
		t.Errorf("a viewer: %v", err)
	}
	if _, err := h.logins.Invite(ctx, outsider, team.ID, "y@example.com", authz.RoleViewer); !problem.Is(err, problem.NotFound) {
		t.Errorf("somebody from elsewhere: %v", err)
	}
	if err := h.logins.RevokeInvitation(ctx, admin, identity.DefaultWorkspace, in.ID); !problem.Is(err, problem.NotFound) {
		t.Errorf("through another workspace: %v", err)
	}
	if err := h.logins.RevokeInvitation(ctx, admin, team.ID, in.ID); err != nil {
		t.Error(err)
	}
	token := in.Link[strings.Index(in.Link, "=")+1:]
	if _, err := h.logins.AcceptInvite(ctx, token, identity.NewUser{Username: "x1", Password: password}, authn.Meta{}); err == nil {
		t.Error("an invitation that was taken back works")
	}
	for what, try := range map[string][2]string{"no address": {"", authz.RoleViewer}, "bad address": {"x", authz.RoleViewer}, "unknown role": {"z@example.com", "king"}} {
		if _, err := h.logins.Invite(ctx, admin, team.ID, try[0], try[1]); !problem.Is(err, problem.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	expired, err := h.logins.Invite(ctx, admin, team.ID, "late@example.com", authz.RoleViewer)
	if err != nil {
		t.Fatal(err)
	}
	h.step(25 * time.Hour)
	if _, err := h.logins.AcceptInvite(ctx, expired.Link[strings.Index(expired.Link, "=")+1:], identity.NewUser{Username: "late", Password: password}, authn.Meta{}); !problem.Is(err, problem.Gone) {
		t.Errorf("after a day: %v", err)
	}
}
