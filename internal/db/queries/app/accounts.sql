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

-- name: ImportAccount :execrows
INSERT INTO builder_account (app_id, upstream_id, workspace_id, person_id, username, adopted, secret_sealed, created_at)
VALUES ($1, $2, $3, $4, $5, TRUE, '', $6) ON CONFLICT (app_id, upstream_id) DO NOTHING;

-- name: RebindAccount :execrows
UPDATE builder_account SET workspace_id = sqlc.arg(workspace_id), person_id = sqlc.arg(person_id)
WHERE app_id = sqlc.arg(app_id) AND upstream_id = sqlc.arg(upstream_id) AND adopted AND workspace_id = sqlc.arg(former_workspace) AND person_id = '';
