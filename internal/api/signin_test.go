package api_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"sluice/internal/authn"
	"sluice/internal/db"
	qauthn "sluice/internal/db/q/authn"
	"sluice/internal/login"
	"sluice/internal/sluicetest"
)

// grow ages a session's proof of identity beyond the limit of dangerous actions.
func (s *site) grow(sessionID string) {
	s.t.Helper()
	ctx := context.Background()
	err := s.DB.Gated(ctx, func(tx *db.Tx) error {
		if _, err := qauthn.New(tx).ProveSession(ctx,
			qauthn.ProveSessionParams{ID: sessionID, Now: time.Now().Add(-time.Hour).UnixMilli()}); err != nil {
			return err
		}
		return tx.Changed(authn.ChangeKind, sessionID)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestSignInRules(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root, val := s.as("root"), s.as("val")
	if got := root.call("getSignIn", nil).is(http.StatusOK).text("password"); got != login.PasswordEveryone {
		t.Errorf("passwords are for %q", got)
	}
	root.call("setSignIn", map[string]any{"password": "superusers"}).is(http.StatusNoContent)
	if got := root.call("getSignIn", nil).text("password"); got != login.PasswordSuperusers {
		t.Errorf("passwords are for %q", got)
	}
	try := func(username string) int {
		return s.Browser().
			Post("/login", url.Values{"identifier": {username}, "password": {sluicetest.Password}}).
			Status
	}
	if got := try("val"); got == http.StatusSeeOther {
		t.Error("val came in with a password")
	}
	if got := try("root"); got != http.StatusSeeOther {
		t.Errorf("a superuser did not come in: %d", got)
	}
	val.call("getSignIn", nil).is(http.StatusForbidden)
	root.call("setSignIn", map[string]any{"password": "nobody"}).is(http.StatusBadRequest)
	root.call("setSignIn", map[string]any{"password": "everyone"}).is(http.StatusNoContent)
	if got := try("val"); got != http.StatusSeeOther {
		t.Errorf("val did not come in: %d", got)
	}
}

// TestSignIn_WorkspaceSecondFactor: one change at a time, and no one locks themselves out of a
// workspace.
func TestSignIn_WorkspaceSecondFactor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.as("root")
	second := func() string {
		return root.call("getWorkspace", nil, "workspace", "default").is(http.StatusOK).text("second_factor")
	}
	if got := second(); got != "off" {
		t.Errorf("a new workspace asks for %q", got)
	}
	root.call("updateWorkspace", map[string]any{"second_factor": "encouraged"}, "workspace", "default").
		is(http.StatusNoContent)
	if got := second(); got != "encouraged" {
		t.Errorf("it asks for %q", got)
	}
	if got := root.list("listWorkspaces")[0].(map[string]any)["second_factor"]; got != "encouraged" {
		t.Errorf("the list says %v", got)
	}
	if d := root.call("updateWorkspace", map[string]any{"second_factor": "required"}, "workspace",
		"default").is(http.StatusConflict).problem(); d.Field != "second_factor" {
		t.Errorf("closing it to oneself: %+v", d)
	}
	for _, body := range []map[string]any{{}, {"name": "Other", "second_factor": "off"}} {
		if d := root.call("updateWorkspace", body, "workspace",
			"default").is(http.StatusBadRequest).problem(); d.Field != "body" {
			t.Errorf("%v: %+v", body, d)
		}
	}
	if got := second(); got != "encouraged" {
		t.Errorf("a refused change left %q", got)
	}
	own := root.list("listMySessions")[0].(map[string]any)
	if own["strong"] != false || own["proven_at"] == nil {
		t.Errorf("a session by password alone: %v", own)
	}
}
