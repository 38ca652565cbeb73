package login

import (
	"context"
	"fmt"

	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/db/q"
)

// EnableProvider puts a provider in use, or takes it out. It looks at nothing else: a provider must be possible to stop although a workspace that its mappings name is gone. Sessions that it has begun go on. It needs SignInManage.
func (l *Logins) EnableProvider(ctx context.Context, actor authz.Principal, id string, on bool) error {
	p, err := l.Provider(ctx, actor, id)
	if err != nil {
		return err
	}
	detail := map[bool]string{true: "enabled", false: "disabled"}[on]
	return l.cfg.Gate.DoDetail(ctx, actor, authz.SignInManage, p.resource(), "provider "+p.Slug+" "+detail, func(tx *db.Tx) error {
		row, err := tx.GetProvider(ctx, id)
		if err != nil {
			return db.Found(err, noProvider().Detail)
		}
		if _, err := tx.UpdateProvider(ctx, q.UpdateProviderParams{
			ID: id, Name: row.Name, Issuer: row.Issuer, ClientID: row.ClientID, SecretSealed: row.SecretSealed, Settings: row.Settings, Enabled: on, UpdatedAt: l.cfg.Now().UnixMilli(),
		}); err != nil {
			return fmt.Errorf("storing the provider: %w", err)
		}
		return tx.Changed(ChangeKind, "provider")
	})
}
