package api

import (
	"reflect"
	"slices"

	"sluice/internal/login/sso"
)

// provider is an identity provider. Its client secret is write-only.
type provider struct {
	ID                string    `json:"id"`
	Slug              string    `json:"slug" doc:"Part of addresses. It never changes." example:"company"`
	Kind              string    `json:"kind" doc:"oidc or github. It never changes." example:"oidc"`
	Name              string    `json:"name" doc:"The text on the button." example:"Company account"`
	Issuer            string    `json:"issuer" example:"https://login.example.com/realms/main"`
	ClientID          string    `json:"client_id" example:"sluice"`
	HasSecret         bool      `json:"has_secret" doc:"Whether a client secret is stored."`
	Enabled           bool      `json:"enabled" doc:"Whether people can sign in with it."`
	Scopes            []string  `json:"scopes" nullable:"false"`
	CreateAccounts    bool      `json:"create_accounts" doc:"Whether people without an account get one."`
	Domains           []string  `json:"domains" nullable:"false" doc:"Accounts are created only for verified addresses in these domains. If empty, in all domains."`
	TrustFactor       bool      `json:"trust_factor" doc:"Whether a sign-in there counts as two factors."`
	GroupClaim        string    `json:"group_claim" example:"groups"`
	Mappings          []mapping `json:"mappings" nullable:"false"`
	SuperuserGroup    string    `json:"superuser_group"`
	UsernameClaim     string    `json:"username_claim" doc:"Empty for preferred_username."`
	EmailClaim        string    `json:"email_claim" doc:"Empty for email."`
	NameClaim         string    `json:"name_claim" doc:"Empty for name."`
	RedirectURI       string    `json:"redirect_uri" doc:"Enter this at the provider: the address to which it sends people back." example:"https://sluice.example.com/sso/company/callback"`
	BackChannelLogout string    `json:"back_channel_logout_uri,omitempty" doc:"Enter this at the provider, if it can report sign-outs." example:"https://sluice.example.com/sso/company/back-channel-logout"`
}

// mapping gives a role to the members of a group.
type mapping struct {
	Group     string `json:"group" minLength:"1" maxLength:"256" doc:"As the provider writes it." example:"flow-authors"`
	Workspace string `json:"workspace" minLength:"1" maxLength:"64" doc:"A workspace's id." example:"default"`
	Role      string `json:"role" minLength:"1" maxLength:"64" doc:"A role's id." example:"user"`
}

func providerOf(x *visit, p sso.Provider) provider {
	out := provider{
		ID:             p.ID,
		Slug:           p.Slug,
		Kind:           p.Kind,
		Name:           p.Name,
		Issuer:         p.Issuer,
		ClientID:       p.ClientID,
		HasSecret:      p.HasSecret,
		Enabled:        p.Enabled,
		Scopes:         append([]string{}, p.Scopes...),
		CreateAccounts: p.CreateAccounts,
		Domains:        append([]string{}, p.Domains...),
		TrustFactor:    p.TrustFactor,
		GroupClaim:     p.GroupClaim,
		Mappings:       []mapping{},
		SuperuserGroup: p.SuperuserGroup,
		UsernameClaim:  p.UsernameClaim,
		EmailClaim:     p.EmailClaim,
		NameClaim:      p.NameClaim,
	}
	for _, m := range p.Mappings {
		out.Mappings = append(out.Mappings, mapping(m))
	}
	base := x.cfg.MainOrigin(x.r.Host) + "/sso/" + p.Slug
	out.RedirectURI = base + "/callback"
	if p.Kind == sso.KindOIDC {
		out.BackChannelLogout = base + "/back-channel-logout"
	}
	return out
}

func listProviders(x *visit, in *Paging) (list[provider], error) {
	rows, err := x.cfg.Providers.List(x, x.who)
	return pageOf(rows, *in, func(p sso.Provider) provider { return providerOf(x, p) }), err
}

type newProviderInput struct {
	Body struct {
		Slug string `json:"slug" minLength:"1" maxLength:"32" doc:"Lower-case letters, digits and dashes. Part of addresses; it never changes." example:"company"`
		Kind string `json:"kind" enum:"oidc,github" doc:"oidc for any OpenID Connect provider, github for GitHub and GitHub Enterprise." example:"oidc"`
		ProviderSettings
	}
}

// ProviderSettings are the settings of a provider that can change. Omitted settings keep their
// values.
type ProviderSettings struct {
	Name           *string   `json:"name,omitempty" minLength:"1" maxLength:"50" doc:"The text on the button." example:"Company account"`
	Issuer         *string   `json:"issuer,omitempty" maxLength:"500" doc:"Exactly as the provider writes it. Empty for github.com." example:"https://login.example.com/realms/main"`
	ClientID       *string   `json:"client_id,omitempty" minLength:"1" maxLength:"300" doc:"Sluice's id at the provider." example:"sluice"`
	ClientSecret   *string   `json:"client_secret,omitempty" maxLength:"4096" writeOnly:"true" doc:"Stored encrypted and never shown again. Empty keeps the current one." example:"the client secret"`
	Enabled        *bool     `json:"enabled,omitempty" doc:"Whether people can sign in with it. If left out for a new provider, it can only be tested." example:"true"`
	Scopes         []string  `json:"scopes,omitempty" nullable:"false" maxItems:"30" doc:"The requested scopes. If left out or empty: openid, profile and email."`
	CreateAccounts *bool     `json:"create_accounts,omitempty" doc:"Whether people without an account get one." example:"true"`
	Domains        []string  `json:"domains,omitempty" nullable:"false" maxItems:"100" doc:"Creates accounts only for verified addresses in these domains." example:"[\"example.com\"]"`
	TrustFactor    *bool     `json:"trust_factor,omitempty" doc:"Whether a sign-in there counts as two factors, unless the provider reports only a password."`
	GroupClaim     *string   `json:"group_claim,omitempty" maxLength:"200" doc:"The claim that contains the groups, or a dotted path to it." example:"groups"`
	Mappings       []mapping `json:"mappings,omitempty" nullable:"false" maxItems:"200" doc:"The roles that groups give. With at least one, each sign-in updates all memberships that groups gave."`
	SuperuserGroup *string   `json:"superuser_group,omitempty" maxLength:"256" doc:"Its members are superusers; empty for none."`
	UsernameClaim  *string   `json:"username_claim,omitempty" maxLength:"200" doc:"The claim that contains the username. If empty, preferred_username."`
	EmailClaim     *string   `json:"email_claim,omitempty" maxLength:"200" doc:"The claim that contains the email address. If empty, email."`
	NameClaim      *string   `json:"name_claim,omitempty" maxLength:"200" doc:"The claim that contains the full name. If empty, name."`
}

// apply changes the settings that are given. It copies lists, because those of p are shared.
func (s ProviderSettings) apply(p *sso.Provider) {
	for to, given := range map[*string]*string{
		&p.Name:           s.Name,
		&p.Issuer:         s.Issuer,
		&p.ClientID:       s.ClientID,
		&p.ClientSecret:   s.ClientSecret,
		&p.GroupClaim:     s.GroupClaim,
		&p.SuperuserGroup: s.SuperuserGroup,
		&p.UsernameClaim:  s.UsernameClaim,
		&p.EmailClaim:     s.EmailClaim,
		&p.NameClaim:      s.NameClaim,
	} {
		if given != nil {
			*to = *given
		}
	}
	for to, given := range map[*bool]*bool{
		&p.Enabled:        s.Enabled,
		&p.CreateAccounts: s.CreateAccounts,
		&p.TrustFactor:    s.TrustFactor,
	} {
		if given != nil {
			*to = *given
		}
	}
	p.Scopes, p.Domains, p.Mappings = slices.Clone(p.Scopes), slices.Clone(p.Domains), slices.Clone(p.Mappings)
	if s.Scopes != nil {
		p.Scopes = s.Scopes
	}
	if s.Domains != nil {
		p.Domains = s.Domains
	}
	if s.Mappings != nil {
		p.Mappings = nil
		for _, m := range s.Mappings {
			p.Mappings = append(p.Mappings, sso.Mapping(m))
		}
	}
}

func addProvider(x *visit, in *newProviderInput) (provider, error) {
	p := sso.Provider{Slug: in.Body.Slug, Kind: in.Body.Kind}
	in.Body.apply(&p)
	p, err := x.cfg.Providers.SaveProvider(x, x.who, p)
	return providerOf(x, p), err
}

// ProviderPath names an identity provider in a path.
type ProviderPath struct {
	Provider string `path:"provider" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"An identity provider's id." example:"0199aaaa-0000-7000-8000-000000000006"`
}

func getProvider(x *visit, in *ProviderPath) (provider, error) {
	p, err := x.cfg.Providers.Provider(x, x.who, in.Provider)
	return providerOf(x, p), err
}

type updateProviderInput struct {
	ProviderPath
	Body ProviderSettings
}

// updateProvider turns a provider on or off without checking the rest, because it must be possible
// to stop a provider whose settings are outdated.
func updateProvider(x *visit, in *updateProviderInput) (provider, error) {
	if on := in.Body.Enabled; on != nil && reflect.DeepEqual(in.Body, ProviderSettings{Enabled: on}) {
		if err := x.cfg.Providers.EnableProvider(x, x.who, in.Provider, *on); err != nil {
			return provider{}, err
		}
		return getProvider(x, &in.ProviderPath)
	}
	p, err := x.cfg.Providers.Provider(x, x.who, in.Provider)
	if err != nil {
		return provider{}, err
	}
	in.Body.apply(&p)
	p, err = x.cfg.Providers.SaveProvider(x, x.who, p)
	return providerOf(x, p), err
}

func removeProvider(x *visit, in *ProviderPath) error {
	return x.cfg.Providers.RemoveProvider(x, x.who, in.Provider)
}

// finding is one result of a check.
type finding struct {
	Level string `json:"level" doc:"good, note or bad." example:"good"`
	Text  string `json:"text"`
}

func checkProvider(x *visit, in *ProviderPath) (list[finding], error) {
	rows, err := x.cfg.Providers.CheckProvider(x, x.who, in.Provider)
	return listOf(rows, len(rows), func(f sso.Finding) finding { return finding(f) }), err
}
