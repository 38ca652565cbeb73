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

// signInSettings determine how people sign in here: who may use a password, and the identity
// providers.
type signInSettings struct {
	rounds    *rounds
	logins    *login.Logins
	providers *sso.Providers
	sso       *sso.SSO
}

const signInPath = "/admin/sign-in"

// signInView is how people sign in here.
type signInView struct {
	Providers []sso.Provider
	// Password is who may use a password.
	Password      string
	Problem, Next string
}

var passwordOptions = []web.Option{
	{Value: login.PasswordEveryone, Label: "Everyone who has one", Hint: "In addition to single sign-on and passkeys."},
	{
		Value: login.PasswordSuperusers,
		Label: "Superusers only",
		Hint: "Everyone else uses single sign-on or a passkey. Superusers keep theirs in case the identity " +
			"provider is down.",
	},
}

func (s *signInSettings) showSignIn(x *visit) error {
	return s.renderSignIn(x, http.StatusOK, signInView{})
}

func (s *signInSettings) renderSignIn(x *visit, status int, v signInView) error {
	var err error
	if v.Providers, err = s.providers.List(x.r.Context(), x.who); err != nil {
		return err
	}
	v.Password = s.logins.PasswordPolicy()
	return x.render(status, signInSettingsPage(x.frame("Sign-in", signInPath), v))
}

func (s *signInSettings) setPasswordPolicy(x *visit) error {
	err := s.logins.SetPasswordPolicy(x.r.Context(), x.who, x.value("password"))
	if err == nil {
		return x.done(signInPath, "password-policy")
	}
	m, ok := formMistake(err)
	if !ok {
		return err
	}
	return s.renderSignIn(x, m.status, signInView{Problem: m.Text, Next: m.Next})
}

// spareMappings is how many empty rows for further mappings a form has.
const spareMappings = 3

// providerView is one identity provider and its form.
type providerView struct {
	// Form is the content of the form, and Preset the source of its notes. ID is empty for a new
	// provider.
	Form   sso.Provider
	Preset preset
	// Redirect and BackChannel are the addresses of Sluice that the provider needs.
	Redirect, BackChannel string
	Workspaces, Roles     []web.Option
	Findings              []sso.Finding
	Problem, Next         string
	Wrong                 wrong
}

func (v providerView) path(rest string) string { return signInPath + "/" + v.Form.ID + rest }

// rows returns the mappings, followed by some empty ones.
func (v providerView) rows() []sso.Mapping {
	return append(slices.Clone(v.Form.Mappings), make([]sso.Mapping, spareMappings)...)
}

func (v providerView) scopes() string { return strings.Join(v.Form.Scopes, " ") }

func (v providerView) domains() string { return strings.Join(v.Form.Domains, " ") }

func (v providerView) oidc() bool { return v.Form.Kind == sso.KindOIDC }

func (v providerView) secretHint() string {
	if v.Form.HasSecret {
		return "One is stored encrypted. Leave this empty to keep it."
	}
	return "It is stored encrypted and never shown again."
}

func (s *signInSettings) showNewProvider(x *visit) error {
	p, ok := presetByID(x.r.URL.Query().Get("preset"))
	if !ok {
		return x.render(http.StatusOK, presetsPage(x.frame("Add an identity provider", signInPath)))
	}
	return s.renderProvider(x, http.StatusOK, providerView{Preset: p, Form: sso.Provider{
		Slug:           s.freeSlug(x, p.ID),
		Kind:           p.Kind,
		Name:           strings.TrimSuffix(p.Title, " provider"),
		Issuer:         p.Issuer,
		Scopes:         p.Scopes,
		GroupClaim:     p.GroupClaim,
		Enabled:        true,
		CreateAccounts: true,
	}})
}

// freeSlug returns a short name that no provider has yet.
func (s *signInSettings) freeSlug(x *visit, base string) string {
	taken, err := s.providers.List(x.r.Context(), x.who)
	if err != nil {
		return base
	}
	slug := base
	for n := 2; n < 100 && slices.ContainsFunc(taken, func(p sso.Provider) bool { return p.Slug == slug }); n++ {
		slug = base + "-" + strconv.Itoa(n)
	}
	return slug
}

func (s *signInSettings) renderProvider(x *visit, status int, v providerView) error {
	base := x.origin() + "/sso/" + v.Form.Slug
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

// providerForm reads the form. Each row of mappings has three fields, in the same order; rows
// without a group are empty.
func providerForm(x *visit) sso.Provider {
	p := sso.Provider{
		Slug:           x.value("slug"),
		Kind:           x.value("kind"),
		Name:           x.value("name"),
		Issuer:         x.value("issuer"),
		ClientID:       x.value("client_id"),
		ClientSecret:   x.value("client_secret"),
		Enabled:        x.ticked("enabled", false),
		Scopes:         strings.Fields(x.value("scopes")),
		CreateAccounts: x.ticked("create_accounts", false),
		TrustFactor:    x.ticked("trust_factor", false),
		Domains: strings.FieldsFunc(
			x.value("domains"),
			func(r rune) bool { return r == ',' || r == ';' || r <= ' ' },
		),
		GroupClaim:     x.value("group_claim"),
		SuperuserGroup: x.value("superuser_group"),
		UsernameClaim:  x.value("username_claim"),
		EmailClaim:     x.value("email_claim"),
		NameClaim:      x.value("name_claim"),
	}
	groups := x.r.PostForm["mapping_group"]
	workspaces := x.r.PostForm["mapping_workspace"]
	roles := x.r.PostForm["mapping_role"]
	for i, group := range groups {
		if group = strings.TrimSpace(group); group != "" && i < len(workspaces) && i < len(roles) {
			p.Mappings = append(p.Mappings, sso.Mapping{Group: group, Workspace: workspaces[i], Role: roles[i]})
		}
	}
	return p
}

// providerFields are the fields that can show a mistake.
var providerFields = []string{
	"slug",
	"name",
	"issuer",
	"client_id",
	"client_secret",
	"scopes",
	"domains",
	"group_claim",
	"mappings",
	"superuser_group",
	"username_claim",
	"email_claim",
	"name_claim",
}

func (s *signInSettings) addProvider(x *visit) error { return s.saveProvider(x, sso.Provider{}) }

func (s *signInSettings) changeProvider(x *visit) error {
	current, err := s.providers.Provider(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.saveProvider(x, current)
}

// saveProvider stores the form; current is the provider before the change, or empty for a new one.
func (s *signInSettings) saveProvider(x *visit, current sso.Provider) error {
	form := providerForm(x)
	if current.ID != "" {
		form.ID, form.Slug, form.Kind, form.HasSecret = current.ID, current.Slug, current.Kind, current.HasSecret
	}
	saved, err := s.providers.SaveProvider(x.r.Context(), x.who, form)
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
	return s.renderProvider(x, m.status, v)
}

func (s *signInSettings) showProvider(x *visit) error {
	p, err := s.providers.Provider(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.renderProvider(x, http.StatusOK, providerView{Form: p})
}

// checkProvider checks the provider immediately and shows the findings.
func (s *signInSettings) checkProvider(x *visit) error {
	id := x.r.PathValue("id")
	p, err := s.providers.Provider(x.r.Context(), x.who, id)
	if err != nil {
		return err
	}
	findings, err := s.providers.CheckProvider(x.r.Context(), x.who, id)
	if err != nil {
		return err
	}
	return s.renderProvider(x, http.StatusOK, providerView{Form: p, Findings: findings})
}

// testProvider begins a round that shows what the provider says about the admin.
func (s *signInSettings) testProvider(x *visit) error {
	p, err := s.providers.Provider(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	to, err := s.rounds.roundTrip(x, sso.Round{Slug: p.Slug, Purpose: sso.ForTest})
	if err != nil {
		return s.providerTrouble(x, p.ID, err)
	}
	return sendAway(x, awayView{
		"To " + p.Name,
		"Sign in there as usual. Sluice then shows what it received, and changes nothing.",
		to,
		"Continue",
	})
}

// providerTrouble shows an error on a provider's page.
func (s *signInSettings) providerTrouble(x *visit, id string, err error) error {
	e := problem.Of(err)
	if e.Kind == problem.Internal || e.Kind == problem.StepUp {
		return err
	}
	p, lookup := s.providers.Provider(x.r.Context(), x.who, id)
	if lookup != nil {
		return err
	}
	x.event.Reason = e.Kind.String()
	return s.renderProvider(x, shownStatus(e), providerView{Form: p, Problem: e.Detail, Next: e.Next})
}

// reportView shows what a provider said about the person who tried it.
type reportView struct {
	Provider sso.Provider
	Report   *sso.ClaimReport
}

// showReport shows the report of the last test only once, because it holds what the provider knows
// about a person.
func (s *signInSettings) showReport(x *visit) error {
	p, err := s.providers.Provider(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	v := reportView{Provider: p}
	switch report, err := s.sso.TestReport(x.r.Context(), x.who, p.ID); {
	case err == nil:
		v.Report = &report
	case !expired(err):
		return err
	}
	return x.render(http.StatusOK, reportPage(x.frame("Test of "+p.Name, signInPath), v))
}

func (s *signInSettings) showRemoveProvider(x *visit) error {
	p, err := s.providers.Provider(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	return x.render(http.StatusOK, removeProviderPage(x.frame("Remove "+p.Name, signInPath), providerView{Form: p}))
}

func (s *signInSettings) removeProvider(x *visit) error {
	id := x.r.PathValue("id")
	if err := s.providers.RemoveProvider(x.r.Context(), x.who, id); err != nil {
		return s.providerTrouble(x, id, err)
	}
	return x.done(signInPath, "provider-gone")
}
