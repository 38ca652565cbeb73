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

-- name: PublishFlow :exec
INSERT INTO published_flow (app_id, flow_id, created_at, created_by) VALUES ($1, $2, $3, $4) ON CONFLICT (app_id, flow_id) DO NOTHING;

-- name: UnpublishFlow :execrows
DELETE FROM published_flow WHERE app_id = $1 AND flow_id = $2;

-- name: PublishedFlows :many
SELECT app_id, flow_id, created_at, created_by FROM published_flow WHERE app_id = $1 ORDER BY created_at, flow_id;
