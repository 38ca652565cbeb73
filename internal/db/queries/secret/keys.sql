-- name: SigningKeys :many
SELECT kid, algorithm, key_sealed, created_at, retired_at FROM signing_key ORDER BY created_at DESC, kid;

-- name: InsertSigningKey :exec
INSERT INTO signing_key (kid, algorithm, key_sealed, created_at, retired_at) VALUES ($1, $2, $3, $4, 0);

-- name: RetireSigningKey :exec
UPDATE signing_key SET key_sealed = $2, retired_at = $3 WHERE kid = $1 AND retired_at = 0;

-- name: PruneSigningKeys :exec
DELETE FROM signing_key WHERE retired_at > 0 AND retired_at <= $1;

-- name: SecretKeys :many
SELECT name, kid, source, key_sealed, created_at, retired_at FROM secret_key ORDER BY name, retired_at, kid;

-- name: PutSecretKey :exec
INSERT INTO secret_key (name, kid, source, key_sealed, created_at, retired_at) VALUES ($1, $2, $3, $4, $5, 0)
ON CONFLICT (name, kid) DO UPDATE SET source = excluded.source, retired_at = 0;

-- name: RetireSecretKeys :exec
UPDATE secret_key SET retired_at = $3 WHERE name = $1 AND kid <> $2 AND retired_at = 0;

-- name: DeleteSecretKey :exec
DELETE FROM secret_key WHERE name = $1 AND kid = $2;
