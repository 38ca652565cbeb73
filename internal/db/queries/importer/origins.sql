-- name: ImportOrigins :many
SELECT kind, origin_id, target_id FROM import_origin;

-- name: InsertImportOrigin :exec
INSERT INTO import_origin (kind, origin_id, target_id, created_at) VALUES ($1, $2, $3, $4);

-- name: PutImportOrigin :exec
INSERT INTO import_origin (kind, origin_id, target_id, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, origin_id) DO UPDATE SET target_id = excluded.target_id, created_at = excluded.created_at;
