package identity

import (
	"context"
	"encoding/json"
	"fmt"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/identity"
)

// maxPreferences is the greatest length of preferences in bytes.
const maxPreferences = 4 << 10

// SetPreferences keeps what builders' own pages remember about the signed-in person, a JSON object of at most 4 KiB. It needs AccountUpdate. Nothing is decided by it.
func (p *People) SetPreferences(ctx context.Context, actor authz.Principal, preferences json.RawMessage) error {
	var object map[string]json.RawMessage
	if len(preferences) > maxPreferences || json.Unmarshal(preferences, &object) != nil {
		return invalid("preferences", "Preferences are a JSON object of at most 4 KiB.")
	}
	u, err := p.Get(ctx, actor, actor.ID)
	if err != nil {
		return err
	}
	return p.Gate.DoDetail(ctx, actor, authz.AccountUpdate, u.resource(), "preferences changed", func(tx *db.Tx) error {
		if err := q.New(tx).SetPreferences(ctx, q.SetPreferencesParams{ID: u.ID, Preferences: string(preferences), UpdatedAt: p.Now().UnixMilli()}); err != nil {
			return fmt.Errorf("keeping preferences: %w", err)
		}
		return nil
	})
}
