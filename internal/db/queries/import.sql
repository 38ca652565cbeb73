-- name: ImportOrigins :many
SELECT kind, origin_id, target_id FROM import_origin;

-- name: InsertImportOrigin :exec
INSERT INTO import_origin (kind, origin_id, target_id, created_at) VALUES ($1, $2, $3, $4);

-- name: PutImportOrigin :exec
INSERT INTO import_origin (kind, origin_id, target_id, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, origin_id) DO UPDATE SET target_id = excluded.target_id, created_at = excluded.created_at;

-- name: InsertImportedKey :exec
INSERT INTO api_key (
    id, account_id, workspace_id, name, prefix, key_hash, former_hash, former_until, scope, networks, per_minute, per_day,
    created_by, created_at, updated_at, issued_at, expires_at, revoked_at, last_used_at, last_used_ip, imported
) VALUES ($1, $2, $3, $4, $5, $6, '', 0, $7, '', 0, 0, $2, $8, $9, $9, $10, 0, 0, '', $11);

-- name: ImportNames :many
SELECT id, username, username_key, COALESCE(email_key, '') AS email_key, superuser FROM account;

-- name: CredentialNames :many
SELECT workspace_id, name_key FROM credential;

-- name: LiveKeyCounts :many
SELECT account_id, count(*) AS live FROM api_key WHERE revoked_at = 0 AND (expires_at = 0 OR expires_at > sqlc.arg(now)) GROUP BY account_id;

-- name: ImportAccounts :many
SELECT upstream_id, workspace_id, person_id, username, adopted FROM builder_account WHERE app_id = $1;

-- name: ImportAccount :execrows
INSERT INTO builder_account (app_id, upstream_id, workspace_id, person_id, username, adopted, secret_sealed, created_at)
VALUES ($1, $2, $3, $4, $5, TRUE, '', $6) ON CONFLICT (app_id, upstream_id) DO NOTHING;

-- name: PlaceObject :execrows
UPDATE object SET workspace_id = sqlc.arg(workspace_id), owner_id = sqlc.arg(owner_id), upstream_id = sqlc.arg(upstream_id), updated_at = sqlc.arg(now)
WHERE app_id = sqlc.arg(app_id) AND object_id = sqlc.arg(object_id) AND workspace_id = sqlc.arg(former_workspace) AND owner_id = '';

-- name: RebindAccount :execrows
UPDATE builder_account SET workspace_id = sqlc.arg(workspace_id), person_id = sqlc.arg(person_id)
WHERE app_id = sqlc.arg(app_id) AND upstream_id = sqlc.arg(upstream_id) AND adopted AND workspace_id = sqlc.arg(former_workspace) AND person_id = '';

-- name: ForeignPasswords :many
SELECT DISTINCT CAST(substr(password_hash, 1, 16) AS TEXT) AS head FROM account WHERE active AND substr(password_hash, 1, 9) = 'bcrypt72+';
