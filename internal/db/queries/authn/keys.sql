-- name: InsertImportedKey :exec
INSERT INTO api_key (
    id, account_id, workspace_id, name, prefix, key_hash, former_hash, former_until, scope, networks, per_minute, per_day,
    created_by, created_at, updated_at, issued_at, expires_at, revoked_at, last_used_at, last_used_ip, imported
) VALUES ($1, $2, $3, $4, $5, $6, '', 0, $7, '', 0, 0, $2, $8, $9, $9, $10, 0, 0, '', $11);

-- name: InsertKey :exec
INSERT INTO api_key (
    id, account_id, workspace_id, name, prefix, key_hash, former_hash, former_until, scope, networks, per_minute, per_day,
    created_by, created_at, updated_at, issued_at, expires_at, revoked_at, last_used_at, last_used_ip
) VALUES ($1, $2, $3, $4, $5, $6, '', 0, $7, $8, $9, $10, $11, $12, $12, $12, $13, 0, 0, '');

-- name: GetKey :one
SELECT * FROM api_key WHERE id = $1;

-- name: KeysOf :many
SELECT * FROM api_key WHERE account_id = $1 ORDER BY created_at DESC, id LIMIT 1000;

-- name: KeysIn :many
SELECT * FROM api_key WHERE workspace_id = $1 ORDER BY created_at DESC, id LIMIT 5000;

-- name: LoadKeys :many
SELECT id, account_id, workspace_id, key_hash, former_hash, former_until, scope, networks, per_minute, per_day, issued_at, expires_at, revoked_at, last_used_at FROM api_key
WHERE id > $1 ORDER BY id LIMIT 10000;

-- name: CountLiveKeys :one
SELECT count(*) FROM api_key WHERE account_id = sqlc.arg(account_id) AND revoked_at = 0 AND (expires_at = 0 OR expires_at > sqlc.arg(now));

-- name: UpdateKey :execrows
UPDATE api_key SET name = $2, scope = $3, networks = $4, per_minute = $5, per_day = $6, expires_at = $7, updated_at = $8 WHERE id = $1 AND revoked_at = 0;

-- name: RotateKey :execrows
UPDATE api_key SET former_hash = key_hash, former_until = sqlc.arg(former_until), key_hash = sqlc.arg(key_hash), prefix = sqlc.arg(prefix),
    issued_at = sqlc.arg(now), updated_at = sqlc.arg(now), expires_at = sqlc.arg(expires_at), imported = ''
WHERE id = sqlc.arg(id) AND revoked_at = 0 AND key_hash = sqlc.arg(old_hash);

-- name: RevokeKey :execrows
UPDATE api_key SET revoked_at = sqlc.arg(now), updated_at = sqlc.arg(now) WHERE id = sqlc.arg(id) AND revoked_at = 0;

-- name: TouchKey :exec
UPDATE api_key SET last_used_at = sqlc.arg(used_at), last_used_ip = sqlc.arg(ip) WHERE id = sqlc.arg(id) AND last_used_at < sqlc.arg(used_at);

-- name: OldKeys :many
SELECT id FROM api_key WHERE (revoked_at > 0 AND revoked_at < sqlc.arg(before)) OR (expires_at > 0 AND expires_at < sqlc.arg(before)) LIMIT 500;

-- name: DeleteKey :execrows
DELETE FROM api_key WHERE id = $1;

-- name: ReserveUsage :one
INSERT INTO api_key_usage (key_id, span, window_start, reserved) VALUES (sqlc.arg(key_id), sqlc.arg(span), sqlc.arg(window_start), sqlc.arg(portion))
ON CONFLICT (key_id, span, window_start) DO UPDATE SET reserved = api_key_usage.reserved + excluded.reserved
    WHERE api_key_usage.reserved + excluded.reserved <= CAST(sqlc.arg(most) AS BIGINT)
RETURNING reserved;

-- name: GetUsage :one
SELECT reserved FROM api_key_usage WHERE key_id = $1 AND span = $2 AND window_start = $3;

-- name: ReturnUsage :exec
UPDATE api_key_usage SET reserved = reserved - sqlc.arg(portion) WHERE key_id = sqlc.arg(key_id) AND span = sqlc.arg(span) AND window_start = sqlc.arg(window_start) AND reserved >= sqlc.arg(portion);

-- name: PruneUsage :exec
DELETE FROM api_key_usage WHERE span = $1 AND window_start < $2;
