package langflow

import (
	"context"
	"net/http"
	"time"

	"sluice/internal/builder"
	"sluice/internal/builder/langflow/database"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// KeyName is the name of the keys that Sluice creates for itself, in each account.
const KeyName = database.OwnKeyName

// keys gets an API key for each account that needs one.
type keys struct {
	cfg      *builder.BridgeConfig
	wire     *wire
	accounts *accounts
	sessions *sessions
	work     *worker
}

// of is the API key of an account, because Langflow runs flows (POST /api/v1/run) only for API
// keys. It is created once and stored.
func (ks *keys) of(ctx context.Context, e *entry) ([]string, error) {
	if e.key != nil {
		return e.key, nil
	}
	if err := e.minting.do(ctx, ks.work, func(ctx context.Context) error { return ks.create(ctx, e) }); err != nil {
		return nil, err
	}
	if now := ks.accounts.dir.Load().byID[e.ID]; now != nil && now.key != nil {
		return now.key, nil
	}
	return nil, problem.New(problem.Unavailable, "The account's API key has just changed.").
		WithRetryAfter(time.Second)
}

// create creates a key and stores it.
func (ks *keys) create(ctx context.Context, e *entry) error {
	now := ks.accounts.dir.Load().byID[e.ID]
	if now == nil || now.Key != e.Key {
		return nil
	}
	s, err := ks.sessions.of(ctx, now)
	if err != nil {
		return err
	}
	r, err := ks.wire.do(ctx, call{
		method: http.MethodPost, path: "/api/v1/api_key/", header: s.header(), json: map[string]string{"name": KeyName},
	})
	if err != nil {
		return err
	}
	var key struct {
		ID  string `json:"id"`
		Key string `json:"api_key"`
	}
	switch {
	case r.Status == http.StatusOK && r.decode(&key) && jwtPlain(key.Key):
	case r.Status == http.StatusBadRequest && r.JSON:
		return problem.Newf(problem.Conflict, "Langflow cannot create an API key, so flows cannot run through "+
			"the API: most likely its LANGFLOW_SECRET_KEY is not a usable Fernet key (%s).",
			builder.Clip(r.detail(), 100)).
			WithField("secret_key").
			WithNext(`Create a LANGFLOW_SECRET_KEY for Langflow with ` +
				`python3 -c "import secrets; print(secrets.token_urlsafe(32))" and give Sluice the same. ` +
				`Credentials that Langflow already stores must be entered again.`)
	default:
		return r.trouble("creating an API key")
	}
	a := now.Account
	a.Key = key.Key
	kept, err := ks.accounts.keep(ctx, a, "")
	if err == nil && kept.Key != a.Key {
		ks.drop(ctx, s, key.ID)
	}
	return err
}

// drop deletes a key because another node stored one first.
func (ks *keys) drop(ctx context.Context, s *session, id string) {
	if !profile.IsUUID(id) {
		return
	}
	r, err := ks.wire.do(ctx, call{
		method: http.MethodDelete,
		path:   "/api/v1/api_key/" + id,
		header: s.header(),
	})
	if err != nil || r.Status >= 300 {
		ks.cfg.Log.Warn("an unneeded API key remains in Langflow", "id", id)
	}
}

// rejected handles Langflow's refusal of a key. If Langflow really no longer knows the key, the
// account gets a new one.
func (ks *keys) rejected(ctx context.Context, key string) bool {
	for _, e := range ks.accounts.dir.Load().list {
		if e.Key != key {
			continue
		}
		replaced := false
		err := e.minting.do(ctx, ks.work, func(ctx context.Context) error {
			r, err := ks.wire.whoami(ctx, http.Header{"X-Api-Key": {key}})
			if err != nil || r.Status != http.StatusUnauthorized && r.Status != http.StatusForbidden {
				return err
			}
			ks.cfg.Log.Warn(
				"Langflow no longer knows the account's API key; Sluice creates a new one",
				"username", e.Username,
				"workspace", e.Workspace,
			)
			replaced = true
			return ks.create(ctx, e)
		})
		return err == nil && replaced
	}
	return true
}
