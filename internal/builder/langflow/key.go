package langflow

import (
	"context"
	"net/http"
	"time"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// KeyName is what the keys are called that Sluice makes for itself, in each account.
const KeyName = "Sluice"

// keyOf is the API key of an account: Langflow runs flows (POST /api/v1/run) for API keys only. It
// is made once and stored.
func (b *bridge) keyOf(ctx context.Context, e *entry) ([]string, error) {
	if e.key != nil {
		return e.key, nil
	}
	if err := e.minting.do(ctx, b, func(ctx context.Context) error { return b.makeKey(ctx, e) }); err != nil {
		return nil, err
	}
	if now := b.dir.Load().byID[e.ID]; now != nil && now.key != nil {
		return now.key, nil
	}
	return nil, problem.New(problem.Unavailable, "The account's API key was changed just now.").
		WithRetryAfter(time.Second)
}

// makeKey makes a key and stores it.
func (b *bridge) makeKey(ctx context.Context, e *entry) error {
	now := b.dir.Load().byID[e.ID]
	if now == nil || now.Key != e.Key {
		return nil
	}
	s, err := b.sessionOf(ctx, now)
	if err != nil {
		return err
	}
	r, err := call{
		method: http.MethodPost, path: "/api/v1/api_key/", header: s.header(), json: map[string]string{"name": KeyName},
	}.do(ctx, b.client, b.cfg.Now)
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
		return problem.Newf(problem.Conflict, "Langflow cannot make an API key, so that flows cannot be run by API: most likely its LANGFLOW_SECRET_KEY is no usable Fernet key (%s).", builder.Clip(r.detail(), 100)).
			WithField("secret_key").
			WithNext(`Give Langflow a LANGFLOW_SECRET_KEY made by: python3 -c "import secrets; print(secrets.token_urlsafe(32))" - and Sluice the same. Credentials that Langflow stored before have to be entered again.`)
	default:
		return r.trouble("making an API key")
	}
	a := now.Account
	a.Key = key.Key
	kept, err := b.keep(ctx, a, "")
	if err == nil && kept.Key != a.Key {
		b.dropKey(ctx, s, key.ID)
	}
	return err
}

// dropKey takes back a key that another node's was faster than.
func (b *bridge) dropKey(ctx context.Context, s *session, id string) {
	if !profile.IsUUID(id) {
		return
	}
	r, err := call{
		method: http.MethodDelete,
		path:   "/api/v1/api_key/" + id,
		header: s.header(),
	}.do(
		ctx,
		b.client,
		b.cfg.Now,
	)
	if err != nil || r.Status >= 300 {
		b.cfg.Log.Warn("an API key that is not needed stays in Langflow", "id", id)
	}
}

// keyRejected is told that Langflow refused a key. If Langflow really does not know it any more,
// the account gets another.
func (b *bridge) keyRejected(ctx context.Context, key string) bool {
	for _, e := range b.dir.Load().list {
		if e.Key != key {
			continue
		}
		replaced := false
		err := e.minting.do(ctx, b, func(ctx context.Context) error {
			r, err := b.whoami(ctx, http.Header{"X-Api-Key": {key}})
			if err != nil || r.Status != http.StatusUnauthorized && r.Status != http.StatusForbidden {
				return err
			}
			b.cfg.Log.Warn(
				"Langflow does not know the account's API key any more; another one is made",
				"username",
				e.Username,
				"workspace",
				e.Workspace,
			)
			replaced = true
			return b.makeKey(ctx, e)
		})
		return err == nil && replaced
	}
	return true
}
