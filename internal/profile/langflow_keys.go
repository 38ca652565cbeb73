package profile

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"sluice/internal/authn"
	"sluice/internal/problem"
)

// Langflow's page for API keys shows and makes Sluice's keys: each person's own in the workspace that they work in.

// langflowKey is a key as Langflow shows it, whole when it was made and masked afterwards.
type langflowKey struct {
	Name       string  `json:"name"`
	LastUsedAt *string `json:"last_used_at"`
	// TotalUses is null for a key that was used: Sluice counts only what limits need.
	TotalUses *int `json:"total_uses"`
	IsActive  bool `json:"is_active"`
	// ExpiresAt is a time or null; it is not there in old versions.
	ExpiresAt json.RawMessage `json:"expires_at,omitempty"`
	ID        string          `json:"id"`
	APIKey    string          `json:"api_key"`
	UserID    string          `json:"user_id"`
	CreatedAt string          `json:"created_at,omitempty"`
}

// langflowMask is what Langflow shows in place of the rest of a key.
var langflowMask = strings.Repeat("*", 37)

func (c AnswerContext) langflowKey(k authn.APIKey) langflowKey {
	out := langflowKey{
		Name: k.Name, LastUsedAt: c.langflowMaybe(k.LastUsedAt), IsActive: k.Usable, ID: k.ID, APIKey: k.Prefix + langflowMask, UserID: k.Owner, CreatedAt: c.langflowTime(k.CreatedAt),
	}
	if !c.old() {
		out.CreatedAt = k.CreatedAt.UTC().Format("2006-01-02T15:04:05+00:00")
	}
	if k.LastUsedAt.IsZero() {
		out.TotalUses = new(int)
	}
	switch {
	case c.old():
	case k.ExpiresAt.IsZero():
		out.ExpiresAt = json.RawMessage("null")
	default:
		out.ExpiresAt = json.RawMessage(`"` + c.langflowTime(k.ExpiresAt) + `"`)
	}
	return out
}

// langflowKeyList is a person's keys.
type langflowKeyList struct {
	TotalCount int           `json:"total_count"`
	UserID     string        `json:"user_id"`
	APIKeys    []langflowKey `json:"api_keys"`
}

func langflowKeys(ctx context.Context, c AnswerContext) (Answer, error) {
	keys, err := ownKeys(ctx, c)
	if err != nil {
		return Answer{}, err
	}
	out := langflowKeyList{TotalCount: len(keys), UserID: c.Principal.ID, APIKeys: make([]langflowKey, len(keys))}
	for i, k := range keys {
		out.APIKeys[i] = c.langflowKey(k)
	}
	return jsonAnswer(http.StatusOK, out), nil
}

// langflowMakeKey makes a key for this app, with all that its owner may do there short of what is dangerous. The answer is the only one that has it whole.
func langflowMakeKey(ctx context.Context, c AnswerContext) (Answer, error) {
	if c.Keys == nil {
		return Answer{}, problem.New(problem.NotFound, "There are no API keys here.")
	}
	wish, err := langflowBody[struct {
		Name      *string `json:"name"`
		ExpiresAt *string `json:"expires_at"`
	}](c)
	if err != nil {
		return Answer{}, err
	}
	n := authn.NewAPIKey{Workspace: c.Principal.Workspace, Name: "Made in Langflow", Scope: authn.KeyScope{Apps: []string{c.App}}}
	if wish.Name != nil {
		n.Name = cmp.Or(strings.TrimSpace(*wish.Name), n.Name)
	}
	if wish.ExpiresAt != nil {
		if n.Expires, err = langflowMoment(*wish.ExpiresAt); err != nil {
			return Answer{}, err
		}
	}
	made, secret, err := c.Keys.Create(ctx, c.Principal, n)
	if err != nil {
		return Answer{}, c.onKeysPage(err)
	}
	out := c.langflowKey(made)
	out.APIKey, out.CreatedAt = secret, ""
	return jsonAnswer(http.StatusOK, out), nil
}

// langflowMoment reads a time as Langflow takes it; without a zone it is UTC.
func langflowMoment(text string) (time.Time, error) {
	for _, form := range [...]string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, problem.New(problem.Invalid, "The end of a key is a time such as 2027-01-31T12:00:00Z.").WithField("expires_at")
}

// langflowRevokeKey revokes a key of the list.
func langflowRevokeKey(ctx context.Context, c AnswerContext) (Answer, error) {
	key, err := c.ownKey(ctx)
	if problem.Is(err, problem.NotFound) {
		return Answer{}, problem.New(problem.Invalid, "API Key not found")
	}
	if err != nil {
		return Answer{}, err
	}
	if err := c.Keys.Revoke(ctx, c.Principal, key.ID); err != nil {
		return Answer{}, c.onPage(err)
	}
	return jsonAnswer(http.StatusOK, langflowDetail{"API Key deleted"}), nil
}
