package console

import (
	"cmp"
	"net/http"
	"strings"

	"sluice/internal/app"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// connectionPages choose the way into a builder with its own accounts.
type connectionPages struct {
	views *appViews
	apps  *app.Apps
}

// bridgeChoice is a way into a builder with accounts: its meaning, and the result of its test.
type bridgeChoice struct {
	Mode         builder.Mode
	Title        string
	Tradeoff     string
	Tried, OK    bool
	Detail, Next string
}

// bridgeChoices returns the ways with their texts, best first.
func bridgeChoices(setup *builder.AccountSetup) []bridgeChoice {
	choices := make([]bridgeChoice, len(setup.Modes))
	for i, m := range setup.Modes {
		choices[i] = bridgeChoice{Mode: m.Mode, Title: m.Title, Tradeoff: m.Tradeoff}
	}
	return choices
}

// accessForm is the form as typed, without the secrets.
type accessForm struct {
	Mode, Superuser, Accounts string
	Wrong                     wrong
}

// Values of the field that determines how accounts are shared.
const (
	accountsShared    = "shared"
	accountsPerPerson = "per-person"
)

// connectionView is the page that connects a builder with accounts.
type connectionView struct {
	App     appView
	Setup   *builder.AccountSetup
	State   app.Connection
	Found   *foundView
	Choices []bridgeChoice
	Form    accessForm
	// Tested reports that the choices have results.
	Tested        bool
	Problem, Next string
}

func (v connectionView) path() string { return "/admin/apps/" + v.App.ID + "/connection" }

func (v connectionView) connected() bool { return v.State.Mode != "" }

// modeTitle returns the title of the chosen way; "" if no way is chosen.
func modeTitle(setup *builder.AccountSetup, mode builder.Mode) string {
	if setup == nil {
		return ""
	}
	text, _ := setup.Mode(mode)
	return text.Title
}

// accountsOptions are the choices for how accounts in the builder are shared.
func accountsOptions(product string) []web.Option {
	return []web.Option{
		{
			Value: accountsShared,
			Label: "One per workspace",
			Hint: "People of a workspace see and edit the same flows. " + product + " sees one user; " +
				"Sluice records who did what.",
		},
		{
			Value: accountsPerPerson,
			Label: "One per person",
			Hint:  "Each person has private flows in each workspace, and shares none of them.",
		},
	}
}

// kept explains, at a field for a secret, whether Sluice already has one.
func kept(has bool, without string) string {
	if has {
		return "Sluice has one. Leave this empty to keep it; it is never shown."
	}
	return without
}

// showConnection shows the product and the ways in. It runs no tests, because a test signs in to
// the builder.
func (p *connectionPages) showConnection(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	return p.renderConnection(x, http.StatusOK, a, connectionView{})
}

func (p *connectionPages) renderConnection(x *visit, status int, a *app.App, v connectionView) error {
	var err error
	if v.State, err = p.apps.Connector.Connection(x.r.Context(), x.who, a.ID); err != nil {
		return err
	}
	found, err := p.apps.Manager.Look(x.r.Context(), x.who, app.Spec{URL: a.Upstream.String()})
	if err == nil {
		v.Found = p.views.foundOf(x, found)
	} else if v.Problem == "" {
		e := problem.Of(err)
		v.Problem, v.Next = e.Detail, e.Next
	}
	v.App, v.Setup = p.views.appOf(x, a), a.Kind.Accounts
	if v.Choices == nil {
		v.Choices = bridgeChoices(a.Kind.Accounts)
	}
	if v.Form.Accounts == "" {
		v.Form = accessForm{Mode: string(v.State.Mode), Superuser: v.State.Superuser, Accounts: accountsShared}
		if v.State.PerPerson {
			v.Form.Accounts = accountsPerPerson
		}
	}
	page := x.frame("Connect "+a.Name, "/admin/apps")
	page.Scripts = []string{"htmx.min.js"}
	return x.render(status, connectionPage(page, v))
}

// changeConnection tests the ways in, or applies one after a test.
func (p *connectionPages) changeConnection(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	form := accessForm{
		Mode:      x.value("mode"),
		Superuser: clipped(x.value("superuser"), 255),
		Accounts:  cmp.Or(x.value("accounts"), accountsShared),
	}
	access := app.AccountAccess{
		Mode:      builder.Mode(form.Mode),
		PerPerson: form.Accounts == accountsPerPerson,
		SecretKey: strings.TrimSpace(x.field("secret_key")),
		Superuser: x.value("superuser"),
		Password:  x.field("password"),
	}
	if x.value("do") != "test" {
		if err = p.apps.Connector.ConnectAccounts(x.r.Context(), x.who, a.ID, access); err == nil {
			return p.connected(x, a)
		}
	}
	return p.connectionTrouble(x, a, connectionView{Form: form}, access, err)
}

// connected checks the app again, so that its state is current, and redirects to its page.
func (p *connectionPages) connected(x *visit, a *app.App) error {
	if _, err := p.apps.Monitor.Check(x.r.Context(), x.who, a.ID); err != nil {
		return err
	}
	return x.done("/admin/apps/"+a.ID, "way-chosen")
}

// connectionTrouble shows the page with what each way lacks, and with the reason why the chosen way
// was not applied, if any.
func (p *connectionPages) connectionTrouble(
	x *visit,
	a *app.App,
	v connectionView,
	access app.AccountAccess,
	refused error,
) error {
	status := http.StatusOK
	if refused != nil {
		m, ok := formMistake(refused, "secret_key", "superuser", "password")
		if !ok {
			return refused
		}
		status, v.Problem, v.Next, v.Form.Wrong = m.status, m.Text, withoutSettings(a.Kind.Accounts, m.Next), m.Wrong
	}
	trials, err := p.apps.Connector.TryAccounts(x.r.Context(), x.who, a.ID, access)
	if err != nil {
		m, ok := formMistake(err, "mode", "secret_key")
		if !ok {
			return err
		}
		if refused == nil {
			status, v.Problem, v.Next, v.Form.Wrong = m.status, m.Text, m.Next, m.Wrong
		}
		return p.renderConnection(x, status, a, v)
	}
	v.Choices, v.Tested = tried(a.Kind.Accounts, trials), true
	return p.renderConnection(x, status, a, v)
}

// tried adds test results to the ways that were tested.
func tried(setup *builder.AccountSetup, trials []builder.Trial) []bridgeChoice {
	choices := bridgeChoices(setup)
	for i := range choices {
		for _, t := range trials {
			if t.Mode == choices[i].Mode {
				choices[i].Tried = true
				choices[i].OK = t.OK
				choices[i].Detail = t.Detail
				choices[i].Next = withoutSettings(setup, t.Next)
			}
		}
	}
	return choices
}

// withoutSettings removes the lines of a .env file that the page shows elsewhere.
func withoutSettings(setup *builder.AccountSetup, text string) string {
	variable, _, ok := strings.Cut(setup.TrustLines("", ""), "=")
	if !ok {
		return text
	}
	before, _, _ := strings.Cut(text, variable+"=")
	return strings.TrimSpace(before)
}

func choiceTone(c bridgeChoice) web.Tone {
	switch {
	case !c.Tried:
		return web.Plain
	case c.OK:
		return web.Good
	}
	return web.Warning
}

func choiceWord(c bridgeChoice) string {
	switch {
	case !c.Tried:
		return "Not tested"
	case c.OK:
		return "Works"
	}
	return "Does not work yet"
}
