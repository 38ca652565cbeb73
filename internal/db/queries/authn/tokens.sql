-- name: InsertRefreshFamily :exec
INSERT INTO refresh_family (session_id, seed, generation, token_hash, former_hash, rotated_at, expires_at) VALUES (sqlc.arg(session_id), sqlc.arg(seed), 1, sqlc.arg(token_hash), '', sqlc.arg(now), sqlc.arg(expires_at));

-- name: GetRefreshFamily :one
SELECT f.session_id, f.seed, f.generation, f.token_hash, f.former_hash, f.rotated_at, f.expires_at, s.account_id, s.created_at AS session_created_at, s.expires_at AS session_expires_at
FROM refresh_family f JOIN session s ON s.id = f.session_id WHERE f.session_id = $1;

-- name: RotateRefreshFamily :execrows
UPDATE refresh_family SET generation = generation + 1, former_hash = token_hash, token_hash = sqlc.arg(token_hash), rotated_at = sqlc.arg(now), expires_at = sqlc.arg(expires_at)
WHERE session_id = sqlc.arg(session_id) AND generation = sqlc.arg(generation);
