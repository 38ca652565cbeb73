package authn

import (
	"time"

	"sluice/internal/authz"
	q "sluice/internal/db/q/authn"
	"sluice/internal/problem"
)

// MaxAge is how long a key may be good here, from when its secret was made; 0 means without end.
func (k *Keys) MaxAge() time.Duration { return k.cfg.MaxAge }

// view is what may be seen of a row. What cannot be read of a scope or of networks is left out; such a key does not work.
func (k *Keys) view(r q.ApiKey) APIKey {
	out := APIKey{
		ID: r.ID, Name: r.Name, Prefix: r.Prefix, Imported: r.Imported != "", Owner: r.AccountID, CreatedBy: r.CreatedBy, Workspace: r.WorkspaceID, PerMinute: r.PerMinute, PerDay: r.PerDay,
		CreatedAt: moment(r.CreatedAt), IssuedAt: moment(r.IssuedAt), UpdatedAt: moment(r.UpdatedAt), ExpiresAt: moment(k.effectiveEnd(r.IssuedAt, r.ExpiresAt)),
		RevokedAt: moment(r.RevokedAt), LastUsedAt: moment(r.LastUsedAt), LastUsedIP: r.LastUsedIp,
	}
	var errs [2]error
	out.Scope, errs[0] = decodeScope(r.Scope)
	out.Networks, errs[1] = parseNetworks(r.Networks)
	now := k.cfg.Now()
	if r.FormerUntil > now.UnixMilli() && r.RevokedAt == 0 {
		out.FormerUntil = moment(r.FormerUntil)
	}
	p, in := k.cfg.People.Principal(r.AccountID)
	out.OwnerName = p.Name
	out.WorkspaceName, _ = k.cfg.People.WorkspaceName(r.WorkspaceID)
	out.Usable = errs[0] == nil && errs[1] == nil && in && worksIn(k.cfg.People, p, r.WorkspaceID) && r.RevokedAt == 0 && (out.ExpiresAt.IsZero() || out.ExpiresAt.After(now))
	return out
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func resourceOf(r q.ApiKey) authz.Resource {
	return authz.Resource{Type: keyType, ID: r.ID, Workspace: r.WorkspaceID, Owner: r.AccountID, Name: r.Name + " (" + r.Prefix + "…)"}
}

func insertion(r q.ApiKey) q.InsertKeyParams {
	return q.InsertKeyParams{
		ID: r.ID, AccountID: r.AccountID, WorkspaceID: r.WorkspaceID, Name: r.Name, Prefix: r.Prefix, KeyHash: r.KeyHash, Scope: r.Scope, Networks: r.Networks,
		PerMinute: r.PerMinute, PerDay: r.PerDay, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt,
	}
}

func noKey() *problem.Error {
	return problem.New(problem.NotFound, "There is no such API key; it may have been removed already.")
}

func revokedAlready() *problem.Error {
	return problem.New(problem.Conflict, "This key has been revoked.").WithNext("Make a new one.")
}
