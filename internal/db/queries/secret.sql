-- name: SigningKeys :many
SELECT kid, algorithm, key_sealed, created_at, retired_at FROM signing_key ORDER BY created_at DESC, kid;

-- name: InsertSigningKey :exec
INSERT INTO signing_key (kid, algorithm, key_sealed, created_at, retired_at) VALUES ($1, $2, $3, $4, 0);

-- name: RetireSigningKey :exec
UPDATE signing_key SET key_sealed = $2, retired_at = $3 WHERE kid = $1 AND retired_at = 0;

-- name: PruneSigningKeys :exec
DELETE FROM signing_key WHERE retired_at > 0 AND retired_at <= $1;
