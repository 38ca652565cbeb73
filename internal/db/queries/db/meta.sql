-- name: GetMeta :one
SELECT value FROM meta WHERE name = $1;

-- name: PutMeta :exec
INSERT INTO meta (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: PutMetaIfAbsent :exec
INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING;

-- name: DeleteMeta :exec
DELETE FROM meta WHERE name = $1;
