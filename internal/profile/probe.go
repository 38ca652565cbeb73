package profile

import (
	"context"
	"crypto/rand"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"sluice/internal/problem"
)

// probeTimeout bounds a whole Probe.
const probeTimeout = 5 * time.Second

// Whether a builder has an owner account.
const (
	// OwnerNone means that the first to register becomes the owner.
	OwnerNone = "none"
	// OwnerPresent means that an owner's credentials are needed.
	OwnerPresent = "present"
	// OwnerNotApplicable is for builders without accounts that Sluice knows of.
	OwnerNotApplicable = "n/a"
)

// Found is what a Probe learned.
type Found struct {
	// Kind is the profile to use.
	Kind string
	// Title is the product's name, or the title of the page that answered.
	Title string
	// Version is the product's version; may be empty.
	Version string
	// OwnerState is one of the Owner constants.
	OwnerState string
	// Evidence tells in one sentence what was seen.
	Evidence string
	// Note is a warning for the admin; may be empty.
	Note string
	// Supports tells in sentences what this version can do, where versions differ in what matters to Sluice.
	Supports []string
}

// Probe finds out what runs at an address, in at most 5 seconds and 64 KiB an answer. It changes nothing there. Errors: problem.Invalid for
// an address that cannot be protected, problem.Upstream or Timeout, with the reason, if nothing usable answers.
func Probe(ctx context.Context, httpClient *http.Client, base *url.URL) (Found, error) {
	if err := checkBase(base); err != nil {
		return Found{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	c := newClient(base, httpClient)
	root, err := c.send(ctx, http.MethodGet, "/", "", nil)
	if err != nil {
		return Found{}, err
	}
	version, err := c.send(ctx, http.MethodGet, "/api/v1/version", "", nil)
	if err != nil {
		return Found{}, err
	}
	if f, ok, err := probeFlowise(ctx, c, version); ok || err != nil {
		return f, err
	}
	if f, ok, err := probeLangflow(ctx, c, root, version); ok || err != nil {
		return f, err
	}
	if r, err := c.send(ctx, http.MethodGet, "/api/health", "", nil); err == nil && r.status == http.StatusOK && r.text("builder") == demoName {
		return Found{
			Kind: KindDemo, Title: "Demo builder", Version: r.text("version"), OwnerState: OwnerNotApplicable,
			Evidence: "/api/health names Sluice's demo builder.",
		}, nil
	}
	return foundGeneric(root), nil
}

// checkBase refuses addresses that are more than scheme, host and port.
func checkBase(base *url.URL) error {
	bad := func(text string) error {
		return problem.New(problem.Invalid, text).WithField("url").WithNext("Use an address such as http://127.0.0.1:3001.")
	}
	switch {
	case base == nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return bad("The builder's address must start with http:// or https:// and name a host.")
	case base.User != nil:
		return bad("The builder's address must not hold a user name or password.")
	case base.Path != "" && base.Path != "/" || base.RawQuery != "" || base.Fragment != "":
		return bad("The builder's address must end after the host and port: its pages cannot live under a sub-path.")
	}
	return nil
}

// probeFlowise recognises Flowise by two JSON answers that nothing else gives.
func probeFlowise(ctx context.Context, c *client, version *reply) (Found, bool, error) {
	if version.status != http.StatusOK || version.text("version") == "" || version.text("package") != "" {
		return Found{}, false, nil
	}
	settings, err := c.send(ctx, http.MethodGet, "/api/v1/settings", "", nil)
	if err != nil {
		return Found{}, false, err
	}
	number, platform := version.text("version"), settings.text("PLATFORM_TYPE")
	if platform == "" {
		if ping, err := c.send(ctx, http.MethodGet, "/api/v1/ping", "", nil); err != nil || strings.TrimSpace(string(ping.body)) != "pong" {
			return Found{}, false, err
		}
	}
	if !strings.HasPrefix(number, "3.") {
		return Found{}, false, problem.Newf(problem.Invalid, "This is Flowise %.20s. Sluice carries people into Flowise 3 only; other versions sign in differently.", number).
			WithField("url").WithNext("Update Flowise to 3.1.4.")
	}
	f := Found{
		Kind: KindFlowise, Title: "Flowise", Version: clip(number, 20), OwnerState: OwnerNotApplicable,
		Evidence: fmt.Sprintf("/api/v1/version says %.20s, platform %.40q.", number, platform),
	}
	resolve, err := c.send(ctx, http.MethodPost, "/api/v1/auth/resolve", "", struct{}{})
	if err != nil {
		return Found{}, false, err
	}
	switch to := resolve.text("redirectUrl"); to {
	case "/organization-setup":
		f.OwnerState = OwnerNone
	case "/signin":
		f.OwnerState = OwnerPresent
	default:
		return Found{}, false, problem.Newf(problem.Upstream, "Flowise %.20s does not say how its owner signs in (%.60q).", number, to).
			WithField("url").WithNext("Open Flowise directly once and see that its sign-in page works.")
	}
	if platform != "" && platform != "open source" {
		f.Note = fmt.Sprintf("Its platform is %.40q; Sluice is made for the open source edition.", platform)
	}
	return f, true, nil
}

var titleTag = regexp.MustCompile(`(?is)<title[^>]*>(.{0,200}?)</title>`)

// foundGeneric describes something that answers HTTP and is none of the known builders.
func foundGeneric(root *reply) Found {
	f := Found{
		Kind: KindGeneric, Title: "Web app", OwnerState: OwnerNotApplicable,
		Evidence: fmt.Sprintf("The front page answers with status %d.", root.status),
		Note:     "This is not a builder that Sluice knows. It will be protected by general rules: viewers may read, users may change, admin paths need an admin.",
	}
	if title := titleOf(root); title != "" {
		f.Title = clip(title, 80)
	}
	switch {
	case root.status >= 300 && root.status < 400:
		f.Note += " Its front page redirects to " + clip(root.header.Get("Location"), 120) + "."
	case root.status >= 500:
		f.Note += " Its front page answers with an error at the moment."
	}
	return f
}

// titleOf is the title of a page; "" if it has none.
func titleOf(page *reply) string {
	m := titleTag.FindSubmatch(page.body)
	if m == nil {
		return ""
	}
	if title := strings.Join(strings.Fields(html.UnescapeString(string(m[1]))), " "); plainText(title) {
		return title
	}
	return ""
}

// clip cuts a text of others to n characters.
func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return s
}

// Owner is the service account of a builder.
type Owner struct {
	// Name is only used for registration.
	Name string
	// Email is the account's address.
	Email string
	// Password is its password. Flowise wants 8 to 128 characters with lower and upper case, a digit and a special character.
	Password string
}

// NewOwnerPassword makes a password of more than 128 random bits that satisfies Flowise's rule.
func NewOwnerPassword() string { return rand.Text() + "-aA1" }

// RegisterOwner makes the first account of a Flowise. Errors: problem.Conflict if it has an owner already, problem.Invalid with the field if it
// refuses the name, address or password, problem.Upstream or Timeout if it does not answer.
func RegisterOwner(ctx context.Context, httpClient *http.Client, base *url.URL, o Owner) error {
	c := newClient(base, httpClient)
	body := map[string]any{"user": map[string]string{"name": o.Name, "email": o.Email, "credential": o.Password}}
	r, err := c.send(ctx, http.MethodPost, "/api/v1/account/register", "", body)
	if err != nil {
		return err
	}
	user, _ := r.object()["user"].(map[string]any)
	if id, _ := user["id"].(string); r.status == http.StatusCreated && id != "" {
		return nil
	}
	message := r.text("message")
	switch {
	case strings.Contains(message, "only have one organization"):
		return problem.New(problem.Conflict, "This Flowise has an owner already.").WithNext("Enter the owner's e-mail address and password.")
	case r.status == http.StatusBadRequest && strings.Contains(message, "Password"):
		return problem.New(problem.Invalid, "Flowise did not accept the owner's password.").WithField("owner_password").
			WithNext("Use 8 to 128 characters with lower and upper case, a digit and a special character.")
	case r.status == http.StatusBadRequest && message != "":
		return problem.Newf(problem.Invalid, "Flowise did not accept the owner account: %s", clip(message, 120)).WithField("owner_email")
	}
	return problem.Newf(problem.Upstream, "Flowise could not register its owner (status %d).", r.status).WithNext("See Flowise's own log.")
}

// TestOwner signs the owner in once and out again. Errors: problem.Unauthenticated with Field "owner_password" for wrong credentials,
// problem.Upstream, Unavailable or Timeout if Flowise gives no usable answer. Close a FlowiseBridge of the same Flowise first, so that two
// sign-ins never meet.
func TestOwner(ctx context.Context, httpClient *http.Client, base *url.URL, o Owner) error {
	c := newClient(base, httpClient)
	s, err := flowiseSignIn(ctx, c, o.Email, o.Password, time.Now())
	if err != nil {
		return err
	}
	_, err = c.send(ctx, http.MethodPost, "/api/v1/account/logout", s.cookie[0], struct{}{})
	return err
}
