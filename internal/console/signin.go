package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sluice/internal/login"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
	"sluice/internal/web"
)

const signInPath = "/admin/sign-in"

// signInView is how people sign in here.
type signInView struct {
	Providers []sso.Provider
	// Password is who may use a password.
	Password      string
	Problem, Next string
}

var passwordOptions = []web.Option{
	{Value: login.PasswordEveryone, Label: "Everybody who has one", Hint: "Besides single sign-on and passkeys."},
	{Value: login.PasswordSuperusers, Label: "Superusers only", Hint: "Everybody else comes by single sign-on or a passkey. Superusers keep theirs, for the day on which the identity provider does not answer."},
}

func showSignIn(x *visit) error { return x.renderSignIn(http.StatusOK, signInView{}) }

func (x *visit) renderSignIn(status int, v signInView) error {
	var err error
	if v.Providers, err = x.c.cfg.Providers.List(x.r.Context(), x.who); err != nil {
		return err
	}
	v.Password = x.c.cfg.Logins.PasswordPolicy()
	return x.render(status, signInSettingsPage(x.frame("Sign-in", signInPath), v))
}

func setPasswordPolicy(x *visit) error {
	err := x.c.cfg.Logins.SetPasswordPolicy(x.r.Context(), x.who, x.value("password"))
	if err == nil {
		return x.done(signInPath, "password-policy")
	}
	m, ok := formMistake(err)
	if !ok {
		return err
	}
	return x.renderSignIn(m.status, signInView{Problem: m.Text, Next: m.Next})
}

// spareMappings is how many empty rows a form has for further mappings.
const spareMappings = 3

// providerView is one identity provider and its form.
type providerView struct {
	// Form is what stands in the form, Preset where its notes come from. ID is empty for a new one.
	Form   sso.Provider
	Preset preset
	// Redirect and BackChannel are what the provider has to know of Sluice.
	Redirect, BackChannel string
	Workspaces, Roles     []web.Option
	Findings              []sso.Finding
	Problem, Next         string
	Wrong                 wrong
}

func (v providerView) path(rest string) string { return signInPath + "/" + v.Form.ID + rest }

// rows are the mappings with some empty ones behind them.
func (v providerView) rows() []sso.Mapping {
	return append(slices.Clone(v.Form.Mappings), make([]sso.Mapping, spareMappings)...)
}

func (v providerView) scopes() string { return strings.Join(v.Form.Scopes, " ") }

func (v providerView) domains() string { return strings.Join(v.Form.Domains, " ") }

func (v providerView) oidc() bool { return v.Form.Kind == sso.KindOIDC }

func (v providerView) secretHint() string {
	if v.Form.HasSecret {
		return "One is stored, encrypted. Leave this empty to keep it."
	}
	return "It is kept encrypted and never shown again."
}

func showNewProvider(x *visit) error {
	p, ok := presetByID(x.r.URL.Query().Get("preset"))
	if !ok {
		return x.render(http.StatusOK, presetsPage(x.frame("Add an identity provider", signInPath)))
	}
	return x.renderProvider(http.StatusOK, providerView{Preset: p, Form: sso.Provider{
		Slug: x.freeSlug(p.ID), Kind: p.Kind, Name: strings.TrimSuffix(p.Title, " provider"), Issuer: p.Issuer, Scopes: p.Scopes, GroupClaim: p.GroupClaim, Enabled: true, CreateAccounts: true,
	}})
}

// freeSlug is a short name that no provider has yet.
func (x *visit) freeSlug(base string) string {
	taken, err := x.c.cfg.Providers.List(x.r.Context(), x.who)
	if err != nil {
		return base
	}
	slug := base
	for n := 2; n < 100 && slices.ContainsFunc(taken, func(p sso.Provider) bool { return p.Slug == slug }); n++ {
		slug = base + "-" + strconv.Itoa(n)
	}
	return slug
}

func (x *visit) renderProvider(status int, v providerView) error {
	base := x.c.cfg.MainOrigin(x.r.Host) + "/sso/" + v.Form.Slug
	v.Redirect = base + "/callback"
	if v.oidc() {
		v.BackChannel = base + "/back-channel-logout"
	}
	v.Workspaces, v.Roles = x.workspaceOptions(), x.roleOptions()
	if v.Form.ID == "" {
		return x.render(status, newProviderPage(x.frame("Add "+v.Preset.Title, signInPath), v))
	}
	if v.Preset.ID == "" {
		v.Preset = presetOf(v.Form)
	}
	return x.render(status, providerPage(x.frame(v.Form.Name, signInPath), v))
}

// providerForm reads the form. Of the mappings each row has three fields, in the same order; rows without a group are empty.
func (x *visit) providerForm() sso.Provider {
	p := sso.Provider{
		Slug: x.value("slug"), Kind: x.value("kind"), Name: x.value("name"), Issuer: x.value("issuer"), ClientID: x.value("client_id"), ClientSecret: x.value("client_secret"),
		Enabled: x.ticked("enabled", false), Scopes: strings.Fields(x.value("scopes")), CreateAccounts: x.ticked("create_accounts", false), TrustFactor: x.ticked("trust_factor", false),
		Domains:    strings.FieldsFunc(x.value("domains"), func(r rune) bool { return r == ',' || r == ';' || r <= ' ' }),
		GroupClaim: x.value("group_claim"), SuperuserGroup: x.value("superuser_group"), UsernameClaim: x.value("username_claim"), EmailClaim: x.value("email_claim"), NameClaim: x.value("name_claim"),
	}
	groups, workspaces, roles := x.r.PostForm["mapping_group"], x.r.PostForm["mapping_workspace"], x.r.PostForm["mapping_role"]
	for i, group := range groups {
		if group = strings.TrimSpace(group); group != "" && i < len(workspaces) && i < len(roles) {
			p.Mappings = append(p.Mappings, sso.Mapping{Group: group, Workspace: workspaces[i], Role: roles[i]})
		}
	}
	return p
}

// providerFields are the fields at which a mistake can be shown.
var providerFields = []string{"slug", "name", "issuer", "client_id", "client_secret", "scopes", "domains", "group_claim", "mappings", "superuser_group", "username_claim", "email_claim", "name_claim"}

func addProvider(x *visit) error { return x.saveProvider(sso.Provider{}) }

func changeProvider(x *visit) error {
	present, err := x.c.cfg.Providers.Provider(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	return x.saveProvider(present)
}

// saveProvider stores the form; present is the provider as it is, or empty for a new one.
func (x *visit) saveProvider(present sso.Provider) error {
	form := x.providerForm()
	if present.ID != "" {
		form.ID, form.Slug, form.Kind, form.HasSecret = present.ID, present.Slug, present.Kind, present.HasSecret
	}
	saved, err := x.c.cfg.Providers.SaveProvider(x.r.Context(), x.who, form)
	if err == nil {
		return x.done(signInPath+"/"+saved.ID, "provider")
	}
	m, ok := formMistake(err, providerFields...)
	if !ok {
		return err
	}
	v := providerView{Form: form, Problem: m.Text, Next: m.Next, Wrong: m.Wrong}
	if v.Preset, ok = presetByID(x.value("preset")); !ok {
		v.Preset = presetOf(form)
	}
	return x.renderProvider(m.status, v)
}

func showProvider(x *visit) error {
	p, err := x.c.cfg.Providers.Provider(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	return x.renderProvider(http.StatusOK, providerView{Form: p})
}

// checkProvider asks the provider now and shows what was found.
func checkProvider(x *visit) error {
	id := x.r.PathValue("id")
	p, err := x.c.cfg.Providers.Provider(x.r.Context(), x.who, id)
	if err != nil {
		return err
	}
	findings, err := x.c.cfg.Providers.CheckProvider(x.r.Context(), x.who, id)
	if err != nil {
		return err
	}
	return x.renderProvider(http.StatusOK, providerView{Form: p, Findings: findings})
}

// testProvider begins a round that shows what the provider says of oneself.
func testProvider(x *visit) error {
	p, err := x.c.cfg.Providers.Provider(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	to, err := x.roundTrip(sso.Round{Slug: p.Slug, Purpose: sso.ForTest})
	if err != nil {
		return x.providerTrouble(p.ID, err)
	}
	return x.sendAway(awayView{"To " + p.Name, "Sign in there as you would to come in. Sluice then shows what it was told; nothing is changed.", to, "Go on"})
}

// providerTrouble shows on a provider's page what went wrong with it.
func (x *visit) providerTrouble(id string, err error) error {
	e := problem.Of(err)
	if e.Kind == problem.Internal || e.Kind == problem.StepUp {
		return err
	}
	p, lookup := x.c.cfg.Providers.Provider(x.r.Context(), x.who, id)
	if lookup != nil {
		return err
	}
	x.event.Reason = e.Kind.String()
	return x.renderProvider(shownStatus(e), providerView{Form: p, Problem: e.Detail, Next: e.Next})
}

// reportView is what a provider said of the person who tried it.
type reportView struct {
	Provider sso.Provider
	Report   *sso.ClaimReport
}

// showReport shows the report of the last try, once: it holds what the provider knows of a person.
func showReport(x *visit) error {
	p, err := x.c.cfg.Providers.Provider(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	v := reportView{Provider: p}
	switch report, err := x.c.cfg.SSO.TestReport(x.r.Context(), x.who, p.ID); {
	case err == nil:
		v.Report = &report
	case !expired(err):
		return err
	}
	return x.render(http.StatusOK, reportPage(x.frame("Test of "+p.Name, signInPath), v))
}

func showRemoveProvider(x *visit) error {
	p, err := x.c.cfg.Providers.Provider(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	return x.render(http.StatusOK, removeProviderPage(x.frame("Remove "+p.Name, signInPath), providerView{Form: p}))
}

func removeProvider(x *visit) error {
	id := x.r.PathValue("id")
	if err := x.c.cfg.Providers.RemoveProvider(x.r.Context(), x.who, id); err != nil {
		return x.providerTrouble(id, err)
	}
	return x.done(signInPath, "provider-gone")
}
