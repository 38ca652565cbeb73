package api_test

import (
	"net/http"
	"testing"
	"time"
)

func TestForwardAuth_Apps(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.as("root")
	if d := root.call("addApp",
		map[string]any{"mode": "forward-auth"}).is(http.StatusBadRequest).problem(); d.Field != "public_url" {
		t.Errorf("%+v", d)
	}
	if d := root.call("addApp", map[string]any{}).is(http.StatusBadRequest).problem(); d.Field != "url" {
		t.Errorf("%+v", d)
	}
	made := root.call("addApp",
		map[string]any{"mode": "forward-auth", "public_url": "https://flows.example.com", "name": "Flows"}).
		is(http.StatusCreated)
	id := made.text("id")
	if made.text("mode") != "forward-auth" || made.text("origin") != "https://flows.example.com" ||
		made.text("admin.upstream") != "" ||
		made.text("admin.asked_at") != "" {
		t.Errorf("%s", made.Body)
	}
	a, _ := s.Apps.ByID(id)
	s.Apps.Asked(a, time.Now())
	if got := root.call("getApp", nil, "app", id).is(http.StatusOK); got.text("admin.asked_at") == "" {
		t.Errorf("%s", got.Body)
	}
	if got := root.call("checkApp", nil, "app", id).is(http.StatusOK); got.field("ok") != true {
		t.Errorf("%s", got.Body)
	}
	if got := root.call("getExposure", nil, "app", id).is(http.StatusOK).text("state"); got != "unknown" {
		t.Errorf("exposure %q", got)
	}
	root.call("removeApp", nil, "app", id).is(http.StatusOK)
}
