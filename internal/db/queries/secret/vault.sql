-- name: InsertCredential :exec
INSERT INTO credential (id, workspace_id, name, name_key, kind, fields, data_sealed, roles, created_by, created_at, updated_at, rotated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $10);

-- name: GetCredential :one
SELECT * FROM credential WHERE id = $1 AND workspace_id = $2;

-- name: CredentialsIn :many
SELECT * FROM credential WHERE workspace_id = $1 ORDER BY name_key LIMIT 1000;

-- name: CountCredentialsIn :one
SELECT count(*) FROM credential WHERE workspace_id = $1;

-- name: UpdateCredential :execrows
UPDATE credential SET name = $3, name_key = $4, roles = $5, updated_at = $6 WHERE id = $1 AND workspace_id = $2;

-- name: RotateCredential :execrows
UPDATE credential SET data_sealed = sqlc.arg(data_sealed), rotated_at = sqlc.arg(rotated_at), updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND workspace_id = sqlc.arg(workspace_id) AND rotated_at = sqlc.arg(former);

-- name: DeleteCredential :execrows
DELETE FROM credential WHERE id = $1 AND workspace_id = $2;

-- name: InsertCredentialUse :exec
INSERT INTO credential_use (credential_id, app_id, object_id, created_by, created_at, current) VALUES ($1, $2, $3, $4, $5, FALSE);

-- name: UsesOfCredential :many
SELECT * FROM credential_use WHERE credential_id = $1 ORDER BY created_at, app_id;

-- name: UsesIn :many
SELECT u.* FROM credential_use u JOIN credential c ON c.id = u.credential_id WHERE c.workspace_id = $1 ORDER BY u.created_at, u.app_id;

-- name: StaleUsesOfApp :many
SELECT u.*, c.workspace_id FROM credential_use u JOIN credential c ON c.id = u.credential_id WHERE u.app_id = $1 AND u.current = FALSE ORDER BY u.created_at LIMIT 1000;

-- name: OutdateUses :exec
UPDATE credential_use SET current = FALSE WHERE credential_id = $1;

-- name: MarkUse :execrows
UPDATE credential_use SET object_id = sqlc.arg(object_id), current = EXISTS (SELECT 1 FROM credential c WHERE c.id = credential_use.credential_id AND c.rotated_at = sqlc.arg(version))
WHERE credential_use.credential_id = sqlc.arg(credential_id) AND credential_use.app_id = sqlc.arg(app_id);

-- name: GetCredentialUse :one
SELECT * FROM credential_use WHERE credential_id = $1 AND app_id = $2;

-- name: DeleteCredentialUse :execrows
DELETE FROM credential_use WHERE credential_id = $1 AND app_id = $2;
