package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/identity"
	"sluice/internal/secret"
	"sluice/internal/web"
)

// vaultPages are a workspace's vault and the copies of its credentials in apps.
type vaultPages struct {
	gate   *authz.Gate
	people *identity.People
	vault  *secret.Vault
	apps   *app.Apps
}

// credentialView is a credential in lists and at the top of its page.
type credentialView struct {
	ID, Name, Kind string
	Fields         []string
	// Shared are the names of the roles that may use the credential; Apps are the names of the apps
	// that hold it.
	Shared, Apps []string
	Outdated     int
	RotatedAt    time.Time
}

func (c credentialView) sharedText() string {
	return cmp.Or(strings.Join(c.Shared, ", "), "Admins only")
}

func (c credentialView) appsText() string { return cmp.Or(strings.Join(c.Apps, ", "), "In no app yet") }

// vaultView is the list.
type vaultView struct {
	Workspace workspaceView
	Items     []credentialView
	Manage    bool
	Now       time.Time
}

func (v vaultView) path(rest string) string { return v.Workspace.path("/vault" + rest) }

func (p *vaultPages) credentialOf(x *visit, c secret.Credential) credentialView {
	v := credentialView{ID: c.ID, Name: c.Name, Kind: c.Kind, Fields: c.Fields, RotatedAt: c.RotatedAt}
	for _, role := range c.Roles {
		v.Shared = append(v.Shared, x.roleName(role))
	}
	for _, u := range c.Uses {
		name := "a removed app"
		if a, ok := p.apps.ByID(u.App); ok {
			name = a.Name
		}
		v.Apps = append(v.Apps, name)
		if !u.Current {
			v.Outdated++
		}
	}
	return v
}

// vaultOf returns the workspace of the route, with only what a person who sees just its vault may
// know.
func (p *vaultPages) vaultOf(x *visit, id string) workspaceView {
	name, _ := p.people.WorkspaceName(id)
	return workspaceOf(x, identity.Workspace{ID: id, Name: name})
}

func (p *vaultPages) showVault(x *visit) error {
	id := x.r.PathValue("id")
	list, err := p.vault.List(x.r.Context(), x.who, id)
	if err != nil {
		return err
	}
	v := vaultView{Workspace: p.vaultOf(x, id), Manage: p.vault.Manages(x.who, id), Now: x.now()}
	for _, c := range list {
		v.Items = append(v.Items, p.credentialOf(x, c))
	}
	return x.render(http.StatusOK, vaultPage(x.frame("Credential vault", "/workspaces"), v))
}

// newCredentialView is the form for a new credential: first people choose its type, then they fill
// in its fields.
type newCredentialView struct {
	Workspace workspaceView
	// Kinds are the types that an app of the workspace supports; Source is that app's name.
	Kinds  []web.Option
	Source string
	// Kind is the chosen type; nil until one is chosen. Free reports that people also type the
	// names of its fields.
	Kind *builder.CredentialKind
	Free bool
	// Name and KindName are the typed values, and Names those of free fields. Values of fields are
	// never shown again.
	Name, KindName string
	Names          []string
	Roles          []roleTick
	Problem, Next  string
	Wrong          wrong
}

// freeFields is how many fields the form has for a type that no app supports.
const freeFields = 4

func (v newCredentialView) path(rest string) string { return v.Workspace.path("/vault" + rest) }

func (v newCredentialView) call() string {
	kind, field := "openAIApi", "openAIApiKey"
	if v.Kind != nil && len(v.Kind.Fields) > 0 {
		kind, field = v.Kind.Name, v.Kind.Fields[0].Name
	}
	body := ` {"name": "Team key", "kind": "` + kind + `", "values": {"` + field + `": "…"}, "roles": ["user"]}`
	return "POST /api/v1" + v.Workspace.path("/credentials") + body
}

// roleTick is a role that a credential can be shared with.
type roleTick struct {
	ID, Name, Hint string
	On             bool
}

// sharing lists the roles that a credential can be shared with. Admins can use all credentials
// anyway, and viewers none.
func (p *vaultPages) sharing(x *visit, with []string) []roleTick {
	var out []roleTick
	for _, r := range p.people.Roles() {
		probe := authz.Principal{
			Kind:        authz.Person,
			Strong:      true,
			ID:          "role:" + r.ID,
			Memberships: []authz.Membership{{Workspace: identity.DefaultWorkspace, Role: r.ID}},
		}
		res := authz.Resource{Type: "Credential", Workspace: identity.DefaultWorkspace}
		if p.gate.Decide(probe, authz.CredentialManage, res).Allowed ||
			!p.gate.Decide(probe, authz.CredentialView, res).Allowed {
			continue
		}
		hint := "They can put it into apps."
		if !p.gate.Decide(probe, authz.CredentialUse, res).Allowed {
			hint = "They can see it, but not put it into apps."
		}
		out = append(out, roleTick{ID: r.ID, Name: r.Name, Hint: hint, On: slices.Contains(with, r.ID)})
	}
	return out
}

// kinds returns the types of credentials, from the first app of the workspace that can list them.
// If no app can, that is not an error: the form is free then.
func (p *vaultPages) kinds(x *visit, workspaceID string) ([]builder.CredentialKind, string) {
	for _, a := range p.apps.All() {
		if !a.UsedIn(workspaceID) || !p.apps.Credentials.Keep(a) {
			continue
		}
		kinds, err := p.apps.Credentials.Kinds(x.r.Context(), x.who, workspaceID, a.ID)
		if err == nil && len(kinds) > 0 {
			return kinds, a.Name
		}
	}
	return nil, ""
}

func (p *vaultPages) showNewCredential(x *visit) error {
	v, err := p.newCredential(x, x.r.URL.Query().Get("kind"), []string{authz.RoleUser})
	if err != nil {
		return err
	}
	return p.renderNewCredential(x, http.StatusOK, v)
}

func (p *vaultPages) renderNewCredential(x *visit, status int, v newCredentialView) error {
	return x.render(status, newCredentialPage(x.frame("New credential", "/workspaces"), v))
}

// newCredential prepares the form for a type; "" offers a choice of types, and "other" also asks
// for the names of the fields.
func (p *vaultPages) newCredential(x *visit, kind string, roles []string) (newCredentialView, error) {
	id := x.r.PathValue("id")
	if err := p.vault.Enter(x.r.Context(), x.who, authz.CredentialManage, id); err != nil {
		return newCredentialView{}, err
	}
	v := newCredentialView{Workspace: p.vaultOf(x, id), Roles: p.sharing(x, roles), Names: make([]string, freeFields)}
	kinds, source := p.kinds(x, id)
	v.Source = source
	for _, k := range kinds {
		v.Kinds = append(v.Kinds, web.Option{Value: k.Name, Label: cmp.Or(k.Label, k.Name)})
		if k.Name == kind {
			v.Kind = &k
		}
	}
	v.Free = v.Kind == nil && (kind != "" || len(kinds) == 0)
	if v.Free && kind != "other" {
		v.KindName = clipped(kind, 80)
	}
	return v, nil
}

func (p *vaultPages) addCredential(x *visit) error {
	id, form := x.r.PathValue("id"), x.r.PostForm
	n := secret.NewCredential{Name: x.value("name"), Kind: x.value("kind"), Values: typedValues(x), Roles: form["role"]}
	made, err := p.vault.Create(x.r.Context(), x.who, id, n)
	if err == nil {
		return x.done("/workspaces/"+id+"/vault/"+made.ID, "vault-saved")
	}
	m, ok := formMistake(err, "name", "kind", "values", "roles")
	if !ok {
		return err
	}
	kind := n.Kind
	if form.Has("free") {
		kind = "other"
	}
	v, lookup := p.newCredential(x, kind, n.Roles)
	if lookup != nil {
		return lookup
	}
	v.Name, v.Problem, v.Next, v.Wrong = clipped(n.Name, 400), m.Text, m.Next, m.Wrong
	if v.Free {
		v.KindName = clipped(n.Kind, 80)
		for i, name := range form["field"] {
			if i < freeFields {
				v.Names[i] = clipped(name, 80)
			}
		}
	}
	return p.renderNewCredential(x, m.status, v)
}

// typedValues reads the values of a form: those of known fields, named "value.NAME", and those of
// fields with typed names. It omits empty values.
func typedValues(x *visit) map[string]string {
	out := map[string]string{}
	for key, sent := range x.r.PostForm {
		if name, ok := strings.CutPrefix(key, "value."); ok && sent[0] != "" {
			out[name] = sent[0]
		}
	}
	typed := x.r.PostForm["value"]
	for i, name := range x.r.PostForm["field"] {
		if name = strings.TrimSpace(name); i < len(typed) && (name != "" || typed[i] != "") {
			out[name] = typed[i]
		}
	}
	return out
}

// copyView is a copy in an app.
type copyView struct {
	App, AppName string
	PutAt        time.Time
	Current      bool
	Flows        []string
	FlowsKnown   bool
	// Withdraw lets the visitor remove the copy.
	Withdraw bool
}

// credentialPageView is one credential.
type credentialPageView struct {
	Workspace  workspaceView
	Credential credentialView
	Copies     []copyView
	// Targets are the apps that can receive the credential. Roles and Fields are set only for
	// people who manage the vault.
	Targets []web.Option
	// Keepers names the products that can receive credentials.
	Keepers       string
	Roles         []roleTick
	Fields        []builder.CredentialField
	Manage, Use   bool
	Now           time.Time
	Name          string
	Problem, Next string
	Wrong         wrong
}

func (v credentialPageView) path(rest string) string {
	return v.Workspace.path("/vault/" + v.Credential.ID + rest)
}

// call is the path of the credential in the API.
func (v credentialPageView) call(rest string) string {
	return "/api/v1" + v.Workspace.path("/credentials/"+v.Credential.ID+rest)
}

func (p *vaultPages) showCredential(x *visit) error {
	v, err := p.credential(x)
	if err != nil {
		return err
	}
	return p.renderCredential(x, http.StatusOK, v)
}

func (p *vaultPages) renderCredential(x *visit, status int, v credentialPageView) error {
	return x.render(status, credentialPage(x.frame(v.Credential.Name, "/workspaces"), v))
}

// credential gathers the content of a credential's page for this visitor.
func (p *vaultPages) credential(x *visit) (credentialPageView, error) {
	ctx, id := x.r.Context(), x.r.PathValue("id")
	c, err := p.vault.Get(ctx, x.who, id, x.r.PathValue("credential"))
	if err != nil {
		return credentialPageView{}, err
	}
	uses, err := p.apps.Credentials.Uses(ctx, x.who, id, c.ID)
	if err != nil {
		return credentialPageView{}, err
	}
	v := credentialPageView{
		Workspace:  p.vaultOf(x, id),
		Credential: p.credentialOf(x, c),
		Manage:     p.vault.Manages(x.who, id),
		Keepers:    p.apps.Kinds.Titles(func(k *builder.Kind) bool { return k.KeepsCredentials }),
		Now:        x.now(),
		Name:       c.Name,
		Use:        x.allows(authz.CredentialUse, c.Resource()),
	}
	for _, u := range uses {
		v.Copies = append(v.Copies, copyOf(u, v.Manage || v.Use && u.PutBy == x.who.ID))
	}
	for _, a := range p.apps.All() {
		there := slices.ContainsFunc(uses, func(u app.CredentialUse) bool { return u.App == a.ID })
		if !there && a.UsedIn(id) && p.apps.Credentials.Keep(a) {
			v.Targets = append(v.Targets, web.Option{Value: a.ID, Label: a.Name})
		}
	}
	if v.Manage {
		v.Roles, v.Fields = p.sharing(x, c.Roles), p.fieldsOf(x, c)
	}
	return v, nil
}

func copyOf(u app.CredentialUse, withdraw bool) copyView {
	v := copyView{
		App:        u.App,
		AppName:    u.AppName,
		PutAt:      u.PutAt,
		Current:    u.Current,
		FlowsKnown: u.FlowsKnown,
		Withdraw:   withdraw,
	}
	for _, f := range u.Flows {
		v.Flows = append(v.Flows, cmp.Or(f.Name, f.ID))
	}
	return v
}

// fieldsOf describes the fields of a credential as its builder does. Fields that no app knows are
// treated as secrets of one line.
func (p *vaultPages) fieldsOf(x *visit, c secret.Credential) []builder.CredentialField {
	known := map[string]builder.CredentialField{}
	kinds, _ := p.kinds(x, c.Workspace)
	for _, k := range kinds {
		if k.Name == c.Kind {
			for _, f := range k.Fields {
				known[f.Name] = f
			}
		}
	}
	var out []builder.CredentialField
	for _, name := range c.Fields {
		f, ok := known[name]
		if !ok {
			f = builder.CredentialField{Name: name, Label: name, Secret: true}
		}
		f.Optional = true
		out = append(out, f)
	}
	return out
}

// credentialMistake shows a mistake on the page of a credential.
func (p *vaultPages) credentialMistake(x *visit, err error, fields ...string) error {
	m, ok := formMistake(err, fields...)
	if !ok {
		return err
	}
	v, lookup := p.credential(x)
	if lookup != nil {
		return lookup
	}
	v.Problem, v.Next, v.Wrong = m.Text, m.Next, m.Wrong
	if x.r.PostForm.Has("name") {
		v.Name = clipped(x.value("name"), 400)
	}
	return p.renderCredential(x, m.status, v)
}

// backToCredential redirects to the page of the credential with a notice.
func (p *vaultPages) backToCredential(x *visit, notice string) error {
	return x.done("/workspaces/"+x.r.PathValue("id")+"/vault/"+x.r.PathValue("credential"), notice)
}

// changeCredential saves the name and the roles, which are one form.
func (p *vaultPages) changeCredential(x *visit) error {
	name, roles := x.value("name"), append([]string{}, x.r.PostForm["role"]...)
	_, err := p.vault.Change(
		x.r.Context(),
		x.who,
		x.r.PathValue("id"),
		x.r.PathValue("credential"),
		secret.CredentialChange{Name: &name, Roles: &roles},
	)
	if err != nil {
		return p.credentialMistake(x, err, "name", "roles")
	}
	return p.backToCredential(x, "vault-changed")
}

func (p *vaultPages) rotateCredential(x *visit) error {
	uses, err := p.apps.Credentials.Rotate(
		x.r.Context(),
		x.who,
		x.r.PathValue("id"),
		x.r.PathValue("credential"),
		typedValues(x),
	)
	if err != nil {
		return p.credentialMistake(x, err, "values")
	}
	return p.afterCopies(x, uses, "vault-rotated")
}

// afterCopies returns to the page, which shows the apps that did not accept the values yet.
func (p *vaultPages) afterCopies(x *visit, uses []app.CredentialUse, notice string) error {
	if slices.ContainsFunc(uses, func(u app.CredentialUse) bool { return !u.Current }) {
		notice = "vault-later"
	}
	return p.backToCredential(x, notice)
}

func (p *vaultPages) putCredential(x *visit) error {
	use, err := p.apps.Credentials.Put(
		x.r.Context(),
		x.who,
		x.r.PathValue("id"),
		x.value("app"),
		x.r.PathValue("credential"),
	)
	if err != nil {
		return p.credentialMistake(x, err, "app")
	}
	return p.afterCopies(x, []app.CredentialUse{use}, "vault-put")
}

func (p *vaultPages) refreshCredential(x *visit) error {
	uses, err := p.apps.Credentials.Refresh(x.r.Context(), x.who, x.r.PathValue("id"), x.r.PathValue("credential"))
	if err != nil {
		return p.credentialMistake(x, err)
	}
	return p.afterCopies(x, uses, "vault-fresh")
}

func (p *vaultPages) withdrawCredential(x *visit) error {
	err := p.apps.Credentials.Withdraw(
		x.r.Context(),
		x.who,
		x.r.PathValue("id"),
		x.value("app"),
		x.r.PathValue("credential"),
	)
	if err != nil {
		return p.credentialMistake(x, err)
	}
	return p.backToCredential(x, "vault-withdrawn")
}

func (p *vaultPages) deleteCredential(x *visit) error {
	id := x.r.PathValue("id")
	withdraw := x.value("withdraw") == "true"
	err := p.apps.Credentials.Delete(x.r.Context(), x.who, id, x.r.PathValue("credential"), withdraw)
	if err != nil {
		return p.credentialMistake(x, err)
	}
	return x.done("/workspaces/"+id+"/vault", "vault-deleted")
}
