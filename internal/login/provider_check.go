package login

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice/internal/problem"
)

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

// wrong is a setting that cannot be stored.
func wrong(field, format string, args ...any) error {
	return problem.Newf(problem.Invalid, format, args...).WithField(field)
}

// cleanProvider checks what somebody entered, and takes blanks and doubles away.
func (l *Logins) cleanProvider(p *Provider) error {
	// The lists of a provider in memory are everybody's.
	p.Scopes, p.Domains, p.Mappings = slices.Clone(p.Scopes), slices.Clone(p.Domains), slices.Clone(p.Mappings)
	p.Name, p.Slug = strings.Join(strings.Fields(p.Name), " "), strings.TrimSpace(p.Slug)
	p.Issuer, p.ClientID, p.ClientSecret = strings.TrimSpace(p.Issuer), strings.TrimSpace(p.ClientID), strings.TrimSpace(p.ClientSecret)
	switch {
	case p.Kind != KindOIDC && p.Kind != KindGitHub:
		return wrong("kind", "A provider is of the kind oidc or github.")
	case !plainText(p.Name, 50):
		return wrong("name", "A name has 1 to 50 printable characters.")
	case !slugForm.MatchString(p.Slug):
		return wrong("slug", "A short name has 1 to 32 small letters, digits or dashes, and begins and ends with a letter or digit.")
	case !plainText(p.ClientID, 300):
		return wrong("client_id", "Enter the client id that the provider gave to Sluice, at most 300 characters.")
	case len(p.ClientSecret) > 4096:
		return wrong("client_secret", "A client secret has at most 4,096 characters.")
	}
	if err := checkIssuer(p.Kind, &p.Issuer); err != nil {
		return err
	}
	if err := p.cleanScopes(); err != nil {
		return err
	}
	if err := p.cleanDomains(); err != nil {
		return err
	}
	if err := p.cleanClaims(); err != nil {
		return err
	}
	return l.cleanMappings(p)
}

// plainText reports whether something has 1 to most printable characters.
func plainText(text string, most int) bool {
	n := utf8.RuneCountInString(text)
	return n >= 1 && n <= most && utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// checkIssuer accepts https anywhere, and http on this machine only: over the network anybody between could answer in the provider's place.
func checkIssuer(kind string, issuer *string) error {
	if kind == KindGitHub && *issuer == "" {
		return nil
	}
	const expected = "expected is an address such as https://login.example.com/realms/main, exactly as the provider names itself."
	u, err := url.Parse(*issuer)
	if err != nil || len(*issuer) > 500 || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return wrong("issuer", "This is not an issuer; %s", expected)
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return wrong("issuer", "An issuer has no user, query or fragment; %s", expected)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return wrong("issuer", "An issuer must begin with https, so that nobody between can answer in its place; http is only for an issuer on this machine.")
	}
	if strings.HasSuffix(*issuer, "/.well-known/openid-configuration") {
		return wrong("issuer", "Enter the issuer alone, without /.well-known/openid-configuration.")
	}
	if kind == KindGitHub {
		*issuer = strings.TrimSuffix(*issuer, "/")
		if u.Path != "" && u.Path != "/" {
			return wrong("issuer", "For GitHub Enterprise enter the origin alone, such as https://github.example.com; leave it empty for github.com.")
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
	if len(p.Scopes) > maxScopes || slices.ContainsFunc(p.Scopes, func(s string) bool { return !scopeForm.MatchString(s) }) {
		return wrong("scopes", "Scopes are at most %d words separated by blanks.", maxScopes)
	}
	if p.Kind == KindOIDC && !slices.Contains(p.Scopes, "openid") {
		return wrong("scopes", "The scopes of OpenID Connect must contain openid; without it the provider signs nobody in.")
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
		return wrong("domains", "There can be at most %d domains.", maxDomains)
	}
	for _, d := range p.Domains {
		if !domainForm.MatchString(d) {
			return wrong("domains", "%.60q is not a domain; expected is the part of an address behind the @, such as example.com.", d)
		}
	}
	return nil
}

func (p *Provider) cleanClaims() error {
	for field, claim := range map[string]*string{"group_claim": &p.GroupClaim, "username_claim": &p.UsernameClaim, "email_claim": &p.EmailClaim, "name_claim": &p.NameClaim} {
		*claim = strings.TrimSpace(*claim)
		if *claim != "" && (len(*claim) > maxClaimName || !plainText(*claim, maxClaimName)) {
			return wrong(field, "A claim's name has at most %d printable characters.", maxClaimName)
		}
	}
	return nil
}

func (l *Logins) cleanMappings(p *Provider) error {
	p.SuperuserGroup = strings.TrimSpace(p.SuperuserGroup)
	if p.SuperuserGroup != "" && (len(p.SuperuserGroup) > maxGroupName || !plainText(p.SuperuserGroup, maxGroupName)) {
		return wrong("superuser_group", "A group's name has at most %d printable characters.", maxGroupName)
	}
	if len(p.Mappings) > maxMappings {
		return wrong("mappings", "There can be at most %d mappings.", maxMappings)
	}
	for i, m := range p.Mappings {
		m.Group, m.Workspace, m.Role = strings.TrimSpace(m.Group), strings.TrimSpace(m.Workspace), strings.TrimSpace(m.Role)
		p.Mappings[i] = m
		if len(m.Group) > maxGroupName || !plainText(m.Group, maxGroupName) {
			return wrong("mappings", "Mapping %d needs a group of at most %d printable characters.", i+1, maxGroupName)
		}
		if _, ok := l.cfg.People.WorkspaceName(m.Workspace); !ok {
			return wrong("mappings", "Mapping %d names a workspace that does not exist.", i+1)
		}
		if _, ok := l.cfg.People.Role(m.Role); !ok {
			return wrong("mappings", "Mapping %d names a role that does not exist; expected is admin, user, viewer or the id of a custom role.", i+1)
		}
	}
	if p.Kind == KindOIDC && p.GroupClaim == "" && (len(p.Mappings) > 0 || p.SuperuserGroup != "") {
		return wrong("group_claim", "Say which claim holds the groups; the mappings need it.")
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
