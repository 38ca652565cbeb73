package authz_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
)

// TestStepUp_StrictWorkspace walks every action and role: what requires a second factor is closed
// without one, and only that.
func TestStepUp_StrictWorkspace(t *testing.T) {
	g := newGate(t, dbtest.SQLite(t))
	g.SetStrict(map[string]bool{workspace: true})
	people := map[string]authz.Principal{"superuser": {Kind: authz.Person, ID: "s", Superuser: true}}
	for _, role := range authz.Roles() {
		people[role] = person("p-"+role, role)
	}
	for name, p := range people {
		for _, a := range authz.Actions() {
			p.Memberships = append(
				slices.Clone(p.Memberships),
				authz.Membership{Workspace: "w2", Role: authz.RoleAdmin},
			)
			strict, open, none := authz.Resource{
				Type:      "Flow",
				Workspace: workspace,
			}, authz.Resource{
				Type:      "Flow",
				Workspace: "w2",
			}, authz.Resource{
				Type:  "User",
				ID:    p.ID,
				Owner: p.ID,
			}
			weak, strong := p, p
			strong.Strong = true
			d := g.Decide(weak, a, strict)
			if d.Allowed || !slices.Contains(d.Policies, "second-factor") {
				t.Errorf("%s, weak, %s: %+v", name, a, d)
			}
			g.SetStrict(nil)
			want := g.Decide(weak, a, strict).Allowed
			g.SetStrict(map[string]bool{workspace: true})
			if got := g.Decide(strong, a, strict).Allowed; got != want {
				t.Errorf("%s, strong, %s: %v, want %v as without the policy", name, a, got, want)
			}
			for where, r := range map[string]authz.Resource{"another workspace": open, "their own account": none} {
				if weakly, strongly := g.Decide(weak, a, r).Allowed, g.Decide(strong, a,
					r).Allowed; weakly != strongly {
					t.Errorf("%s, %s, %s: weak %v, strong %v", name, a, where, weakly, strongly)
				}
			}
		}
	}
	if err := g.Check(context.Background(), person("vic", authz.RoleViewer), authz.FlowView,
		authz.Resource{Type: "Flow", Workspace: workspace}); problem.Of(
		err,
	).Next == "" ||
		problem.Of(err).Rule != "second-factor" {
		t.Errorf("the refusal explains nothing: %v", err)
	}
	if !g.Decide(
		authz.SystemPrincipal("cli"),
		authz.FlowEdit,
		authz.Resource{Type: "Flow", Workspace: workspace},
	).Allowed {
		t.Error("the command line is closed out")
	}
}

// TestStepUp_DangerousActions walks every action through Do: exactly the dangerous ones ask, and
// only a session whose proof is old.
func TestStepUp_DangerousActions(t *testing.T) {
	d, now := dbtest.SQLite(t), time.Now()
	gate := func(stepUp time.Duration) *authz.Gate {
		g, err := authz.NewGate(
			authz.Config{
				DB:     d,
				StepUp: stepUp,
				Now:    func() time.Time { return now },
				Log:    slog.New(slog.DiscardHandler),
			},
		)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Close(context.Background()) })
		return g
	}
	asking, never := gate(15*time.Minute), gate(0)
	session := authz.Principal{Kind: authz.Person, ID: "root", Superuser: true, SessionID: "s1"}
	proven := func(ago time.Duration) authz.Principal { p := session; p.ProvenAt = now.Add(-ago); return p }
	program := session
	program.SessionID = ""
	dangerous := 0
	for _, a := range authz.Actions() {
		if authz.Dangerous(a) {
			dangerous++
		}
		for _, tt := range []struct {
			name string
			gate *authz.Gate
			p    authz.Principal
			asks bool
		}{
			{"just proven", asking, proven(0), false},
			{"proven in time", asking, proven(15*time.Minute - time.Millisecond), false},
			{"proven too long ago", asking, proven(15 * time.Minute), true},
			{"never proven", asking, session, true},
			{"turned off", never, session, false},
			{"a program", asking, program, false},
			{"the command line", asking, authz.SystemPrincipal("cli"), false},
		} {
			ran := false
			err := tt.gate.Do(
				context.Background(),
				tt.p,
				a,
				authz.Resource{Type: "System"},
				func(*db.Tx) error { ran = true; return nil },
			)
			asks := tt.asks && authz.Dangerous(a)
			if problem.Is(err, problem.StepUp) != asks || ran == asks || !asks && err != nil {
				t.Errorf("%s, %s: %v, done %v; want to be asked: %v", a, tt.name, err, ran, asks)
			}
		}
		if err := asking.Do(context.Background(), person("vic", authz.RoleViewer), a, authz.Resource{Type: "System"},
			nil); !problem.Is(
			err,
			problem.Denied,
		) {
			t.Errorf("%s: who has no right is asked for a proof: %v", a, err)
		}
	}
	for _, a := range []authz.Action{authz.UserReset, authz.UserDelete, authz.RoleManage, authz.AccountFactors,
		authz.SignInManage, authz.SecretManage} {
		if !authz.Dangerous(a) {
			t.Errorf("%s is not dangerous", a)
		}
	}
	if dangerous == len(authz.Actions()) {
		t.Error("everything is dangerous, so nothing is")
	}
	if e := authz.StepUp(); e.Kind.Status() != 401 || e.Next == "" {
		t.Errorf("%+v", e)
	}
}
