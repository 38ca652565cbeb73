-- name: LastAudit :one
SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1;

-- name: InsertAudit :exec
INSERT INTO audit (seq, at, actor_kind, actor_id, actor_name, ip, action, resource_type, resource_id, resource_name, workspace_id, outcome, times, policies, detail, previous_hash, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);

-- name: AuditAfter :many
SELECT seq, at, actor_kind, actor_id, actor_name, ip, action, resource_type, resource_id, resource_name, workspace_id, outcome, times, policies, detail, previous_hash, hash
FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2;
