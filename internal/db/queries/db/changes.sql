-- name: AppendChange :exec
INSERT INTO change (seq, kind, item, at)
SELECT COALESCE(MAX(seq), 0) + 1, CAST(sqlc.arg(kind) AS text), CAST(sqlc.arg(item) AS text), CAST(sqlc.arg(at) AS bigint) FROM change;

-- name: LastChange :one
SELECT CAST(COALESCE(MAX(seq), 0) AS bigint) AS seq FROM change;

-- name: ChangesAfter :many
SELECT seq, kind, item FROM change WHERE seq > $1 ORDER BY seq LIMIT 1000;

-- name: PruneChanges :execrows
DELETE FROM change WHERE change.at < $1 AND change.seq < (SELECT MAX(c.seq) FROM change c);
