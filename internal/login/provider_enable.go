package login

import (
	"context"
	"fmt"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
)

// EnableProvider puts a provider in use, or takes it out. It looks at nothing else: a provider must be possible to stop although a workspace that its mappings name is gone. Taking it out ends the sessions that it has begun, but the actor's own. It needs SignInManage.
func (l *Logins) EnableProvider(ctx context.Context, actor authz.Principal, id string, on bool) error {
	p, err := l.Provider(ctx, actor, id)
	if err != nil {
		return err
	}
	detail := map[bool]string{true: "enabled", false: "disabled"}[on]
	return l.cfg.Gate.DoDetail(ctx, actor, authz.SignInManage, p.resource(), "provider "+p.Slug+" "+detail, func(tx *db.Tx) error {
		row, err := q.New(tx).GetProvider(ctx, id)
		if err != nil {
			return db.Found(err, noProvider().Detail)
		}
		if _, err := q.New(tx).UpdateProvider(ctx, q.UpdateProviderParams{
			ID: id, Name: row.Name, Issuer: row.Issuer, ClientID: row.ClientID, SecretSealed: row.SecretSealed, Settings: row.Settings, Enabled: on, UpdatedAt: l.cfg.Now().UnixMilli(),
		}); err != nil {
			return fmt.Errorf("storing the provider: %w", err)
		}
		if !on {
			if err := l.endSessionsOf(ctx, tx, actor, p); err != nil {
				return err
			}
		}
		return tx.Changed(ChangeKind, "provider")
	})
}

// endSessionsOf ends all sessions that a provider has begun: whoever stops trusting it does not trust them either. The actor's own stays, so that they can go on.
func (l *Logins) endSessionsOf(ctx context.Context, tx *db.Tx, actor authz.Principal, p Provider) error {
	rows, err := q.New(tx).SessionsOfProvider(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("finding the provider's sessions: %w", err)
	}
	for _, r := range rows {
		if r.SessionID == actor.SessionID {
			continue
		}
		if err := l.cfg.Sessions.EndIn(ctx, tx, r.SessionID); err != nil {
			return err
		}
	}
	return nil
}
