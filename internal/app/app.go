package app

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// App is one connected builder at one moment. It is immutable.
type App struct {
	// ID is a UUIDv7, Slug a short name for URLs, Name the text that people read.
	ID, Slug, Name string
	// WorkspaceID is the app's first workspace, which decides who manages the app. Workspaces are
	// those in which it is used.
	WorkspaceID string
	Workspaces  []string
	// Kind is what Sluice knows about the product, Profile its compiled route table, and Version
	// the builder's own version.
	Kind    *builder.Kind
	Profile *profile.Profile
	Version string
	// Mode is ModeProxy or ModeForwardAuth.
	Mode string
	// Upstream is the address that Sluice forwards to. For a forward-auth app it is opaque, without
	// a host.
	Upstream *url.URL
	// PublicURL is the origin that people use, e.g. "https://flows.example.com"; "" means that the
	// app has its own port.
	PublicURL string
	// Port is the port of the app's own listener; 0 for an app with a host name.
	Port int
	// Bridge carries people into the builder's session; nil until the app is connected.
	Bridge *builder.Bridge
	// Pending means that it is not known yet what runs there. A pending app is closed.
	Pending bool
	// NeedsOwner means that the builder has accounts and Sluice has no credentials for them yet.
	NeedsOwner bool
	// BridgeMode is how people get into the accounts of a builder with accounts. It is "" until the
	// app is connected, and for other builders. PerPerson reports that each person has their own
	// account.
	BridgeMode builder.Mode
	PerPerson  bool
	// OwnerEmail is the bridged account's email, or the superuser's name in a builder with
	// accounts. It may be empty.
	OwnerEmail string
	// VerifiedAt is when an admin last saw the Verify page succeed; zero for never. CreatedAt is
	// when the app was added.
	VerifiedAt, CreatedAt time.Time
	// SeenAt is the stored time at which a reverse proxy last request about a forward-auth app;
	// zero for never. Registry.LastAsked is more recent.
	SeenAt time.Time

	published map[string]struct{}
}

// Published reports whether a flow is open to strangers.
func (a *App) Published(flowID string) bool {
	_, ok := a.published[flowID]
	return ok
}

// Origin is the absolute origin for a browser that reached Sluice at requestHost: the public
// address, or the same name with the app's port.
func (a *App) Origin(requestHost string) string {
	if a.PublicURL != "" {
		return a.PublicURL
	}
	name := requestHost
	if h, _, err := net.SplitHostPort(requestHost); err == nil {
		name = h
	}
	if name = strings.Trim(name, "[]"); name == "" {
		name = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(name, strconv.Itoa(a.Port))
}

// Resource is the app as package authz sees it.
func (a *App) Resource() authz.Resource {
	return authz.Resource{Type: "App", ID: a.ID, App: a.ID, Workspace: a.WorkspaceID, Name: a.Name}
}

// Spec describes a new app.
type Spec struct {
	// URL is the builder's address, or "demo" for the built-in one. A forward-auth app has none.
	URL string
	// Mode is ModeProxy, ModeForwardAuth, or "" for ModeProxy.
	Mode string
	// Kind is a kind's name, or "" to detect it.
	Kind string
	// PublicURL is the origin for people; "" means the next free port.
	PublicURL string
	// Name is the text that people read; "" means the product's name.
	Name string
}

// DemoURL stands for the built-in demo builder, as Spec.URL and in the database.
const DemoURL = "demo"

// clean checks a Spec and converts it to its canonical form.
func (s *Spec) clean(kinds builder.Kinds) error {
	s.Name = strings.Join(strings.Fields(s.Name), " ")
	if len(s.Name) > 80 {
		return problem.New(problem.Invalid, "A name has at most 80 characters.").WithField("name")
	}
	if s.Kind != "" {
		if _, err := kinds.Find(s.Kind); err != nil {
			return err
		}
	}
	s.URL, s.PublicURL, s.Mode = strings.TrimSpace(s.URL), strings.TrimSpace(s.PublicURL), cmp.Or(s.Mode, ModeProxy)
	if s.PublicURL != "" {
		origin, err := cleanOrigin(s.PublicURL)
		if err != nil {
			return err.WithField("public_url")
		}
		s.PublicURL = origin
	}
	switch s.Mode {
	case ModeForwardAuth:
		return s.cleanForwardAuth(kinds)
	case ModeProxy:
		return s.cleanUpstream(kinds)
	}
	return problem.Newf(problem.Invalid, "%q is not a mode of connection.", s.Mode).
		WithField("mode").
		WithNext("Use proxy or forward-auth.")
}

func (s *Spec) cleanUpstream(kinds builder.Kinds) error {
	if own := kinds.BuiltIn(); own != nil && (s.URL == DemoURL || s.Kind == own.Name) {
		s.URL, s.Kind = DemoURL, own.Name
		return nil
	}
	origin, err := cleanOrigin(s.URL)
	if err != nil {
		return err.WithField("url")
	}
	s.URL = origin
	return nil
}

// cleanOrigin accepts scheme, host and port, because builders' pages cannot live under a sub-path.
func cleanOrigin(text string) (string, *problem.Error) {
	refuse := func(why string) (string, *problem.Error) {
		return "", problem.New(problem.Invalid, why).WithNext("Expected is an address such as http://127.0.0.1:3001.")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > 300:
		return refuse("The address cannot be read.")
	case u.Scheme != "http" && u.Scheme != "https":
		return refuse("The address must begin with http:// or https://.")
	case u.Hostname() == "":
		return refuse("The address has no host.")
	case u.User != nil:
		return refuse("The address must not contain a username or password.")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return refuse("The address must have no path or query, because builders are served at the root of a host.")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return refuse("The port must be a number from 1 to 65535.")
		}
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	return u.Scheme + "://" + host, nil
}

// UsedIn reports whether people use the app in a workspace.
func (a *App) UsedIn(workspaceID string) bool { return slices.Contains(a.Workspaces, workspaceID) }

// installation is the resource for decisions that concern all workspaces. Only superusers may make
// them.
func (a *App) installation() authz.Resource {
	return authz.Resource{Type: "App", ID: a.ID, Name: a.Name}
}

// ForwardAuth reports whether a reverse proxy asks Sluice about this app. Sluice never forwards to
// such an app, and its Upstream names no host.
func (a *App) ForwardAuth() bool { return a.Mode == ModeForwardAuth }
