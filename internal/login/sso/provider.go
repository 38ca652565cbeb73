package sso

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice/internal/authz"
	q "sluice/internal/db/q/login"
	"sluice/internal/problem"
)

// Kinds of identity providers.
const (
	// KindOIDC is any provider that supports OpenID Connect.
	KindOIDC = "oidc"
	// KindGitHub is GitHub or GitHub Enterprise, which sign people in by OAuth 2.0 without an id
	// token.
	KindGitHub = "github"
)

// Provider is an identity provider: a service that vouches for people.
type Provider struct {
	// ID is a UUIDv7. Slug is the provider's name in addresses; it never changes.
	ID, Slug string
	// Kind is KindOIDC or KindGitHub; it never changes.
	Kind string
	// Name is the text on the button.
	Name string
	// Issuer is the provider's identifier, exactly as in its discovery document. For GitHub it is
	// the origin of a GitHub Enterprise, or "" for github.com.
	Issuer string
	// ClientID is Sluice's id at the provider. ClientSecret is write-only: it is empty when read,
	// and an empty one keeps the stored value. HasSecret reports whether one is stored.
	ClientID, ClientSecret string
	HasSecret              bool
	// Enabled providers sign people in. Others can only be tested.
	Enabled bool
	// Scopes are the requested scopes. For OpenID Connect they contain "openid".
	Scopes []string
	// CreateAccounts creates an account for people who have none yet. Domains restricts that to
	// verified addresses of these domains.
	CreateAccounts bool
	Domains        []string
	// TrustFactor counts a sign-in there as two factors, unless the provider itself says that it
	// was only a password (amr, RFC 8176).
	TrustFactor bool
	// GroupClaim is the claim that contains the groups: its name, or a path with dots such as
	// realm_access.roles. GitHub's groups are organizations and organization/team.
	GroupClaim string
	// Mappings give roles to groups. With at least one of them the provider's groups decide, at
	// each sign-in, about every membership that they gave.
	Mappings []Mapping
	// SuperuserGroup makes its members superusers; "" for none.
	SuperuserGroup string
	// UsernameClaim, EmailClaim and NameClaim are the sources of an account's names. Empty means
	// preferred_username, email and name.
	UsernameClaim, EmailClaim, NameClaim string
}

// Mapping gives a role in a workspace to the members of a group.
type Mapping struct{ Group, Workspace, Role string }

// Button is a way to sign in that the sign-in page offers.
type Button struct{ Slug, Name, Kind string }

// providerSettings is the part of a provider that is stored as JSON.
type providerSettings struct {
	Scopes         []string  `json:"scopes,omitempty"`
	CreateAccounts bool      `json:"create_accounts,omitempty"`
	Domains        []string  `json:"domains,omitempty"`
	TrustFactor    bool      `json:"trust_factor,omitempty"`
	GroupClaim     string    `json:"group_claim,omitempty"`
	Mappings       []Mapping `json:"mappings,omitempty"`
	SuperuserGroup string    `json:"superuser_group,omitempty"`
	UsernameClaim  string    `json:"username_claim,omitempty"`
	EmailClaim     string    `json:"email_claim,omitempty"`
	NameClaim      string    `json:"name_claim,omitempty"`
}

func (p Provider) settings() providerSettings {
	return providerSettings{
		p.Scopes,
		p.CreateAccounts,
		p.Domains,
		p.TrustFactor,
		p.GroupClaim,
		p.Mappings,
		p.SuperuserGroup,
		p.UsernameClaim,
		p.EmailClaim,
		p.NameClaim,
	}
}

func providerOf(r q.Provider) (Provider, error) {
	var s providerSettings
	if err := json.Unmarshal([]byte(r.Settings), &s); err != nil {
		return Provider{}, fmt.Errorf("reading the settings of provider %s: %w", r.Slug, err)
	}
	return Provider{
		ID:             r.ID,
		Slug:           r.Slug,
		Kind:           r.Kind,
		Name:           r.Name,
		Issuer:         r.Issuer,
		ClientID:       r.ClientID,
		HasSecret:      r.SecretSealed != "",
		Enabled:        r.Enabled,
		Scopes:         s.Scopes,
		CreateAccounts: s.CreateAccounts,
		Domains:        s.Domains,
		TrustFactor:    s.TrustFactor,
		GroupClaim:     s.GroupClaim,
		Mappings:       s.Mappings,
		SuperuserGroup: s.SuperuserGroup,
		UsernameClaim:  s.UsernameClaim,
		EmailClaim:     s.EmailClaim,
		NameClaim:      s.NameClaim,
	}, nil
}

// provider is a provider in memory with the data fetched from it.
type provider struct {
	Provider
	remote *remote
}

// principal is the acting principal when a provider's assertion changes an account.
func (p Provider) principal(ip string) authz.Principal {
	who := authz.SystemPrincipal(p.method())
	who.IP = ip
	return who
}

// method names the provider in sessions and audit entries.
func (p Provider) method() string { return "sso:" + p.Slug }

func (p Provider) resource() authz.Resource {
	return authz.Resource{Type: "SignIn", ID: p.ID, Name: p.Name}
}

func noProvider() *problem.Error {
	return problem.New(problem.NotFound, "There is no such identity provider, or it is not in use.")
}

// stored is the result of SaveProvider.
func (p Provider) stored(err error) (Provider, error) {
	if err != nil {
		return Provider{}, err
	}
	p.HasSecret, p.ClientSecret = p.HasSecret || p.ClientSecret != "", ""
	return p, nil
}

const (
	maxProviders = 50
	maxMappings  = 200
	maxDomains   = 100
	maxScopes    = 30
	maxClaimName = 200
	maxGroupName = 256
)

var (
	slugForm   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
	scopeForm  = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,200}$`) // RFC 6749 section 3.3
	domainForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)
)

// wrong is the error for a setting that cannot be stored.
func wrong(field, format string, args ...any) error {
	return problem.Newf(problem.Invalid, format, args...).WithField(field)
}

// plainText reports whether a text has 1 to most printable characters.
func plainText(text string, most int) bool {
	n := utf8.RuneCountInString(text)
	return n >= 1 && n <= most && utf8.ValidString(text) &&
		strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// checkIssuer accepts https anywhere, and http only on this machine: over the network, anyone in
// between could answer instead of the provider.
func checkIssuer(kind string, issuer *string) error {
	if kind == KindGitHub && *issuer == "" {
		return nil
	}
	const expected = "use an address such as https://login.example.com/realms/main, exactly as the " +
		"provider writes it."
	u, err := url.Parse(*issuer)
	if err != nil || len(*issuer) > 500 || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return wrong("issuer", "This is not an issuer; %s", expected)
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return wrong("issuer", "An issuer has no user, query or fragment; %s", expected)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return wrong(
			"issuer",
			"An issuer must begin with https, so that no one in between can answer in its place. http is only "+
				"for an issuer on this machine.",
		)
	}
	if strings.HasSuffix(*issuer, "/.well-known/openid-configuration") {
		return wrong("issuer", "Enter the issuer alone, without /.well-known/openid-configuration.")
	}
	if kind == KindGitHub {
		*issuer = strings.TrimSuffix(*issuer, "/")
		if u.Path != "" && u.Path != "/" {
			return wrong(
				"issuer",
				"For GitHub Enterprise, enter the origin alone, such as https://github.example.com; leave it empty "+
					"for github.com.",
			)
		}
	}
	return nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

func (p *Provider) cleanScopes() error {
	if len(p.Scopes) == 0 {
		p.Scopes = defaultScopes(p.Kind)
	}
	p.Scopes = distinct(p.Scopes)
	if len(p.Scopes) > maxScopes ||
		slices.ContainsFunc(p.Scopes, func(s string) bool { return !scopeForm.MatchString(s) }) {
		return wrong("scopes", "Enter at most %d scopes, separated by spaces.", maxScopes)
	}
	if p.Kind == KindOIDC && !slices.Contains(p.Scopes, "openid") {
		return wrong("scopes",
			"OpenID Connect scopes must contain openid; without it, the provider signs no one in.")
	}
	return nil
}

func defaultScopes(kind string) []string {
	if kind == KindGitHub {
		return []string{"read:user", "user:email"}
	}
	return []string{"openid", "profile", "email"}
}

func (p *Provider) cleanDomains() error {
	for i, d := range p.Domains {
		p.Domains[i] = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(d)), "@")
	}
	p.Domains = distinct(p.Domains)
	if len(p.Domains) > maxDomains {
		return wrong("domains", "Enter at most %d domains.", maxDomains)
	}
	for _, d := range p.Domains {
		if !domainForm.MatchString(d) {
			return wrong("domains",
				"%.60q is not a domain; use the part of an address after the @, such as example.com.", d)
		}
	}
	return nil
}

func (p *Provider) cleanClaims() error {
	claims := map[string]*string{
		"group_claim":    &p.GroupClaim,
		"username_claim": &p.UsernameClaim,
		"email_claim":    &p.EmailClaim,
		"name_claim":     &p.NameClaim,
	}
	for field, claim := range claims {
		*claim = strings.TrimSpace(*claim)
		if *claim != "" && (len(*claim) > maxClaimName || !plainText(*claim, maxClaimName)) {
			return wrong(field, "A claim's name has at most %d printable characters.", maxClaimName)
		}
	}
	return nil
}

// distinct drops empty and repeated words and keeps the order.
func distinct(words []string) []string {
	var out []string
	for _, w := range words {
		if w = strings.TrimSpace(w); w != "" && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// unusable reports that a request to a provider failed. address is the address to try in a browser.
func (p Provider) unusable(err error, address string) error {
	if kind := problem.Of(err).Kind; kind != problem.Internal {
		return err
	}
	reason, slow := reasonOf(err)
	kind := problem.Unavailable
	if slow {
		kind = problem.Timeout
	}
	next := "Try again in a minute, or sign in another way."
	if u, bad := url.Parse(address); bad == nil && u.Host != "" {
		next += " For the operator of Sluice: check that " + u.Scheme + "://" + u.Host + u.Path +
			" can be opened from Sluice's machine."
	}
	return problem.Newf(kind, "%s currently cannot sign anyone in: %s.", p.Name, reason).
		WithNext(next).
		WithRule("identity provider").
		WithCause(err)
}

// refused reports that a provider's answer cannot be trusted.
func (p Provider) refused(format string, args ...any) *problem.Error {
	return problem.Newf(problem.Unauthenticated, "The answer of %s was "+
		"refused: %s.", p.Name, fmt.Sprintf(format, args...)).
		WithNext("Start again. If it fails again, ask the operator of Sluice to check the provider's settings.").
		WithRule("identity provider")
}

// discovery is the address of a provider's discovery document.
func (p Provider) discovery() string {
	return strings.TrimSuffix(p.Issuer, "/") + "/.well-known/openid-configuration"
}

// checkMetadata refuses a document of another issuer (OpenID Connect Discovery 1.0 section 4.3) and
// endpoints that tokens must not be sent to.
func (p Provider) checkMetadata(m metadata) error {
	if m.Issuer != p.Issuer {
		return problem.Newf(problem.Unavailable, "%s calls itself %.200q, but its settings here say "+
			"%.200q.", p.Name, plain(m.Issuer, 200), p.Issuer).
			WithRule("identity provider").
			WithNext("For the operator of Sluice: enter the issuer exactly as the provider writes it, including " +
				"any final slash.")
	}
	endpoints := map[string]string{
		"authorization_endpoint": m.Authorization,
		"token_endpoint":         m.Token,
		"jwks_uri":               m.Keys,
	}
	for name, address := range endpoints {
		if !p.mayUse(address) {
			return problem.Newf(problem.Unavailable, "The %s that %s names cannot be used: "+
				"%.200q.", name, p.Name, plain(address, 200)).
				WithRule("identity provider").
				WithNext("It must be an https address; http is only for a provider on this machine.")
		}
	}
	for _, address := range []string{m.UserInfo, m.EndSession} {
		if address != "" && !p.mayUse(address) {
			return problem.Newf(problem.Unavailable, "An address that %s names cannot be used: "+
				"%.200q.", p.Name, plain(address, 200)).
				WithRule("identity provider").
				WithNext("It must be an https address; http is only for a provider on this machine.")
		}
	}
	return nil
}

// mayUse accepts an endpoint with https, or with http on this machine if the issuer uses http too.
func (p Provider) mayUse(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && strings.HasPrefix(p.Issuer, "http://") && loopback(u.Hostname())
}

// githubAddresses are GitHub's addresses: the origin of its pages and that of its API.
func (p Provider) githubAddresses() (pages, api string) {
	if p.Issuer == "" {
		return "https://github.com", "https://api.github.com"
	}
	return p.Issuer, p.Issuer + "/api/v3"
}

// said is the error that a provider returns instead of a code (RFC 6749 section 4.1.2.1, OpenID
// Connect Core 1.0 section 3.1.2.6), as plain text.
func (p Provider) said(code, description string) error {
	text := told2text(code, description)
	switch code {
	case "access_denied":
		return problem.Newf(problem.Denied, "%s refused the sign-in: %s.", p.Name, text).
			WithNext("Start again and give your consent there, or ask the provider's operator.").
			WithRule("identity provider")
	case "server_error", "temporarily_unavailable":
		return problem.Newf(problem.Unavailable, "%s reported a problem: %s.", p.Name, text).
			WithNext("Try again in a minute, or sign in another way.").
			WithRule("identity provider")
	}
	return p.refused("it says %s", text)
}
