package langflow

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"sluice/internal/authn"
	"sluice/internal/builder"
	"sluice/internal/problem"
)

// Langflow's page for API keys shows and creates Sluice's keys: each person's own keys in the
// workspace they work in.

// shownKey is a key as Langflow shows it: in full when created, masked afterwards.
type shownKey struct {
	Name       string  `json:"name"`
	LastUsedAt *string `json:"last_used_at"`
	// TotalUses is null for a used key, because Sluice counts only what limits need.
	TotalUses *int `json:"total_uses"`
	IsActive  bool `json:"is_active"`
	// ExpiresAt is a time or null; old versions lack the field.
	ExpiresAt json.RawMessage `json:"expires_at,omitempty"`
	ID        string          `json:"id"`
	APIKey    string          `json:"api_key"`
	UserID    string          `json:"user_id"`
	CreatedAt string          `json:"created_at,omitempty"`
}

// keyMask replaces the rest of a key that Langflow shows.
var keyMask = strings.Repeat("*", 37)

// keyList is a person's keys.
type keyList struct {
	TotalCount int        `json:"total_count"`
	UserID     string     `json:"user_id"`
	APIKeys    []shownKey `json:"api_keys"`
}

func answerKeys(ctx context.Context, c asked) (builder.Answer, error) {
	keys, err := c.OwnKeys(ctx)
	if err != nil {
		return builder.Answer{}, err
	}
	out := keyList{TotalCount: len(keys), UserID: c.Principal.ID, APIKeys: make([]shownKey, len(keys))}
	for i, k := range keys {
		out.APIKeys[i] = c.shownKey(k)
	}
	return builder.JSON(http.StatusOK, out), nil
}

// answerCreateKey creates a key for this app with all of its owner's permissions there except
// dangerous ones. Only this answer holds the key in full.
func answerCreateKey(ctx context.Context, c asked) (builder.Answer, error) {
	wish, err := decode[struct {
		Name      *string `json:"name"`
		ExpiresAt *string `json:"expires_at"`
	}](c)
	if err != nil {
		return builder.Answer{}, err
	}
	n := authn.NewAPIKey{Name: "Created in Langflow"}
	if wish.Name != nil {
		n.Name = cmp.Or(strings.TrimSpace(*wish.Name), n.Name)
	}
	if wish.ExpiresAt != nil {
		if n.Expires, err = moment(*wish.ExpiresAt); err != nil {
			return builder.Answer{}, err
		}
	}
	made, secret, err := c.CreateKey(ctx, n)
	if err != nil {
		return builder.Answer{}, err
	}
	out := c.shownKey(made)
	out.APIKey, out.CreatedAt = secret, ""
	return builder.JSON(http.StatusOK, out), nil
}

// moment parses a time in the forms that Langflow accepts; without a zone it is UTC.
func moment(text string) (time.Time, error) {
	for _, form := range [...]string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, problem.New(problem.Invalid, "Give the expiry as a time such as 2027-01-31T12:00:00Z.").
		WithField("expires_at")
}

// answerRevokeKey revokes a key of the list.
func answerRevokeKey(ctx context.Context, c asked) (builder.Answer, error) {
	key, err := c.OwnKey(ctx)
	if problem.Is(err, problem.NotFound) {
		return builder.Answer{}, problem.New(problem.Invalid, "API Key not found")
	}
	if err != nil {
		return builder.Answer{}, err
	}
	if err := c.Keys.Revoke(ctx, c.Principal, key.ID); err != nil {
		return builder.Answer{}, c.onPage(err)
	}
	return builder.JSON(http.StatusOK, detailBody{"API Key deleted"}), nil
}
