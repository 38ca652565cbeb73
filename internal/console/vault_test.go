package console

import (
	"context"
	"strings"
	"testing"

	"sluice/internal/authz"
)

const vaultCanary = "sk-canary-console-5d"

func TestVaultPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	s.add("uma", "user")
	s.add("vic", "viewer")
	b, user, viewer := s.signedIn("root"), s.signedIn("uma"), s.signedIn("vic")
	says(t, b.get("/workspaces/default").want(t, 200, "").body, "Open the vault")
	says(
		t,
		b.get("/workspaces/default/vault").want(t, 200, "").body,
		"No credential yet",
		"/workspaces/default/vault/new",
	)
	says(t, user.get("/workspaces/default/vault").want(t, 200, "").body, "Nothing is shared with you")
	viewer.get("/workspaces/default/vault").want(t, 403, "")
	if strings.Contains(viewer.get("/workspaces/default").body, "Open the vault") {
		t.Error("viewers are offered the vault")
	}
	b.get("/workspaces/nowhere/vault").want(t, 404, "")

	// No app knows types here, so the form asks for the names of fields too.
	form := b.get("/workspaces/default/vault/new").want(t, 200, "").body
	has(
		t,
		form,
		"input[name=kind]",
		"input[name=field]",
		"input[name=value][type=password]",
		"input[name=role][value=user][checked]",
	)
	user.get("/workspaces/default/vault/new").want(t, 403, "")
	wrong := b.post(
		"/workspaces/default/vault",
		"free", "true",
		"name", "Team key",
		"kind", "bad kind",
		"field", "apiKey",
		"value", vaultCanary,
	).want(t, 400, "")
	has(
		t,
		wrong.body,
		"input[name=kind][aria-invalid=true]",
		"input[name=name][value=Team key]",
		"input[name=field][value=apiKey]",
	)
	shown := []string{wrong.body}

	made := b.post(
		"/workspaces/default/vault",
		"free",
		"true",
		"name",
		"Team key",
		"kind",
		"openAIApi",
		"field",
		"apiKey",
		"value",
		vaultCanary,
		"role",
		"user",
	)
	if made.status != 303 || !strings.HasPrefix(made.location, "/workspaces/default/vault/") {
		t.Fatalf("adding a credential: %d to %q", made.status, made.location)
	}
	page := made.location
	shown = append(
		shown,
		b.get(page).want(t, 200, "").body,
		b.get("/workspaces/default/vault").body,
		user.get(page).want(t, 200, "").body,
	)
	says(t, shown[1], "Team key", "openAIApi", "apiKey", "It is not in an app yet", "Rotate", "Delete the credential")
	if strings.Contains(shown[3], "Delete the credential") {
		t.Error("a user is offered to delete what is shared with them")
	}
	viewer.get(page).want(t, 403, "")

	user.post(page+"/rotate", "value.apiKey", "x").want(t, 403, "")
	user.post(page+"/delete").want(t, 403, "")
	says(t, b.post(page+"/rotate", "value.apiKey", "").want(t, 400, "").body, "at least one new value")
	b.post(page+"/rotate", "value.apiKey", vaultCanary+"-2").want(t, 303, page)
	b.post(page+"/put", "app", "nothing").want(t, 404, "")
	b.post(page+"/withdraw", "app", "nothing").want(t, 404, "")
	b.post(page+"/refresh").want(t, 303, page)

	has(t, b.post(page, "name", "").want(t, 400, "").body, "input[name=name][aria-invalid=true]")
	b.post(page, "name", "Own key").want(t, 303, page)
	user.get(page).want(t, 404, "") // shared with no role any more
	shown = append(shown, b.get(page).body)
	b.post(page+"/delete").want(t, 303, "/workspaces/default/vault")
	b.get(page).want(t, 404, "")

	shown = append(shown, s.log.String())
	for i, text := range shown {
		if strings.Contains(text, vaultCanary) {
			t.Errorf("text %d holds the value", i)
		}
	}
	if !strings.Contains(shown[5], "/workspaces/{id}/vault/{credential}/rotate") {
		t.Errorf("the log was not searched: %.300s", shown[5])
	}
}

func TestVault_OtherWorkspace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	s.add("adam", "admin")
	root, adam := s.signedIn("root"), s.signedIn("adam")
	w, err := s.people.CreateWorkspace(context.Background(), authz.SystemPrincipal("cli"), "Other")
	fatal(t, err)
	base := "/workspaces/" + w.ID + "/vault"
	made := root.post(base, "free", "true", "name", "Theirs", "kind", "k", "field", "f", "value", "v")
	id := made.location[strings.LastIndex(made.location, "/"):]
	for _, path := range []string{base, base + "/new", base + id, "/workspaces/default/vault" + id} {
		adam.get(path).want(t, 404, "")
	}
	adam.post(base+id+"/rotate", "value.f", "x").want(t, 404, "")
	adam.post("/workspaces/default/vault"+id+"/delete").want(t, 404, "")
	says(t, root.get(base).body, "Theirs")
}
