package sso

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// Config configures Providers.
type Config struct {
	DB       *db.DB
	Gate     *authz.Gate
	People   *identity.People
	Sessions *authn.Sessions
	Logins   *login.Logins
	// Keyring seals client secrets and the id tokens that sessions keep.
	Keyring *secret.Keyring
	// HTTP makes requests to identity providers. Nil means ProviderClient.
	HTTP *http.Client
	// Now is the clock.
	Now func() time.Time
	// Log gets failures of background work.
	Log *slog.Logger
}

// Providers manages the configured identity providers, the data fetched from them, and the sessions
// that they began.
type Providers struct {
	cfg    Config
	list   atomic.Pointer[[]*provider]
	client *client
}

// NewProviders reads the providers and follows changes. Close it before the database.
func NewProviders(ctx context.Context, c Config) (*Providers, error) {
	if c.HTTP == nil {
		c.HTTP = ProviderClient(providerTime, nil)
	}
	ps := &Providers{cfg: c}
	ps.client = &client{http: c.HTTP, now: c.Now, secret: ps.clientSecret, fetches: newFetches()}
	c.DB.Subscribe(login.ChangeKind, func(string) {
		if err := ps.load(context.Background()); err != nil {
			c.Log.Error("the sign-in settings could not be reloaded; the previous ones stay in force", "error", err)
		}
	})
	return ps, ps.load(ctx)
}

// Close cancels all requests to providers.
func (ps *Providers) Close() { ps.client.fetches.stop() }

func (ps *Providers) all() []*provider {
	if list := ps.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (ps *Providers) bySlug(slug string) (*provider, bool) {
	return ps.find(func(p *provider) bool { return p.Slug == slug })
}

func (ps *Providers) byID(id string) (*provider, bool) {
	return ps.find(func(p *provider) bool { return p.ID == id })
}

func (ps *Providers) find(match func(*provider) bool) (*provider, bool) {
	list := ps.all()
	if i := slices.IndexFunc(list, match); i >= 0 {
		return list[i], true
	}
	return nil, false
}

// load reads the providers. The fetched data stays with a provider while its issuer is the same.
func (ps *Providers) load(ctx context.Context) error {
	rows, err := q.New(ps.cfg.DB.Read()).AllProviders(ctx)
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
		if old, ok := ps.byID(p.ID); ok && old.Issuer == p.Issuer {
			next.remote = old.remote
		}
		list = append(list, next)
	}
	ps.list.Store(&list)
	return nil
}

// SignInButtons lists the enabled providers by name, from memory.
func (ps *Providers) SignInButtons() []Button {
	var out []Button
	for _, p := range ps.all() {
		if p.Enabled {
			out = append(out, Button{p.Slug, p.Name, p.Kind})
		}
	}
	return out
}

// List lists all providers by name. It requires SignInManage.
func (ps *Providers) List(ctx context.Context, actor authz.Principal) ([]Provider, error) {
	if err := ps.cfg.Gate.Check(ctx, actor, authz.SignInManage, authz.Resource{Type: "SignIn"}); err != nil {
		return nil, err
	}
	out := []Provider{}
	for _, p := range ps.all() {
		out = append(out, p.Provider)
	}
	return out, nil
}

// Provider returns one provider by its id. It requires SignInManage.
func (ps *Providers) Provider(ctx context.Context, actor authz.Principal, id string) (Provider, error) {
	if err := ps.cfg.Gate.Check(ctx, actor, authz.SignInManage, authz.Resource{Type: "SignIn", ID: id}); err != nil {
		return Provider{}, err
	}
	p, ok := ps.byID(id)
	if !ok {
		return Provider{}, noProvider()
	}
	return p.Provider, nil
}

// SaveProvider creates a provider (if ID is empty) or changes one. It requires SignInManage.
// Errors: problem.Invalid with the field, problem.Conflict for a taken slug, and for another issuer
// while people are linked.
func (ps *Providers) SaveProvider(ctx context.Context, actor authz.Principal, p Provider) (Provider, error) {
	if err := ps.cfg.Gate.Check(ctx, actor, authz.SignInManage, authz.Resource{Type: "SignIn", ID: p.ID}); err != nil {
		return Provider{}, err
	}
	if p.ID == "" {
		return ps.addProvider(ctx, actor, p)
	}
	return ps.changeProvider(ctx, actor, p)
}

func (ps *Providers) addProvider(ctx context.Context, actor authz.Principal, p Provider) (Provider, error) {
	if err := ps.cleanProvider(&p); err != nil {
		return Provider{}, err
	}
	if p.ClientSecret == "" && p.Kind == KindGitHub {
		return Provider{}, problem.New(problem.Invalid, "Enter the client secret; GitHub requires one.").
			WithField("client_secret")
	}
	if len(ps.all()) >= maxProviders {
		return Provider{}, problem.Newf(problem.Conflict, "There are %d providers, which is the maximum.",
			maxProviders)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Provider{}, fmt.Errorf("creating an id: %w", err)
	}
	p.ID = id.String()
	err = ps.storeProvider(ctx, actor, p, "added", func(tx *db.Tx, secret, settings string) error {
		return q.New(tx).InsertProvider(ctx, q.InsertProviderParams{
			ID:           p.ID,
			Slug:         p.Slug,
			Kind:         p.Kind,
			Name:         p.Name,
			Issuer:       p.Issuer,
			ClientID:     p.ClientID,
			SecretSealed: secret,
			Settings:     settings,
			Enabled:      p.Enabled,
			CreatedAt:    ps.cfg.Now().UnixMilli(),
		})
	})
	return p.stored(err)
}

func (ps *Providers) changeProvider(ctx context.Context, actor authz.Principal, p Provider) (Provider, error) {
	row, err := q.New(ps.cfg.DB.Read()).GetProvider(ctx, p.ID)
	if err != nil {
		return Provider{}, db.Found(err, noProvider().Detail)
	}
	p.Slug, p.Kind = row.Slug, row.Kind
	if err := ps.cleanProvider(&p); err != nil {
		return Provider{}, err
	}
	if p.Issuer != row.Issuer {
		if err := ps.mayMove(ctx, p, row); err != nil {
			return Provider{}, err
		}
	}
	err = ps.storeProvider(ctx, actor, p, "changed", func(tx *db.Tx, secret, settings string) error {
		if secret == "" {
			// Rotation may have resealed it since the page was shown.
			now, err := q.New(tx).GetProvider(ctx, p.ID)
			if err != nil {
				return db.Found(err, noProvider().Detail)
			}
			secret = now.SecretSealed
		}
		_, err := q.New(tx).UpdateProvider(ctx, q.UpdateProviderParams{
			ID:           p.ID,
			Name:         p.Name,
			Issuer:       p.Issuer,
			ClientID:     p.ClientID,
			SecretSealed: secret,
			Settings:     settings,
			Enabled:      p.Enabled,
			UpdatedAt:    ps.cfg.Now().UnixMilli(),
		})
		return err
	})
	p.HasSecret = row.SecretSealed != ""
	return p.stored(err)
}

// mayMove refuses another issuer if its subjects would get the accounts of the current one, or if
// it would be sent the secret of the current one.
func (ps *Providers) mayMove(ctx context.Context, p Provider, row q.Provider) error {
	n, err := q.New(ps.cfg.DB.Read()).CountLinksOfProvider(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("counting links: %w", err)
	}
	switch {
	case n > 0:
		return problem.Newf(problem.Conflict, "%d people are linked to the current issuer. Another issuer would "+
			"give their accounts to its own people.", n).
			WithField("issuer").
			WithNext("Add the other issuer as a separate provider.")
	case row.SecretSealed != "" && p.ClientSecret == "":
		return problem.New(problem.Invalid, "Enter the client secret of the new issuer; the current issuer's "+
			"secret is not sent to it.").
			WithField("client_secret")
	}
	return nil
}

func (ps *Providers) storeProvider(
	ctx context.Context,
	actor authz.Principal,
	p Provider,
	detail string,
	write func(tx *db.Tx, secret, settings string) error,
) error {
	settings, err := json.Marshal(p.settings())
	if err != nil {
		return fmt.Errorf("storing the provider: %w", err)
	}
	sealed := ""
	if p.ClientSecret != "" {
		raw, err := ps.cfg.Keyring.Seal([]byte(p.ClientSecret), "provider", p.ID)
		if err != nil {
			return fmt.Errorf("storing the provider: %w", err)
		}
		sealed = base64.StdEncoding.EncodeToString(raw)
	}
	return ps.cfg.Gate.DoDetail(ctx, actor, authz.SignInManage, p.resource(), "provider "+p.Slug+" "+detail,
		func(tx *db.Tx) error {
			err := write(tx, sealed, string(settings))
			if db.IsUnique(err) {
				return problem.New(problem.Conflict, "A provider with this short name already exists.").
					WithField("slug")
			}
			if err != nil {
				return fmt.Errorf("storing the provider: %w", err)
			}
			return tx.Changed(login.ChangeKind, "provider")
		})
}

// RemoveProvider deletes a provider with its links. Accounts and the roles that it gave stay; the
// roles count as given by hand from then on. The sessions that it began are revoked, except the
// actor's own. It requires SignInManage.
func (ps *Providers) RemoveProvider(ctx context.Context, actor authz.Principal, id string) error {
	p, err := ps.Provider(ctx, actor, id)
	if err != nil {
		return err
	}
	return ps.cfg.Gate.DoDetail(ctx, actor, authz.SignInManage, p.resource(), "provider "+p.Slug+" removed",
		func(tx *db.Tx) error {
			if err := ps.endSessionsOf(ctx, tx, actor, p); err != nil {
				return err
			}
			if _, err := q.New(tx).DeleteProvider(ctx, id); err != nil {
				return fmt.Errorf("removing the provider: %w", err)
			}
			return tx.Changed(login.ChangeKind, "provider")
		})
}

// clientSecret opens Sluice's secret for a provider. It is read at each use, because rotation may
// have resealed it.
func (ps *Providers) clientSecret(ctx context.Context, p *provider) (string, error) {
	row, err := q.New(ps.cfg.DB.Read()).GetProvider(ctx, p.ID)
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
	secret, err := ps.cfg.Keyring.Open(sealed, "provider", p.ID)
	return string(secret), err
}

// cleanProvider checks the entered settings, and removes blanks and duplicates.
func (ps *Providers) cleanProvider(p *Provider) error {
	// The lists of a provider in memory are shared.
	p.Scopes, p.Domains, p.Mappings = slices.Clone(p.Scopes), slices.Clone(p.Domains), slices.Clone(p.Mappings)
	p.Name, p.Slug = strings.Join(strings.Fields(p.Name), " "), strings.TrimSpace(p.Slug)
	p.Issuer, p.ClientID, p.ClientSecret = strings.TrimSpace(p.Issuer), strings.TrimSpace(
		p.ClientID,
	), strings.TrimSpace(p.ClientSecret)
	switch {
	case p.Kind != KindOIDC && p.Kind != KindGitHub:
		return wrong("kind", "The kind of a provider is oidc or github.")
	case !plainText(p.Name, 50):
		return wrong("name", "Enter a name of 1 to 50 printable characters.")
	case !slugForm.MatchString(p.Slug):
		return wrong("slug",
			"Enter a short name of 1 to 32 lowercase letters, digits or dashes that begins and ends with a "+
				"letter or digit.")
	case !plainText(p.ClientID, 300):
		return wrong("client_id", "Enter the client id that the provider issued, at most 300 characters.")
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
	return ps.cleanMappings(p)
}

func (ps *Providers) cleanMappings(p *Provider) error {
	p.SuperuserGroup = strings.TrimSpace(p.SuperuserGroup)
	if p.SuperuserGroup != "" && (len(p.SuperuserGroup) > maxGroupName || !plainText(p.SuperuserGroup, maxGroupName)) {
		return wrong("superuser_group", "A group's name has at most %d printable characters.", maxGroupName)
	}
	if len(p.Mappings) > maxMappings {
		return wrong("mappings", "Add at most %d mappings.", maxMappings)
	}
	for i, m := range p.Mappings {
		m.Group, m.Workspace, m.Role = strings.TrimSpace(m.Group), strings.TrimSpace(
			m.Workspace,
		), strings.TrimSpace(m.Role)
		p.Mappings[i] = m
		if len(m.Group) > maxGroupName || !plainText(m.Group, maxGroupName) {
			return wrong("mappings", "Mapping %d needs a group of at most %d printable characters.", i+1, maxGroupName)
		}
		if _, ok := ps.cfg.People.WorkspaceName(m.Workspace); !ok {
			return wrong("mappings", "Mapping %d names a workspace that does not exist.", i+1)
		}
		if _, ok := ps.cfg.People.Role(m.Role); !ok {
			return wrong(
				"mappings",
				"Mapping %d names a role that does not exist; use admin, user, viewer or the id of a custom role.",
				i+1,
			)
		}
	}
	if p.Kind == KindOIDC && p.GroupClaim == "" && (len(p.Mappings) > 0 || p.SuperuserGroup != "") {
		return wrong("group_claim", "Enter the claim that contains the groups; the mappings need it.")
	}
	return nil
}

// EnableProvider enables or disables a provider. It checks no settings: it must be possible to
// disable a provider even if a workspace in its mappings is gone. Disabling revokes the sessions
// that the provider began, except the actor's own. It requires SignInManage.
func (ps *Providers) EnableProvider(ctx context.Context, actor authz.Principal, id string, on bool) error {
	p, err := ps.Provider(ctx, actor, id)
	if err != nil {
		return err
	}
	detail := map[bool]string{true: "enabled", false: "disabled"}[on]
	return ps.cfg.Gate.DoDetail(ctx, actor, authz.SignInManage, p.resource(), "provider "+p.Slug+" "+detail,
		func(tx *db.Tx) error {
			row, err := q.New(tx).GetProvider(ctx, id)
			if err != nil {
				return db.Found(err, noProvider().Detail)
			}
			if _, err := q.New(tx).UpdateProvider(ctx, q.UpdateProviderParams{
				ID:           id,
				Name:         row.Name,
				Issuer:       row.Issuer,
				ClientID:     row.ClientID,
				SecretSealed: row.SecretSealed,
				Settings:     row.Settings,
				Enabled:      on,
				UpdatedAt:    ps.cfg.Now().UnixMilli(),
			}); err != nil {
				return fmt.Errorf("storing the provider: %w", err)
			}
			if !on {
				if err := ps.endSessionsOf(ctx, tx, actor, p); err != nil {
					return err
				}
			}
			return tx.Changed(login.ChangeKind, "provider")
		})
}

// endSessionsOf revokes all sessions that a provider began, because a provider that is no longer
// trusted cannot vouch for them either. The actor's own session stays, so that they can continue.
func (ps *Providers) endSessionsOf(ctx context.Context, tx *db.Tx, actor authz.Principal, p Provider) error {
	rows, err := q.New(tx).SessionsOfProvider(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("finding the provider's sessions: %w", err)
	}
	for _, r := range rows {
		if r.SessionID == actor.SessionID {
			continue
		}
		if err := ps.cfg.Sessions.EndIn(ctx, tx, r.SessionID); err != nil {
			return err
		}
	}
	return nil
}

// CheckProvider queries a provider, bypassing all caches, and returns its findings. It requires
// SignInManage. Only a full test sign-in shows whether the client id and secret are correct.
func (ps *Providers) CheckProvider(ctx context.Context, actor authz.Principal, id string) ([]Finding, error) {
	if _, err := ps.Provider(ctx, actor, id); err != nil {
		return nil, err
	}
	known, _ := ps.byID(id)
	// An empty remote makes sure that the check sees the provider's current data.
	p := &provider{Provider: known.Provider, remote: newRemote()}
	var found findings
	if p.Kind == KindGitHub {
		probeGitHub(ctx, ps.client, p, &found)
	} else {
		probeOIDC(ctx, ps.client, p, &found)
	}
	probeSettings(p.Provider, &found)
	return found, nil
}
