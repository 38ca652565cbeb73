package console

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// keyForms build and read the form of an API key, and name the objects that keys are bound to.
type keyForms struct {
	keys *authn.Keys
	apps *app.Apps
}

// keyFields are the fields of a key's form that can show a mistake.
var keyFields = []string{"name", "expires_at", "actions", "apps", "flows", "networks", "per_minute", "per_day"}

// keyAction is an action that a key can be for, in words.
type keyAction struct {
	Action      authz.Action
	Title, Hint string
	Chosen      bool
}

// keyActionGroup is a group of such actions.
type keyActionGroup struct {
	Name    string
	Actions []keyAction
}

// The groups of actions. Those of the last group affect the whole installation, so they are for
// superusers.
const (
	groupFlows        = "Flows"
	groupBuilder      = "Builder"
	groupWorkspace    = "Workspace"
	groupInstallation = "Whole installation"
)

// keyActions are all actions that can be granted to a key, in the order of the form.
func keyActions() []keyActionGroup {
	return []keyActionGroup{
		{groupFlows, []keyAction{
			{Action: authz.FlowRun, Title: "Run flows", Hint: "Send messages and read the answers."},
			{Action: authz.FlowView, Title: "See flows", Hint: "Read flows, executions and messages."},
			{Action: authz.FlowEdit, Title: "Edit flows", Hint: "Create, change and delete them, and document stores."},
			{Action: authz.FlowPublish, Title: "Publish flows", Hint: "Open them to everyone."},
		}},
		{groupBuilder, []keyAction{
			{Action: authz.AppOpen, Title: "Open the builder's pages", Hint: "Programs rarely need it."},
			{
				Action: authz.BuilderCode,
				Title:  "Store and run code",
				Hint:   "Custom tools and functions, on the builder's machine.",
			},
			{
				Action: authz.BuilderManage,
				Title:  "Manage the builder",
				Hint:   "Its credentials, variables and settings.",
			},
		}},
		{groupWorkspace, []keyAction{
			{Action: authz.WorkspaceView, Title: "See the workspace and its members"},
			{Action: authz.MemberManage, Title: "Invite people and set their roles"},
			{Action: authz.CredentialView, Title: "See the vault's credentials", Hint: "Names, never values."},
			{Action: authz.CredentialUse, Title: "Put the vault's credentials into apps"},
			{Action: authz.CredentialManage, Title: "Manage the vault's credentials"},
			{Action: authz.WorkspaceManage, Title: "Rename the workspace and choose its apps"},
			{Action: authz.ObjectAdopt, Title: "Assign unassigned items"},
			{Action: authz.AppView, Title: "See apps and their health"},
			{Action: authz.AppManage, Title: "Connect, change and remove apps"},
		}},
		{groupInstallation, []keyAction{
			{Action: authz.UserView, Title: "See people"},
			{Action: authz.UserCreate, Title: "Add people"},
			{Action: authz.UserUpdate, Title: "Change people"},
			{Action: authz.UserDisable, Title: "Deactivate and reactivate people"},
			{Action: authz.UserReset, Title: "Reset passwords"},
			{Action: authz.UserDelete, Title: "Delete people"},
			{Action: authz.SessionView, Title: "See sessions"},
			{Action: authz.SessionEnd, Title: "Sign out sessions"},
			{Action: authz.WorkspaceCreate, Title: "Make workspaces"},
			{Action: authz.RoleManage, Title: "Manage roles"},
			{Action: authz.SignInManage, Title: "Manage how people sign in"},
			{Action: authz.MailManage, Title: "Manage mail"},
			{Action: authz.SecretManage, Title: "Rotate Sluice's secrets"},
			{Action: authz.SystemView, Title: "See the state of the installation"},
		}},
	}
}

// actionTitle returns the words for an action or a permission.
func actionTitle(a authz.Action) string {
	for _, g := range keyActions() {
		for _, one := range g.Actions {
			if one.Action == a {
				return one.Title
			}
		}
	}
	for _, p := range authz.Permissions() {
		if p.Name == a {
			return p.Title
		}
	}
	return string(a)
}

// whatWords describes what a key may do.
func whatWords(s authn.KeyScope) string {
	if len(s.Actions) == 0 {
		return "Everything that its owner can do"
	}
	titles := make([]string, len(s.Actions))
	for i, a := range s.Actions {
		titles[i] = actionTitle(a)
	}
	return fewOf(titles, "; ")
}

// fewOf lists names, but only the first few of a long list.
func fewOf(list []string, separator string) string {
	const most = 4
	if len(list) <= most {
		return strings.Join(list, separator)
	}
	return strings.Join(list[:most-1], separator) + " and " + strconv.Itoa(len(list)-most+1) + " more"
}

// keyNames are the names of apps and flows that the visitor may see.
type keyNames struct{ apps, flows map[string]string }

func nameOr(names map[string]string, id string) string { return cmp.Or(names[id], id) }

// whereWords describes what a key may be used on.
func (n keyNames) whereWords(s authn.KeyScope) string {
	names, ids := n.flows, s.Flows
	switch {
	case len(s.Flows) > 0:
	case len(s.Apps) > 0:
		names, ids = n.apps, s.Apps
	default:
		return "All apps and flows of the workspace"
	}
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = nameOr(names, id)
	}
	return fewOf(words, ", ")
}

// flowsShown is how many flows a form offers, most recently changed first.
const flowsShown = 200

// flowsIn lists the flows of a workspace that the visitor may see.
func (kf *keyForms) flowsIn(x *visit, workspace string) (list []flow.Object, total int, err error) {
	if workspace == "" || !x.allows(authz.FlowView, authz.Resource{Type: "Flow", Workspace: workspace}) {
		return nil, 0, nil
	}
	return kf.apps.Flows.List(x.r.Context(), x.who, flow.Filter{Workspace: workspace, Limit: flowsShown})
}

// namesFor finds the names of the objects that keys are bound to.
func (kf *keyForms) namesFor(x *visit, keys []authn.APIKey, workspace string) (keyNames, error) {
	n := keyNames{apps: map[string]string{}, flows: map[string]string{}}
	bound := slices.ContainsFunc(keys, func(k authn.APIKey) bool { return len(k.Scope.Apps)+len(k.Scope.Flows) > 0 })
	if !bound {
		return n, nil
	}
	for _, a := range kf.apps.All() {
		if a.UsedIn(workspace) {
			n.apps[a.ID] = a.Name
		}
	}
	list, _, err := kf.flowsIn(x, workspace)
	for _, o := range list {
		n.flows[o.ID] = cmp.Or(o.Name, "Without a name")
	}
	return n, err
}

// pick is an app or a flow that can be chosen.
type pick struct {
	ID, Name, Hint string
	// App is the app of a flow.
	App    string
	Chosen bool
}

// keyForm is the form of a key. Its fields What and Where are "all", or say what is picked instead.
type keyForm struct {
	Name string
	// Ends are the choices for the expiry, Expires the chosen one, and Date the day for "date".
	// Most is the organization's maximum; 0 for none.
	Ends          []web.Option
	Expires, Date string
	Most          time.Duration
	What, Where   string
	Groups        []keyActionGroup
	Apps, Flows   []pick
	// MoreFlows is how many flows are not offered because the list is too long.
	MoreFlows                   int
	Networks, PerMinute, PerDay string
	Wrong                       wrong
	former                      authn.KeyScope
}

// limited reports whether the form has networks or limits, or errors in them.
func (f *keyForm) limited() bool {
	return f.Networks+f.PerMinute+f.PerDay != "" ||
		f.Wrong["networks"]+f.Wrong["per_minute"]+f.Wrong["per_day"] != ""
}

// formOfKey returns the form of an existing key.
func (kf *keyForms) formOfKey(x *visit, k authn.APIKey) (keyForm, error) {
	f := keyForm{Name: k.Name, Expires: "keep", What: "all", Where: "all", Most: kf.keys.MaxAge(), former: k.Scope}
	f.Ends = []web.Option{
		{Value: "keep", Label: "Unchanged"},
		{Value: "date", Label: "On a date"},
		{Value: "latest", Label: latestWord(f.Most)},
	}
	var networks []string
	for _, n := range k.Networks {
		networks = append(networks, n.String())
	}
	f.Networks = strings.Join(networks, "\n")
	if k.PerMinute > 0 {
		f.PerMinute = strconv.FormatInt(k.PerMinute, 10)
	}
	if k.PerDay > 0 {
		f.PerDay = strconv.FormatInt(k.PerDay, 10)
	}
	if len(k.Scope.Actions) > 0 {
		f.What = "some"
	}
	switch {
	case len(k.Scope.Flows) > 0:
		f.Where = "flows"
	case len(k.Scope.Apps) > 0:
		f.Where = "apps"
	}
	return f, kf.offerPicks(x, &f, k.Workspace, k.Scope)
}

// newKeyForm returns the form of a new key. It starts with the smallest useful scope.
func (kf *keyForms) newKeyForm(x *visit) (keyForm, error) {
	if x.who.Workspace == "" {
		return keyForm{}, problem.New(problem.Conflict, "You have no workspace, and a key needs one.").
			WithNext("Ask an admin of a workspace to invite you.")
	}
	f := keyForm{Expires: "90", What: "some", Where: "all", Most: kf.keys.MaxAge()}
	for _, days := range []int{7, 30, 90, 365} {
		if life := time.Duration(days) * 24 * time.Hour; f.Most == 0 || life < f.Most {
			f.Ends = append(f.Ends, web.Option{Value: strconv.Itoa(days), Label: "In " + web.Count(days, "day")})
		}
	}
	f.Ends = append(
		f.Ends,
		web.Option{Value: "latest", Label: latestWord(f.Most)},
		web.Option{Value: "date", Label: "On a date"},
	)
	if f.Most > 0 && f.Most <= 90*24*time.Hour {
		f.Expires = "latest"
	}
	return f, kf.offerPicks(x, &f, x.who.Workspace, authn.KeyScope{Actions: []authz.Action{authz.FlowRun}})
}

func latestWord(most time.Duration) string {
	if most == 0 {
		return "Never"
	}
	return "The latest date permitted: " + web.Count(int(most/(24*time.Hour)), "day") + " after it was created"
}

// mostWords names the organization's maximum.
func (f keyForm) mostWords() string {
	if f.Most == 0 {
		return "Keys may have no expiry date here. A key that expires is safer."
	}
	return "Keys can be valid for at most " + web.Count(
		int(f.Most/(24*time.Hour)),
		"day",
	) + " here (SLUICE_API_KEY_MAX_DAYS)."
}

// offerPicks fills in the choices for a workspace: what the visitor may do and see there, and
// everything that is already chosen.
func (kf *keyForms) offerPicks(x *visit, f *keyForm, workspace string, chosen authn.KeyScope) error {
	f.Groups = kf.actionGroups(x, workspace, chosen.Actions)
	who := x.who
	who.Workspace = workspace
	visible := map[string]*app.App{}
	for _, a := range kf.apps.Visible(who) {
		visible[a.ID] = a
		f.Apps = append(f.Apps, pick{
			ID:     a.ID,
			Name:   a.Name,
			Hint:   strings.TrimSpace(a.Kind.Title + " " + a.Version),
			Chosen: slices.Contains(chosen.Apps, a.ID),
		})
	}
	f.Apps = withChosen(f.Apps, chosen.Apps)
	list, total, err := kf.flowsIn(x, workspace)
	if err != nil {
		return err
	}
	f.MoreFlows = max(total-len(list), 0)
	for _, o := range list {
		if a, ok := visible[o.App]; ok {
			f.Flows = append(f.Flows, pick{
				ID:     o.ID,
				Name:   cmp.Or(o.Name, "Without a name"),
				Hint:   kindWord(a, o.Kind) + " in " + a.Name,
				App:    o.App,
				Chosen: slices.Contains(chosen.Flows, o.ID),
			})
		}
	}
	f.Flows = withChosen(f.Flows, chosen.Flows)
	return nil
}

// withChosen adds chosen items that the visitor cannot see, so that saving a form does not lose
// them.
func withChosen(picks []pick, chosen []string) []pick {
	for _, id := range chosen {
		if !slices.ContainsFunc(picks, func(p pick) bool { return p.ID == id }) {
			picks = append(picks, pick{ID: id, Name: id, Hint: "No longer visible", Chosen: true})
		}
	}
	return picks
}

// actionGroups returns the actions that the visitor has a right to in a workspace, and those that
// are already chosen.
func (kf *keyForms) actionGroups(x *visit, workspace string, chosen []authz.Action) []keyActionGroup {
	var out []keyActionGroup
	known := map[authz.Action]bool{}
	for _, g := range keyActions() {
		res := authz.Resource{Type: "Workspace", ID: workspace, Workspace: workspace}
		shown := keyActionGroup{Name: g.Name}
		for _, a := range g.Actions {
			if g.Name == groupInstallation {
				res = need(a.Action).resource()
			}
			known[a.Action], a.Chosen = true, slices.Contains(chosen, a.Action)
			if a.Chosen || x.allows(a.Action, res) {
				shown.Actions = append(shown.Actions, a)
			}
		}
		if len(shown.Actions) > 0 {
			out = append(out, shown)
		}
	}
	fine := keyActionGroup{Name: "Single permissions"}
	for _, a := range chosen {
		if !known[a] {
			fine.Actions = append(fine.Actions, keyAction{Action: a, Title: actionTitle(a), Chosen: true})
		}
	}
	if len(fine.Actions) > 0 {
		out = append(out, fine)
	}
	return out
}

// keyRead is the content of a form.
type keyRead struct {
	Name              string
	Scope             authn.KeyScope
	Networks          []string
	PerMinute, PerDay int64
	Expires           time.Time
	// keepEnd reports that the expiry does not change.
	keepEnd bool
	err     error
}

// read reads the submitted form, and keeps its values in case the form is shown again. k is the key
// before the change.
func (f *keyForm) read(x *visit, k authn.APIKey) (out keyRead) {
	f.Name = clipped(x.value("name"), 400)
	f.Expires = x.value("expires")
	f.Date = clipped(x.value("date"), 20)
	f.What = x.value("what")
	f.Where = x.value("where")
	f.Networks = clipped(x.value("networks"), 4000)
	f.PerMinute = clipped(x.value("per_minute"), 30)
	f.PerDay = clipped(x.value("per_day"), 30)
	out.Name = x.value("name")
	if text := x.value("networks"); text != "" {
		out.Networks = []string{text}
	}
	f.mark(x.r.PostForm)
	var errs [4]error
	out.Scope, errs[0] = f.scope()
	out.PerMinute, errs[1] = numberOf(x.value("per_minute"), "per_minute")
	out.PerDay, errs[2] = numberOf(x.value("per_day"), "per_day")
	out.Expires, out.keepEnd, errs[3] = f.end(x.now(), k.IssuedAt)
	out.err = cmp.Or(errs[0], cmp.Or(errs[3], cmp.Or(errs[1], errs[2])))
	return out
}

// mark ticks the submitted choices. It ignores choices that were not offered, so that people cannot
// pick what they may not see.
func (f *keyForm) mark(form url.Values) {
	for _, g := range f.Groups {
		for i := range g.Actions {
			g.Actions[i].Chosen = slices.Contains(form["action"], string(g.Actions[i].Action))
		}
	}
	for i := range f.Apps {
		f.Apps[i].Chosen = slices.Contains(form["app"], f.Apps[i].ID)
	}
	for i := range f.Flows {
		f.Flows[i].Chosen = slices.Contains(form["flow"], f.Flows[i].ID)
	}
}

// scope returns the picked scope. An empty choice is a mistake, because an empty list would mean no
// limit.
func (f *keyForm) scope() (s authn.KeyScope, err error) {
	switch f.What {
	case "all":
	case "some":
		for _, g := range f.Groups {
			for _, a := range g.Actions {
				if a.Chosen {
					s.Actions = append(s.Actions, a.Action)
				}
			}
		}
		if len(s.Actions) == 0 {
			return s, problem.New(problem.Invalid, "Select at least one, or choose everything.").WithField("actions")
		}
	default:
		return s, problem.New(problem.Invalid, "Choose what the key can do.").WithField("actions")
	}
	switch f.Where {
	case "all":
	case "apps":
		if s.Apps = chosenOf(f.Apps); len(s.Apps) == 0 {
			return s, problem.New(problem.Invalid, "Select at least one app, or choose all.").WithField("apps")
		}
	case "flows":
		if s.Flows = chosenOf(f.Flows); len(s.Flows) == 0 {
			return s, problem.New(problem.Invalid, "Select at least one flow, or choose all.").WithField("flows")
		}
		s.Apps = f.appsOfFlows()
	default:
		return s, problem.New(problem.Invalid, "Choose where the key can do it.").WithField("apps")
	}
	return s, nil
}

func chosenOf(picks []pick) (ids []string) {
	for _, p := range picks {
		if p.Chosen {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// appsOfFlows returns the apps of the chosen flows; if one of them is unknown, the apps that the
// key was bound to before.
func (f *keyForm) appsOfFlows() (apps []string) {
	for _, p := range f.Flows {
		switch {
		case p.Chosen && p.App == "":
			return f.former.Apps
		case p.Chosen && !slices.Contains(apps, p.App):
			apps = append(apps, p.App)
		}
	}
	return apps
}

// end returns when the key expires; zero for as late as permitted. A day counts in full (UTC).
func (f *keyForm) end(now, issued time.Time) (end time.Time, keep bool, err error) {
	switch f.Expires {
	case "keep":
		return time.Time{}, true, nil
	case "latest":
		return time.Time{}, false, nil
	case "date":
		day, err := time.Parse(time.DateOnly, f.Date)
		if err != nil {
			text := "This is not a date. Use the form 2030-12-31."
			return time.Time{}, false, problem.New(problem.Invalid, text).WithField("expires_at")
		}
		end = day.AddDate(0, 0, 1)
		if latest := issued.Add(f.Most); f.Most > 0 && end.After(latest) && !day.After(latest) {
			return time.Time{}, false, nil
		}
		return end, false, nil
	}
	for _, o := range f.Ends {
		if days, err := strconv.Atoi(o.Value); err == nil && o.Value == f.Expires {
			return now.AddDate(0, 0, days), false, nil
		}
	}
	return time.Time{}, false, problem.New(problem.Invalid, "Choose when the key expires.").WithField("expires_at")
}

// placeOptions are the choices of where a key works. It omits choices with nothing to pick from.
func placeOptions(f keyForm) []web.Option {
	out := []web.Option{
		{Value: "all", Label: "In all apps and flows of the workspace", Hint: "Including later ones."},
	}
	if len(f.Apps) > 0 {
		out = append(out, web.Option{Value: "apps", Label: "In these apps", Hint: "In all their flows."})
	}
	if len(f.Flows) > 0 {
		out = append(
			out,
			web.Option{Value: "flows", Label: "In these flows", Hint: "The key sees only these flows, and no lists."},
		)
	}
	return out
}

// endWord names the row of a key's expiry.
func endWord(k keyView) string {
	if k.Live {
		return "Expires"
	}
	return "Expired"
}
