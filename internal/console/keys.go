package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// keyPages are API keys: a person's own, and those of a workspace for the people who manage them.
type keyPages struct {
	forms  *keyForms
	gate   *authz.Gate
	people *identity.People
	keys   *authn.Keys
	apps   *app.Apps
}

// keysPath is the page of the visitor's own API keys.
const keysPath = "/account/keys"

// soon is how long before its expiry a key is said to expire soon.
const soon = 7 * 24 * time.Hour

// keyView is an API key as the pages show it; it never holds the key itself.
type keyView struct {
	ID, Name, Prefix, Owner, WorkspaceName string
	// The scope in words.
	What, Where string
	Networks    string
	Limits      string
	CreatedAt, IssuedAt, ExpiresAt, RevokedAt,
	FormerUntil, LastUsedAt time.Time
	LastUsedIP string
	Tone       web.Tone
	State      string
	// Live reports that the key is neither revoked nor expired.
	Live bool
}

func (v keyView) path(rest string) string { return keysPath + "/" + v.ID + rest }

func keyOf(x *visit, k authn.APIKey, names keyNames) keyView {
	v := keyView{
		ID:            k.ID,
		Name:          k.Name,
		Prefix:        k.Prefix,
		Owner:         k.OwnerName,
		WorkspaceName: k.WorkspaceName,
		What:          whatWords(k.Scope),
		Where:         names.whereWords(k.Scope),
		Limits:        limitWords(k),
		CreatedAt:     k.CreatedAt,
		IssuedAt:      k.IssuedAt,
		ExpiresAt:     k.ExpiresAt,
		RevokedAt:     k.RevokedAt,
		FormerUntil:   k.FormerUntil,
		LastUsedAt:    k.LastUsedAt,
		LastUsedIP:    k.LastUsedIP,
	}
	var networks []string
	for _, n := range k.Networks {
		networks = append(networks, n.String())
	}
	v.Networks = strings.Join(networks, ", ")
	now := x.now()
	ended := !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now)
	v.Live = k.RevokedAt.IsZero() && !ended
	switch {
	case !k.RevokedAt.IsZero():
		v.Tone, v.State = web.Plain, "Revoked"
	case ended:
		v.Tone, v.State = web.Plain, "Expired"
	case !k.Usable:
		v.Tone, v.State = web.Bad, "Its owner has no access"
	case !k.ExpiresAt.IsZero() && k.ExpiresAt.Sub(now) < soon:
		v.Tone, v.State = web.Warning, "Expires soon"
	default:
		v.Tone, v.State = web.Good, "Active"
	}
	return v
}

// limitWords describes a key's limits; "" if it has none.
func limitWords(k authn.APIKey) string {
	var parts []string
	if k.PerMinute > 0 {
		parts = append(parts, strconv.FormatInt(k.PerMinute, 10)+" a minute")
	}
	if k.PerDay > 0 {
		part := strconv.FormatInt(k.PerDay, 10) + " a day"
		if k.UsedToday > 0 {
			part += " (about " + strconv.FormatInt(k.UsedToday, 10) + " of today's used)"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// keysView is the list of keys: the visitor's own, or those of a workspace.
type keysView struct {
	Keys []keyView
	// Workspace and WorkspaceName are the workspace where the keys work.
	Workspace, WorkspaceName string
	// Elsewhere is how many more live keys the person has in other workspaces.
	Elsewhere int
	Now       time.Time
}

func (v keysView) path(rest string) string { return "/workspaces/" + v.Workspace + "/keys" + rest }

// here reports whether the visitor works in the workspace of the keys.
func (v keysView) here(p web.Page) bool {
	return slices.ContainsFunc(p.Workspaces, func(w web.Workspace) bool { return w.Current && w.ID == v.Workspace })
}

// liveFirst moves live keys to the front, and otherwise keeps the order.
func liveFirst(list []keyView) {
	slices.SortStableFunc(list, func(a, b keyView) int {
		switch {
		case a.Live == b.Live:
			return 0
		case a.Live:
			return -1
		}
		return 1
	})
}

func (p *keyPages) showKeys(x *visit) error {
	list, err := p.keys.List(x.r.Context(), x.who, authn.KeyFilter{Owner: x.who.ID})
	if err != nil {
		return err
	}
	v := keysView{Workspace: x.who.Workspace, Now: x.now()}
	v.WorkspaceName = x.workspaceName(v.Workspace)
	names, err := p.forms.namesFor(x, list, v.Workspace)
	if err != nil {
		return err
	}
	for _, k := range list {
		one := keyOf(x, k, names)
		switch {
		case k.Workspace == v.Workspace:
			v.Keys = append(v.Keys, one)
		case one.Live:
			v.Elsewhere++
		}
	}
	liveFirst(v.Keys)
	return x.render(http.StatusOK, keysPage(x.frame("API keys", "/account"), v))
}

// newKeyView is the form for a new key.
type newKeyView struct {
	Form          keyForm
	WorkspaceName string
	Problem, Next string
}

func (p *keyPages) showNewKey(x *visit) error {
	f, err := p.forms.newKeyForm(x)
	if err != nil {
		return err
	}
	return p.renderNewKey(x, http.StatusOK, newKeyView{Form: f})
}

func (p *keyPages) renderNewKey(x *visit, status int, v newKeyView) error {
	v.WorkspaceName = x.workspaceName(x.who.Workspace)
	return x.render(status, newKeyPage(x.frame("New API key", "/account"), v))
}

// createKey creates a key and shows it directly in the answer.
func (p *keyPages) createKey(x *visit) error {
	f, err := p.forms.newKeyForm(x)
	if err != nil {
		return err
	}
	n := authn.NewAPIKey{Workspace: x.who.Workspace}
	read := f.read(x, authn.APIKey{IssuedAt: x.now()})
	n.Name = read.Name
	n.Scope = read.Scope
	n.Networks = read.Networks
	n.PerMinute = read.PerMinute
	n.PerDay = read.PerDay
	n.Expires = read.Expires
	if err = read.err; err == nil {
		k, secret, failed := p.keys.Create(x.r.Context(), x.who, n)
		if failed == nil {
			return p.showSecret(x, k, secret, false)
		}
		err = failed
	}
	m, ok := formMistake(err, keyFields...)
	if !ok {
		return err
	}
	f.Wrong = m.Wrong
	return p.renderNewKey(x, m.status, newKeyView{Form: f, Problem: m.Text, Next: m.Next})
}

// keyShownView shows a key, only once.
type keyShownView struct {
	Key     keyView
	Secret  string
	Curl    curlView
	Rotated bool
	Now     time.Time
}

func (p *keyPages) showSecret(x *visit, k authn.APIKey, secret string, rotated bool) error {
	names, err := p.forms.namesFor(x, []authn.APIKey{k}, k.Workspace)
	if err != nil {
		return err
	}
	v := keyShownView{Key: keyOf(x, k, names), Secret: secret, Rotated: rotated, Now: x.now()}
	if v.Curl, err = p.curlOf(x, k, secret); err != nil {
		return err
	}
	title := "Your new API key"
	if rotated {
		title = "The key's new secret"
	}
	return x.render(http.StatusOK, keyShownPage(x.frame(title, keysPath), v))
}

// keyPageView is one key.
type keyPageView struct {
	Key  keyView
	Form keyForm
	Curl curlView
	Now  time.Time
	// At names the form that the problem belongs to: "change" or "rotate".
	At            string
	Problem, Next string
}

// ownKey returns the key of the route if it is the visitor's own.
func (p *keyPages) ownKey(x *visit) (authn.APIKey, error) {
	k, err := p.keys.Get(x.r.Context(), x.who, x.r.PathValue("id"))
	if err == nil && k.Owner != x.who.ID {
		err = problem.New(problem.NotFound, "This API key is not yours.").WithNext("Open the keys of its workspace.")
	}
	return k, err
}

func (p *keyPages) showKey(x *visit) error {
	k, err := p.ownKey(x)
	if err != nil {
		return err
	}
	return p.renderKey(x, http.StatusOK, k, keyPageView{})
}

// renderKey shows the page of a key; a form that is not filled in yet gets the key's current
// values.
func (p *keyPages) renderKey(x *visit, status int, k authn.APIKey, v keyPageView) error {
	names, err := p.forms.namesFor(x, []authn.APIKey{k}, k.Workspace)
	if err != nil {
		return err
	}
	if v.At != "change" {
		if v.Form, err = p.forms.formOfKey(x, k); err != nil {
			return err
		}
	}
	v.Key, v.Now = keyOf(x, k, names), x.now()
	if v.Curl, err = p.curlOf(x, k, ""); err != nil {
		return err
	}
	return x.render(status, keyPage(x.frame(k.Name, "/account"), v))
}

// changeKey changes the fields in which the form differs from the key.
func (p *keyPages) changeKey(x *visit) error {
	k, err := p.ownKey(x)
	if err != nil {
		return err
	}
	f, err := p.forms.formOfKey(x, k)
	if err != nil {
		return err
	}
	read := f.read(x, k)
	if err = read.err; err == nil {
		c := authn.APIKeyChange{
			Name:      &read.Name,
			Scope:     &read.Scope,
			Networks:  &read.Networks,
			PerMinute: &read.PerMinute,
			PerDay:    &read.PerDay,
		}
		if !read.keepEnd {
			c.Expires = &read.Expires
		}
		_, err = p.keys.Update(x.r.Context(), x.who, k.ID, c)
	}
	if err == nil {
		return x.done(keysPath+"/"+k.ID, "key-changed")
	}
	m, ok := formMistake(err, keyFields...)
	if !ok {
		return err
	}
	f.Wrong = m.Wrong
	return p.renderKey(x, m.status, k, keyPageView{Form: f, At: "change", Problem: m.Text, Next: m.Next})
}

// overlaps are how long the previous secret may continue to work, in hours.
var overlaps = []web.Option{
	{Value: "24", Label: "Works for another day"},
	{Value: "168", Label: "Works for another week"},
	{Value: "1", Label: "Works for another hour"},
	{Value: "0", Label: "Revoked immediately"},
}

func (p *keyPages) rotateKey(x *visit) error {
	k, err := p.ownKey(x)
	if err != nil {
		return err
	}
	hours, err := strconv.Atoi(x.value("overlap"))
	if err != nil {
		hours = -1 // refused by the capability
	}
	changed, secret, err := p.keys.Rotate(
		x.r.Context(),
		x.who,
		k.ID,
		authn.Rotation{Overlap: time.Duration(hours) * time.Hour},
	)
	if err == nil {
		return p.showSecret(x, changed, secret, true)
	}
	m, ok := formMistake(err)
	if !ok {
		return err
	}
	return p.renderKey(x, m.status, k, keyPageView{At: "rotate", Problem: m.Text, Next: m.Next})
}

// revokeKeyView asks before a key is revoked.
type revokeKeyView struct {
	Key keyView
	// Back is the previous page, Action the form's target; Call is the API call that does the same.
	Back, BackLabel, Action, Call string
	Own                           bool
	Now                           time.Time
}

func (p *keyPages) showRevokeKey(x *visit) error {
	k, err := p.ownKey(x)
	if err != nil {
		return err
	}
	v := revokeKeyView{
		Back:      keysPath + "/" + k.ID,
		BackLabel: k.Name,
		Action:    keysPath + "/" + k.ID + "/revoke",
		Call:      "DELETE /api/v1/keys/" + k.ID,
		Own:       true,
	}
	return p.renderRevoke(x, k, v, "/account")
}

func (p *keyPages) renderRevoke(x *visit, k authn.APIKey, v revokeKeyView, active string) error {
	names, err := p.forms.namesFor(x, []authn.APIKey{k}, k.Workspace)
	if err != nil {
		return err
	}
	v.Key, v.Now = keyOf(x, k, names), x.now()
	return x.render(http.StatusOK, revokeKeyPage(x.frame("Revoke "+k.Name, active), v))
}

func (p *keyPages) revokeKey(x *visit) error {
	k, err := p.ownKey(x)
	if err != nil {
		return err
	}
	if err := p.keys.Revoke(x.r.Context(), x.who, k.ID); err != nil {
		return err
	}
	return x.done(keysPath, "key-revoked")
}

// showWorkspaceKeys lists the keys of all people in a workspace, for those who manage them.
func (p *keyPages) showWorkspaceKeys(x *visit) error {
	w, err := p.people.Workspace(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	list, err := p.keys.List(x.r.Context(), x.who, authn.KeyFilter{Workspace: w.ID})
	if err != nil {
		return err
	}
	names, err := p.forms.namesFor(x, list, w.ID)
	if err != nil {
		return err
	}
	v := keysView{Workspace: w.ID, WorkspaceName: w.Name, Now: x.now()}
	for _, k := range list {
		v.Keys = append(v.Keys, keyOf(x, k, names))
	}
	liveFirst(v.Keys)
	return x.render(http.StatusOK, workspaceKeysPage(x.frame("API keys of "+w.Name, "/workspaces"), v))
}

// workspaceKey returns the key of the route, in the workspace of the route.
func (p *keyPages) workspaceKey(x *visit) (authn.APIKey, error) {
	w, err := p.people.Workspace(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return authn.APIKey{}, err
	}
	k, err := p.keys.Get(x.r.Context(), x.who, x.r.PathValue("key"))
	if err == nil && k.Workspace != w.ID {
		err = problem.New(problem.NotFound, "There is no such API key in this workspace.")
	}
	return k, err
}

func (p *keyPages) showRevokeWorkspaceKey(x *visit) error {
	k, err := p.workspaceKey(x)
	if err != nil {
		return err
	}
	list := "/workspaces/" + k.Workspace + "/keys"
	v := revokeKeyView{
		Back:      list,
		BackLabel: "API keys",
		Action:    list + "/" + k.ID + "/revoke",
		Call:      "DELETE /api/v1" + list + "/" + k.ID,
		Own:       k.Owner == x.who.ID,
	}
	return p.renderRevoke(x, k, v, "/workspaces")
}

func (p *keyPages) revokeWorkspaceKey(x *visit) error {
	k, err := p.workspaceKey(x)
	if err != nil {
		return err
	}
	if err := p.keys.Revoke(x.r.Context(), x.who, k.ID); err != nil {
		return err
	}
	return x.done("/workspaces/"+k.Workspace+"/keys", "key-revoked")
}

// numberOf reads a limit; empty means none.
func numberOf(text, field string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, problem.New(problem.Invalid, "This is not a whole number.").WithField(field)
	}
	return n, nil
}
