package login

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/problem"
)

// The kinds of identity providers.
const (
	// KindOIDC is any provider that speaks OpenID Connect.
	KindOIDC = "oidc"
	// KindGitHub is GitHub or GitHub Enterprise, which sign people in by OAuth 2.0 without an id token.
	KindGitHub = "github"
)

// Provider is an identity provider: a service that vouches for people.
type Provider struct {
	// ID is a UUIDv7. Slug stands in addresses; it never changes.
	ID, Slug string
	// Kind is KindOIDC or KindGitHub; it never changes.
	Kind string
	// Name is what people see on the button.
	Name string
	// Issuer is the provider's identifier, exactly as its discovery document gives it; for GitHub the origin of a GitHub Enterprise, "" for github.com.
	Issuer string
	// ClientID is what the provider knows Sluice by. ClientSecret is only written: it is empty when read, and an empty one keeps what is stored. HasSecret tells that one is stored.
	ClientID, ClientSecret string
	HasSecret              bool
	// Enabled providers sign people in; others can only be tested.
	Enabled bool
	// Scopes are asked for; for OpenID Connect they hold "openid".
	Scopes []string
	// CreateAccounts makes an account for people who have none yet. Domains narrows that to verified addresses of these domains.
	CreateAccounts bool
	Domains        []string
	// TrustFactor takes a sign-in there for two factors, unless the provider itself says that it was only a password (amr, RFC 8176).
	TrustFactor bool
	// GroupClaim is where the groups are: a claim's name, or a path with dots such as realm_access.roles. GitHub's groups are organisations and organisation/team.
	GroupClaim string
	// Mappings give roles to groups. With at least one of them the provider's groups decide, at each sign-in, about every membership that they gave.
	Mappings []Mapping
	// SuperuserGroup makes its members superusers; "" for none.
	SuperuserGroup string
	// UsernameClaim, EmailClaim and NameClaim are where an account's names come from; empty means preferred_username, email and name.
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
	return providerSettings{p.Scopes, p.CreateAccounts, p.Domains, p.TrustFactor, p.GroupClaim, p.Mappings, p.SuperuserGroup, p.UsernameClaim, p.EmailClaim, p.NameClaim}
}

func providerOf(r q.Provider) (Provider, error) {
	var s providerSettings
	if err := json.Unmarshal([]byte(r.Settings), &s); err != nil {
		return Provider{}, fmt.Errorf("reading the settings of provider %s: %w", r.Slug, err)
	}
	return Provider{
		ID: r.ID, Slug: r.Slug, Kind: r.Kind, Name: r.Name, Issuer: r.Issuer, ClientID: r.ClientID, HasSecret: r.SecretSealed != "", Enabled: r.Enabled,
		Scopes: s.Scopes, CreateAccounts: s.CreateAccounts, Domains: s.Domains, TrustFactor: s.TrustFactor, GroupClaim: s.GroupClaim, Mappings: s.Mappings,
		SuperuserGroup: s.SuperuserGroup, UsernameClaim: s.UsernameClaim, EmailClaim: s.EmailClaim, NameClaim: s.NameClaim,
	}, nil
}

// provider is a provider in memory with what is known of its other side.
type provider struct {
	Provider
	remote *remote
}

// principal is who acts when the provider's word changes an account.
func (p Provider) principal(ip string) authz.Principal {
	who := authz.SystemPrincipal(p.method())
	who.IP = ip
	return who
}

// method names the provider in sessions and entries.
func (p Provider) method() string { return "sso:" + p.Slug }

func (p Provider) resource() authz.Resource {
	return authz.Resource{Type: "SignIn", ID: p.ID, Name: p.Name}
}

// providers are all identity providers, in memory.
type providers struct{ list atomic.Pointer[[]*provider] }

func (s *providers) all() []*provider {
	if list := s.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (s *providers) bySlug(slug string) (*provider, bool) {
	return s.find(func(p *provider) bool { return p.Slug == slug })
}

func (s *providers) byID(id string) (*provider, bool) {
	return s.find(func(p *provider) bool { return p.ID == id })
}

func (s *providers) find(match func(*provider) bool) (*provider, bool) {
	list := s.all()
	if i := slices.IndexFunc(list, match); i >= 0 {
		return list[i], true
	}
	return nil, false
}

// loadProviders reads the providers. What is known of the other side stays with a provider as long as its issuer does.
func (l *Logins) loadProviders(ctx context.Context) error {
	rows, err := q.New(l.cfg.DB.Read()).AllProviders(ctx)
	if err != nil {
		return fmt.Errorf("reading identity providers: %w", err)
	}
	list := make([]*provider, 0, len(rows))
	for _, r := range rows {
		p, err := providerOf(r)
		if err != nil {
			return err
		}
		next := &provider{Provider: p, remote: newRemote()}
		if old, ok := l.providers.byID(p.ID); ok && old.Issuer == p.Issuer {
			next.remote = old.remote
		}
		list = append(list, next)
	}
	l.providers.list.Store(&list)
	return nil
}

// SignInButtons lists the enabled providers by name, from memory.
func (l *Logins) SignInButtons() []Button {
	var out []Button
	for _, p := range l.providers.all() {
		if p.Enabled {
			out = append(out, Button{p.Slug, p.Name, p.Kind})
		}
	}
	return out
}

// Providers lists all providers by name. It needs SignInManage.
func (l *Logins) Providers(ctx context.Context, actor authz.Principal) ([]Provider, error) {
	if err := l.cfg.Gate.Check(ctx, actor, authz.SignInManage, authz.Resource{Type: "SignIn"}); err != nil {
		return nil, err
	}
	out := []Provider{}
	for _, p := range l.providers.all() {
		out = append(out, p.Provider)
	}
	return out, nil
}

// Provider returns one provider by its id. It needs SignInManage.
func (l *Logins) Provider(ctx context.Context, actor authz.Principal, id string) (Provider, error) {
	if err := l.cfg.Gate.Check(ctx, actor, authz.SignInManage, authz.Resource{Type: "SignIn", ID: id}); err != nil {
		return Provider{}, err
	}
	p, ok := l.providers.byID(id)
	if !ok {
		return Provider{}, noProvider()
	}
	return p.Provider, nil
}

func noProvider() *problem.Error {
	return problem.New(problem.NotFound, "There is no such identity provider, or it is not in use.")
}

// SaveProvider adds a provider (ID empty) or changes one. It needs SignInManage. Errors: problem.Invalid with the field, problem.Conflict for a slug that is taken and for another issuer
// while people are linked.
func (l *Logins) SaveProvider(ctx context.Context, actor authz.Principal, p Provider) (Provider, error) {
	if err := l.cfg.Gate.Check(ctx, actor, authz.SignInManage, authz.Resource{Type: "SignIn", ID: p.ID}); err != nil {
		return Provider{}, err
	}
	if p.ID == "" {
		return l.addProvider(ctx, actor, p)
	}
	return l.changeProvider(ctx, actor, p)
}

func (l *Logins) addProvider(ctx context.Context, actor authz.Principal, p Provider) (Provider, error) {
	if err := l.cleanProvider(&p); err != nil {
		return Provider{}, err
	}
	if p.ClientSecret == "" && p.Kind == KindGitHub {
		return Provider{}, problem.New(problem.Invalid, "Enter the client secret; GitHub demands one.").WithField("client_secret")
	}
	if len(l.providers.all()) >= maxProviders {
		return Provider{}, problem.Newf(problem.Conflict, "There are %d providers, which is the most there can be.", maxProviders)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Provider{}, fmt.Errorf("making an id: %w", err)
	}
	p.ID = id.String()
	err = l.storeProvider(ctx, actor, p, "added", func(tx *db.Tx, secret, settings string) error {
		return q.New(tx).InsertProvider(ctx, q.InsertProviderParams{
			ID: p.ID, Slug: p.Slug, Kind: p.Kind, Name: p.Name, Issuer: p.Issuer, ClientID: p.ClientID, SecretSealed: secret, Settings: settings, Enabled: p.Enabled, CreatedAt: l.cfg.Now().UnixMilli(),
		})
	})
	return p.stored(err)
}

func (l *Logins) changeProvider(ctx context.Context, actor authz.Principal, p Provider) (Provider, error) {
	row, err := q.New(l.cfg.DB.Read()).GetProvider(ctx, p.ID)
	if err != nil {
		return Provider{}, db.Found(err, noProvider().Detail)
	}
	p.Slug, p.Kind = row.Slug, row.Kind
	if err := l.cleanProvider(&p); err != nil {
		return Provider{}, err
	}
	if p.Issuer != row.Issuer {
		if err := l.mayMove(ctx, p, row); err != nil {
			return Provider{}, err
		}
	}
	err = l.storeProvider(ctx, actor, p, "changed", func(tx *db.Tx, secret, settings string) error {
		if secret == "" {
			// Rotation may have sealed it anew since the page was shown.
			now, err := q.New(tx).GetProvider(ctx, p.ID)
			if err != nil {
				return db.Found(err, noProvider().Detail)
			}
			secret = now.SecretSealed
		}
		_, err := q.New(tx).UpdateProvider(ctx, q.UpdateProviderParams{
			ID: p.ID, Name: p.Name, Issuer: p.Issuer, ClientID: p.ClientID, SecretSealed: secret, Settings: settings, Enabled: p.Enabled, UpdatedAt: l.cfg.Now().UnixMilli(),
		})
		return err
	})
	p.HasSecret = row.SecretSealed != ""
	return p.stored(err)
}

// mayMove refuses another issuer where its subjects would meet the accounts of the present one, and where the present one's secret would be sent to it.
func (l *Logins) mayMove(ctx context.Context, p Provider, row q.Provider) error {
	n, err := q.New(l.cfg.DB.Read()).CountLinksOfProvider(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("counting links: %w", err)
	}
	switch {
	case n > 0:
		return problem.Newf(problem.Conflict, "%d people are linked at the present issuer, and another one would give its own people their accounts.", n).WithField("issuer").
			WithNext("Add the other issuer as a provider of its own.")
	case row.SecretSealed != "" && p.ClientSecret == "":
		return problem.New(problem.Invalid, "Enter the client secret of the other issuer; the present one's is not sent to it.").WithField("client_secret")
	}
	return nil
}

// stored is what SaveProvider gives back.
func (p Provider) stored(err error) (Provider, error) {
	if err != nil {
		return Provider{}, err
	}
	p.HasSecret, p.ClientSecret = p.HasSecret || p.ClientSecret != "", ""
	return p, nil
}

func (l *Logins) storeProvider(ctx context.Context, actor authz.Principal, p Provider, detail string, write func(tx *db.Tx, secret, settings string) error) error {
	settings, err := json.Marshal(p.settings())
	if err != nil {
		return fmt.Errorf("storing the provider: %w", err)
	}
	sealed := ""
	if p.ClientSecret != "" {
		raw, err := l.cfg.Keyring.Seal([]byte(p.ClientSecret), "provider", p.ID)
		if err != nil {
			return fmt.Errorf("storing the provider: %w", err)
		}
		sealed = base64.StdEncoding.EncodeToString(raw)
	}
	return l.cfg.Gate.DoDetail(ctx, actor, authz.SignInManage, p.resource(), "provider "+p.Slug+" "+detail, func(tx *db.Tx) error {
		err := write(tx, sealed, string(settings))
		if db.IsUnique(err) {
			return problem.New(problem.Conflict, "There is a provider with this short name already.").WithField("slug")
		}
		if err != nil {
			return fmt.Errorf("storing the provider: %w", err)
		}
		return tx.Changed(ChangeKind, "provider")
	})
}

// RemoveProvider removes a provider with its links. Accounts and the roles that it gave stay; these count as given by hand from then on. The sessions that it has begun end, but the actor's own. It needs SignInManage.
func (l *Logins) RemoveProvider(ctx context.Context, actor authz.Principal, id string) error {
	p, err := l.Provider(ctx, actor, id)
	if err != nil {
		return err
	}
	return l.cfg.Gate.DoDetail(ctx, actor, authz.SignInManage, p.resource(), "provider "+p.Slug+" removed", func(tx *db.Tx) error {
		if err := l.endSessionsOf(ctx, tx, actor, p); err != nil {
			return err
		}
		if _, err := q.New(tx).DeleteProvider(ctx, id); err != nil {
			return fmt.Errorf("removing the provider: %w", err)
		}
		return tx.Changed(ChangeKind, "provider")
	})
}

// clientSecret opens the secret that Sluice shows a provider. It is read at each use: rotation may have sealed it anew.
func (l *Logins) clientSecret(ctx context.Context, p *provider) (string, error) {
	row, err := q.New(l.cfg.DB.Read()).GetProvider(ctx, p.ID)
	if err != nil {
		return "", db.Found(err, noProvider().Detail)
	}
	if row.SecretSealed == "" {
		return "", nil
	}
	sealed, err := base64.StdEncoding.DecodeString(row.SecretSealed)
	if err != nil {
		return "", fmt.Errorf("reading the secret of provider %s: %w", p.Slug, err)
	}
	secret, err := l.cfg.Keyring.Open(sealed, "provider", p.ID)
	return string(secret), err
}
