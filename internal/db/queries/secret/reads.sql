-- Tables of other packages; read only.

-- name: LiveAPIKeysBefore :one
SELECT COUNT(*) FROM api_key WHERE revoked_at = 0 AND created_at <= sqlc.arg(created_at) AND (expires_at = 0 OR expires_at > sqlc.arg(now));
