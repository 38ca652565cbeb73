-- name: SetAppBridge :exec
UPDATE app SET owner_sealed = $2, bridge_mode = $3, per_person = $4, updated_at = $5 WHERE id = $1;

-- name: InsertApp :exec
INSERT INTO app (id, workspace_id, slug, name, kind, version, upstream_url, public_url, port, owner_sealed, verified_at, created_at, updated_at, mode)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 0, $10, $10, $11);

-- name: AllApps :many
SELECT id, workspace_id, slug, name, kind, version, upstream_url, public_url, port, owner_sealed, verified_at, created_at, updated_at, mode, seen_at, bridge_mode, per_person FROM app ORDER BY created_at, id;

-- name: GetApp :one
SELECT id, workspace_id, slug, name, kind, version, upstream_url, public_url, port, owner_sealed, verified_at, created_at, updated_at, mode, seen_at, bridge_mode, per_person FROM app WHERE id = $1;

-- name: UpdateAppIdentity :exec
UPDATE app SET kind = $2, version = $3, updated_at = $4 WHERE id = $1;

-- name: UpdateAppAddress :exec
UPDATE app SET public_url = $2, port = $3, updated_at = $4 WHERE id = $1;

-- name: SetAppOwner :exec
UPDATE app SET owner_sealed = $2, updated_at = $3 WHERE id = $1;

-- name: SetAppVerified :exec
UPDATE app SET verified_at = $2 WHERE id = $1;

-- name: SetAppSeen :exec
UPDATE app SET seen_at = $2 WHERE id = $1 AND seen_at < $2;

-- name: DeleteApp :execrows
DELETE FROM app WHERE id = $1;

-- name: MarkAdopted :exec
INSERT INTO adoption (app_id, adopted_at) VALUES ($1, $2) ON CONFLICT (app_id) DO NOTHING;

-- name: AdoptedAt :one
SELECT adopted_at FROM adoption WHERE app_id = $1;

-- name: OfferApp :exec
INSERT INTO app_workspace (app_id, workspace_id) VALUES ($1, $2) ON CONFLICT (app_id, workspace_id) DO NOTHING;

-- name: WithdrawApp :execrows
DELETE FROM app_workspace WHERE app_id = $1 AND workspace_id = $2;

-- name: WorkspacesOfApp :many
SELECT workspace_id FROM app_workspace WHERE app_id = $1 ORDER BY workspace_id;
