-- name: AccountsOfApp :many
SELECT app_id, upstream_id, workspace_id, person_id, username, adopted, secret_sealed, created_at FROM builder_account WHERE app_id = $1 ORDER BY adopted, created_at, upstream_id;

-- name: GetBuilderAccount :one
SELECT app_id, upstream_id, workspace_id, person_id, username, adopted, secret_sealed, created_at FROM builder_account WHERE app_id = $1 AND upstream_id = $2;

-- name: OwnBuilderAccount :one
SELECT app_id, upstream_id, workspace_id, person_id, username, adopted, secret_sealed, created_at FROM builder_account
WHERE app_id = $1 AND workspace_id = $2 AND person_id = $3 AND NOT adopted;

-- name: InsertBuilderAccount :execrows
INSERT INTO builder_account (app_id, upstream_id, workspace_id, person_id, username, adopted, secret_sealed, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING;

-- name: UpdateBuilderAccount :exec
UPDATE builder_account SET username = $3, secret_sealed = $4 WHERE app_id = $1 AND upstream_id = $2;

-- name: DeleteBuilderAccount :execrows
DELETE FROM builder_account WHERE app_id = $1 AND upstream_id = $2;

-- name: ObjectsOfAccount :many
SELECT object_id FROM object WHERE app_id = $1 AND upstream_id = $2 AND upstream_id <> '' ORDER BY object_id;

-- name: SetAppBridge :exec
UPDATE app SET owner_sealed = $2, bridge_mode = $3, per_person = $4, updated_at = $5 WHERE id = $1;
