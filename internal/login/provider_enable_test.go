package login_test

import (
	"context"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
)

func TestAProviderThatIsNoLongerTrustedTakesItsSessionsAlong(t *testing.T) {
	for name, stop := range map[string]func(h *house, actor authz.Principal, id string) error{
		"disabled": func(h *house, actor authz.Principal, id string) error {
			return h.logins.EnableProvider(context.Background(), actor, id, false)
		},
		"removed": func(h *house, actor authz.Principal, id string) error {
			return h.logins.RemoveProvider(context.Background(), actor, id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				h := build(t, d, bcrypt.MinCost)
				idp := startIDP(t, h.Now)
				p := h.withProvider(t, idp, nil)
				idp.set(func() { says("sid", "a")(idp) })
				who := h.browser(t).signIn()
				own := h.browser(t).signIn()
				stream := h.sessions.Done(who.SessionID)
				actor := cli
				actor.SessionID = own.SessionID
				if err := stop(h, actor, p.ID); err != nil {
					t.Fatal(err)
				}
				if got := h.live(t, who.ID); len(got) != 1 || got[0] != own.SessionID {
					t.Errorf("live are %v, want the actor's own, %s", got, own.SessionID)
				}
				select {
				case <-stream:
				default:
					t.Error("its streams go on")
				}
			})
		})
	}
}
