package signup_test

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
	"sluice/internal/login/logintest"
	"sluice/internal/login/signup"
	"sluice/internal/problem"
)

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		h.Add(t, "ann")
		for _, who := range []string{"nobody@example.com", "ann@example.com", strings.Repeat("x", 5000), ""} {
			if err := h.SignUps.RequestReset(ctx, who, "192.0.2.1"); err != nil {
				t.Errorf("%.30q: %v; everyone gets the same answer", who, err)
			}
		}
		logintest.Until(t, "the mail", func() bool { return h.Post.Count() == 1 })
		// The test sees the email when it is written. Its link works after the commit.
		logintest.Until(t, "the link",
			func() bool { _, err := h.SignUps.CheckReset(ctx, h.Post.Token(t, 1)); return err == nil })
		if _, err := h.SignUps.Reset(ctx, h.Post.Token(t, 1), newPassword, authn.Meta{}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Try("ann", newPassword, "192.0.2.1", ""); err != nil {
			t.Errorf("the new password: %v", err)
		}
		limited := false
		for range 30 {
			limited = limited || problem.Is(h.SignUps.RequestReset(ctx, "ann", "192.0.2.1"), problem.Limited)
		}
		if !limited {
			t.Error("a mailbox can be flooded")
		}
		h.SignUps.Close()
		if n := h.Post.Count(); n > 8 {
			t.Errorf("%d mails to one person", n)
		}
	})
}

func TestForgot_WithoutMail(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	if err := h.SignUps.RequestReset(context.Background(), "ann", "192.0.2.1"); !problem.Is(err, problem.Unavailable) {
		t.Errorf("%v, want unavailable with the way out", err)
	}
}

func TestSignUp(t *testing.T) {
	t.Parallel()
	newbie := identity.NewUser{
		Username:  "newbie",
		Email:     "newbie@example.com",
		Password:  password,
		Superuser: true,
		Role:      authz.RoleAdmin,
		Active:    true,
	}
	ctx := context.Background()
	t.Run("closed", func(t *testing.T) {
		h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
		if _, err := h.SignUps.SignUp(ctx, newbie, authn.Meta{}); !problem.Is(err, problem.Denied) {
			t.Errorf("%v, want denied", err)
		}
	})
	t.Run("waits for approval", func(t *testing.T) {
		h := build(t, dbtest.SQLite(t),
			bcrypt.MinCost).with(t, func(s *logintest.Settings) { s.SignUp.OpenSignUp = true })
		state, err := h.SignUps.SignUp(ctx, newbie, authn.Meta{IP: "192.0.2.1"})
		if err != nil || state != signup.Waiting {
			t.Fatalf("%v, %v", state, err)
		}
		_, err = h.Try("newbie", password, "192.0.2.1", "")
		if e := problem.Of(err); e.Kind != problem.Denied || !strings.Contains(e.Detail, "waiting for approval") {
			t.Errorf("before approval: %v", err)
		}
		if _, err := h.Try("newbie", "wrong", "192.0.2.1", ""); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("a wrong password reveals the account: %v", err)
		}
		u, err := h.People.Find(ctx, cli, "newbie")
		if err != nil || u.Superuser || u.Role != authz.RoleViewer {
			t.Errorf("requested permissions are granted: %+v, %v", u, err)
		}
		if _, err := h.SignUps.SignUp(ctx, newbie, authn.Meta{IP: "192.0.2.1"}); !problem.Is(err, problem.Conflict) {
			t.Errorf("a taken name: %v", err)
		}
	})
	t.Run("active at once", func(t *testing.T) {
		h := build(
			t,
			dbtest.SQLite(t),
			bcrypt.MinCost,
		).with(t, func(s *logintest.Settings) { s.SignUp.OpenSignUp, s.SignUp.NewUserActive = true, true })
		if state, err := h.SignUps.SignUp(ctx, newbie, authn.Meta{}); err != nil || state != signup.Done {
			t.Fatalf("%v, %v", state, err)
		}
		if _, err := h.Try("newbie", password, "192.0.2.1", ""); err != nil {
			t.Error(err)
		}
	})
	t.Run("with mail", func(t *testing.T) {
		h := build(
			t,
			dbtest.SQLite(t),
			bcrypt.MinCost,
		).withMail(t, func(s *logintest.Settings) { s.SignUp.OpenSignUp, s.SignUp.NewUserActive = true, true })
		h.Add(t, "ann")
		fresh, err1 := h.SignUps.SignUp(ctx, newbie, authn.Meta{IP: "192.0.2.1"})
		known, err2 := h.SignUps.SignUp(ctx,
			identity.NewUser{Username: "other", Email: "ANN@example.com", Password: password},
			authn.Meta{IP: "192.0.2.1"})
		if err1 != nil || err2 != nil || fresh != signup.CheckMail || known != fresh {
			t.Fatalf("a new address: %v %v; a known one: %v %v; they must not differ", fresh, err1, known, err2)
		}
		logintest.Until(t, "both mails", func() bool { return h.Post.Count() == 2 })
		waiting, err := h.Logins.Password(ctx, login.Attempt{Identifier: "newbie", Password: password, IP: "192.0.2.1"})
		if err != nil || waiting.Step != login.StepVerify || waiting.Result != nil ||
			waiting.Email != "newbie@example.com" {
			t.Errorf("before the address is confirmed: %+v, %v; want the step that waits for it, and no "+
				"session", waiting, err)
		}
		if _, err := h.Try("newbie", "wrong", "192.0.2.1", ""); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("a wrong password reveals the account: %v", err)
		}
		token := ""
		for n := 1; n <= 2; n++ {
			if _, err := h.SignUps.CheckVerify(ctx, h.Post.Token(t, n)); err == nil {
				token = h.Post.Token(t, n)
			}
		}
		u, err := h.SignUps.Verify(ctx, token, "192.0.2.1")
		if err != nil || !u.EmailVerified || !u.Active {
			t.Fatalf("%+v, %v", u, err)
		}
		if _, err := h.SignUps.Verify(ctx, token, "192.0.2.1"); !problem.Is(err, problem.Gone) {
			t.Errorf("the link a second time: %v", err)
		}
		if _, err := h.Try("newbie", password, "192.0.2.1", ""); err != nil {
			t.Error(err)
		}
	})
	t.Run("bad input", func(t *testing.T) {
		h := build(t, dbtest.SQLite(t),
			bcrypt.MinCost).withMail(t, func(s *logintest.Settings) { s.SignUp.OpenSignUp = true })
		for field, n := range map[string]identity.NewUser{
			"password": {Username: "a1", Email: "a1@example.com"}, "email": {Username: "a1", Password: password},
			"username": {Username: "а1", Email: "a1@example.com", Password: password},
		} {
			if _, err := h.SignUps.SignUp(ctx, n, authn.Meta{}); problem.Of(err).Field != field {
				t.Errorf("%+v: %v, want field %s", n, err, field)
			}
		}
		limited := false
		for range 40 {
			_, err := h.SignUps.SignUp(ctx, identity.NewUser{}, authn.Meta{IP: "192.0.2.9"})
			_, err2 := h.SignUps.SignUp(ctx, identity.NewUser{Username: "x", Email: "x@y.zz", Password: "weak"},
				authn.Meta{IP: "192.0.2.9"})
			limited = limited || problem.Is(err, problem.Limited) || problem.Is(err2, problem.Limited)
		}
		if !limited {
			t.Error("sign-ups from one address have no limit")
		}
	})
}

func TestAddress_BothConfirm(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		ann := h.Principal(t, h.Add(t, "ann").ID)
		h.Add(t, "bob")
		if err := h.SignUps.ChangeEmail(ctx, ann, "wrong", "new@example.com"); problem.Of(err).Field != "password" {
			t.Errorf("wrong password: %v", err)
		}
		for _, bad := range []string{"", "ann@example.com", "no address", "a@b\r\nBcc: c@d.ee"} {
			if err := h.SignUps.ChangeEmail(ctx, ann, password, bad); problem.Of(err).Field != "email" {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if err := h.SignUps.ChangeEmail(ctx, ann, password, "bob@example.com"); err != nil {
			t.Errorf("another person's address gets a different answer: %v", err)
		}
		if h.Post.Count() != 1 {
			t.Errorf("%d emails; another person must not get one", h.Post.Count())
		}
		if err := h.SignUps.ChangeEmail(ctx, ann, password, "new@example.com"); err != nil {
			t.Fatal(err)
		}
		atNew, atOld := h.Post.Token(t, 2), h.Post.Token(t, 1)
		var wg sync.WaitGroup
		done := make([]bool, 2)
		for i, token := range []string{atNew, atOld} {
			wg.Go(func() {
				var err error
				if done[i], err = h.SignUps.ConfirmEmailChange(ctx, token, "192.0.2.1"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if done[0] == done[1] {
			t.Errorf("both ends at once: %v; exactly the second one completes the change", done)
		}
		u, err := h.People.Get(ctx, cli, ann.ID)
		if err != nil || u.Email != "new@example.com" || !u.EmailVerified {
			t.Errorf("%+v, %v", u, err)
		}
		if _, err := h.SignUps.ConfirmEmailChange(ctx, atOld, ""); !problem.Is(err, problem.Gone) {
			t.Errorf("a link twice: %v", err)
		}
		if err := h.SignUps.ChangeEmail(ctx, ann, password, "third@example.com"); err != nil {
			t.Fatal(err)
		}
		atNew, atOld = h.Post.Token(t, 2), h.Post.Token(t, 1)
		if err := h.SignUps.CancelEmailChange(ctx, atOld); err != nil {
			t.Fatal(err)
		}
		if _, err := h.SignUps.ConfirmEmailChange(ctx, atNew, ""); err == nil {
			t.Error("a canceled change can be confirmed")
		}
	})
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		root := h.Root(t)
		team, err := h.People.CreateWorkspace(ctx, root, "Team")
		if err != nil {
			t.Fatal(err)
		}
		in, err := h.Invitations.Invite(ctx, root, team.ID, "eve@example.com", authz.RoleUser)
		if err != nil || in.Added || !in.Mailed || !strings.HasPrefix(in.Link, "https://sluice.example/invite?token=") {
			t.Fatalf("%+v, %v", in, err)
		}
		first := h.Post.Token(t, 1)
		again, err := h.Invitations.RenewInvitation(ctx, root, team.ID, in.ID)
		if err != nil {
			t.Fatal(err)
		}
		token := h.Post.Token(t, 1)
		if !strings.HasSuffix(again.Link, token) {
			t.Error("the shown link and the mailed one differ")
		}
		if _, err := h.Invitations.CheckInvite(ctx, first); !problem.Is(err, problem.NotFound) {
			t.Errorf("the replaced link: %v", err)
		}
		v, err := h.Invitations.CheckInvite(ctx, token)
		if err != nil || v.WorkspaceName != "Team" || v.RoleName != "User" || v.HasAccount {
			t.Errorf("%+v, %v", v, err)
		}
		r, err := session(
			h.Invitations.AcceptInvite(
				ctx,
				token,
				identity.NewUser{
					Username:  "eve",
					Email:     "other@example.com",
					Password:  password,
					Superuser: true,
					Role:      authz.RoleAdmin,
				},
				authn.Meta{},
			),
		)
		if err != nil {
			t.Fatal(err)
		}
		eve, _ := h.Sessions.Lookup(r.Token, authn.AudienceMain)
		if eve.Email != "eve@example.com" || eve.Superuser || eve.Role(team.ID) != authz.RoleUser ||
			eve.Role(identity.DefaultWorkspace) != "" ||
			eve.Workspace != team.ID {
			t.Errorf("the invited person: %+v", eve)
		}
		if _, err := h.Invitations.AcceptInvite(ctx, token, identity.NewUser{Username: "eve2", Password: password},
			authn.Meta{}); err == nil {
			t.Error("the link worked twice")
		}
		if list, err := h.Invitations.List(ctx, root, team.ID); err != nil || len(list) != 0 {
			t.Errorf("open invitations: %+v, %v", list, err)
		}
	})
}

func TestInvite_ExistingAccount(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost).withMail(t, nothing), context.Background()
	root := h.Root(t)
	team, err := h.People.CreateWorkspace(ctx, root, "Team")
	if err != nil {
		t.Fatal(err)
	}
	ann := h.Add(t, "ann")
	in, err := h.Invitations.Invite(ctx, root, team.ID, "Ann@example.com", authz.RoleViewer)
	if err != nil || !in.Added || in.Link != "" || h.Principal(t, ann.ID).Role(team.ID) != authz.RoleViewer {
		t.Errorf("%+v, %v", in, err)
	}
	if _, err := h.Invitations.Invite(ctx, root, team.ID, "ann@example.com", authz.RoleViewer); !problem.Is(err,
		problem.Conflict) {
		t.Errorf("a second time: %v", err)
	}
	later, err := h.Invitations.Invite(ctx, root, team.ID, "carl@example.com", authz.RoleViewer)
	if err != nil {
		t.Fatal(err)
	}
	token := later.Link[strings.Index(later.Link, "=")+1:]
	carl := h.Principal(t, h.Add(t, "carl").ID)
	if _, err := h.Invitations.AcceptInvite(ctx, token, identity.NewUser{Username: "carl2", Password: password},
		authn.Meta{}); !problem.Is(
		err,
		problem.Conflict,
	) {
		t.Errorf("a second account for an address: %v", err)
	}
	if err := h.Invitations.AcceptInviteAs(ctx, h.Principal(t, ann.ID), token); !problem.Is(err, problem.Denied) {
		t.Errorf("another person's invitation: %v", err)
	}
	if err := h.Invitations.AcceptInviteAs(ctx, carl, token); err != nil ||
		h.Principal(t, carl.ID).Role(team.ID) != authz.RoleViewer {
		t.Errorf("one's own: %v", err)
	}
}

func TestInvite_Permission(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	root := h.Root(t)
	team, err := h.People.CreateWorkspace(ctx, root, "Team")
	if err != nil {
		t.Fatal(err)
	}
	member := func(name, role string) authz.Principal {
		u, err := h.People.Create(ctx, cli,
			identity.NewUser{Username: name, Workspace: team.ID, Role: role, Active: true})
		if err != nil {
			t.Fatal(err)
		}
		return h.Principal(t, u.ID)
	}
	admin, viewer, outsider := member("adam", authz.RoleAdmin), member("vic",
		authz.RoleViewer), h.Principal(t, h.Add(t, "otto").ID)
	in, err := h.Invitations.Invite(ctx, admin, team.ID, "x@example.com", authz.RoleViewer)
	if err != nil || in.Mailed || in.Link == "" {
		t.Errorf("a workspace admin, without mail: %+v, %v; the link is shown to be copied", in, err)
	}
	if _, err := h.Invitations.Invite(ctx, viewer, team.ID, "y@example.com", authz.RoleViewer); !problem.Is(err,
		problem.Denied) {
		t.Errorf("a viewer: %v", err)
	}
	if _, err := h.Invitations.Invite(ctx, outsider, team.ID, "y@example.com", authz.RoleViewer); !problem.Is(err,
		problem.NotFound) {
		t.Errorf("a person from another workspace: %v", err)
	}
	if err := h.Invitations.RevokeInvitation(ctx, admin, identity.DefaultWorkspace, in.ID); !problem.Is(err,
		problem.NotFound) {
		t.Errorf("through another workspace: %v", err)
	}
	if err := h.Invitations.RevokeInvitation(ctx, admin, team.ID, in.ID); err != nil {
		t.Error(err)
	}
	token := in.Link[strings.Index(in.Link, "=")+1:]
	if _, err := h.Invitations.AcceptInvite(ctx, token, identity.NewUser{Username: "x1", Password: password},
		authn.Meta{}); err == nil {
		t.Error("a revoked invitation works")
	}
	for what, try := range map[string][2]string{"no address": {"", authz.RoleViewer},
		"bad address": {"x", authz.RoleViewer}, "unknown role": {"z@example.com", "king"}} {
		if _, err := h.Invitations.Invite(ctx, admin, team.ID, try[0], try[1]); !problem.Is(err, problem.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	expired, err := h.Invitations.Invite(ctx, admin, team.ID, "late@example.com", authz.RoleViewer)
	if err != nil {
		t.Fatal(err)
	}
	h.Step(25 * time.Hour)
	if _, err := h.Invitations.AcceptInvite(ctx, expired.Link[strings.Index(expired.Link, "=")+1:],
		identity.NewUser{Username: "late", Password: password}, authn.Meta{}); !problem.Is(
		err,
		problem.Gone,
	) {
		t.Errorf("after a day: %v", err)
	}
}
