package builder

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"sluice/internal/problem"
	"sluice/internal/profile"
)

// probeTimeout bounds a whole Probe.
const probeTimeout = 5 * time.Second

// The owner states of a builder.
const (
	// OwnerNone means that the first person to register becomes the owner.
	OwnerNone = "none"
	// OwnerPresent means that an owner's credentials are needed.
	OwnerPresent = "present"
	// OwnerNotApplicable is for builders that have no accounts, as far as Sluice knows.
	OwnerNotApplicable = "n/a"
)

// Found is the result of a Probe.
type Found struct {
	// Kind is the profile to use.
	Kind string
	// Title is the product's name, or the title of the page that answered. Kinds.Probe sets both.
	Title string
	// Version is the product's version; may be empty.
	Version string
	// OwnerState is one of the Owner constants.
	OwnerState string
	// Evidence says in one sentence what the probe saw.
	Evidence string
	// Note is a warning for the admin; may be empty.
	Note string
	// Supports lists in sentences what this version supports, for features that differ between
	// versions and matter to Sluice.
	Supports []string
}

// Visit is one look at an address. It gets each path only once, even if several kinds ask for it.
type Visit struct {
	*Client
	seen map[string]*seen
}

type seen struct {
	reply *Reply
	err   error
}

// Get requests a path without any credential. Errors are the same as those of Client.Send.
func (v *Visit) Get(ctx context.Context, path string) (*Reply, error) {
	s := v.seen[path]
	if s == nil {
		s = &seen{}
		s.reply, s.err = v.Send(ctx, http.MethodGet, path, nil, nil)
		v.seen[path] = s
	}
	return s.reply, s.err
}

// Probe detects what runs at an address, within 5 seconds and reading at most 64 KiB of each
// answer. It changes nothing there. Errors: problem.Invalid for an address that cannot be
// protected, problem.Upstream or Timeout, with the reason, if nothing usable answers.
func (k Kinds) Probe(ctx context.Context, httpClient *http.Client, base *url.URL) (Found, error) {
	if err := checkBase(base); err != nil {
		return Found{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	v := &Visit{Client: NewClient(base, httpClient), seen: map[string]*seen{}}
	root, err := v.Get(ctx, "/")
	if err != nil {
		return Found{}, err
	}
	for _, name := range k.Names() {
		kind := k[name]
		if kind.Probe == nil {
			continue
		}
		found, is, err := kind.Probe(ctx, v)
		if err != nil {
			return Found{}, err
		}
		if is {
			found.Kind, found.Title = kind.Name, kind.Title
			return found, nil
		}
	}
	return k.Fallback().unknown(root), nil
}

// checkBase refuses addresses with more than a scheme, host and port.
func checkBase(base *url.URL) error {
	bad := func(text string) error {
		return problem.New(problem.Invalid, text).
			WithField("url").
			WithNext("Use an address such as http://127.0.0.1:3001.")
	}
	switch {
	case base == nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return bad("The builder's address must start with http:// or https:// and name a host.")
	case base.User != nil:
		return bad("The builder's address must not contain a username or password.")
	case base.Path != "" && base.Path != "/" || base.RawQuery != "" || base.Fragment != "":
		return bad("The builder's address must end after the host and port: its pages do not work under a subpath.")
	}
	return nil
}

var titleTag = regexp.MustCompile(`(?is)<title[^>]*>(.{0,200}?)</title>`)

// unknown describes a server that answers HTTP but that no kind recognizes.
func (k *Kind) unknown(root *Reply) Found {
	f := Found{
		Kind: k.Name, Title: k.Title, OwnerState: OwnerNotApplicable,
		Evidence: fmt.Sprintf("The front page returns status %d.", root.Status),
		Note: "Sluice does not know this builder. General rules will protect it: viewers may read, users " +
			"may change, and admin paths need an admin.",
	}
	if title := PageTitle(root); title != "" {
		f.Title = Clip(title, 80)
	}
	switch {
	case root.Status >= 300 && root.Status < 400:
		f.Note += " Its front page redirects to " + Clip(root.Header.Get("Location"), 120) + "."
	case root.Status >= 500:
		f.Note += " Its front page currently returns an error."
	}
	return f
}

// PageTitle is the title of a page; "" if it has no usable title.
func PageTitle(page *Reply) string {
	m := titleTag.FindSubmatch(page.Body)
	if m == nil {
		return ""
	}
	if title := strings.Join(strings.Fields(html.UnescapeString(string(m[1]))), " "); profile.PlainText(title) {
		return title
	}
	return ""
}
