-- name: InsertSession :exec
INSERT INTO session (id, account_id, method, ip, user_agent, created_at, seen_at, expires_at, proven_at, strong, workspace_id, program) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $11, $8, $9, $10);

-- name: GetSession :one
SELECT id, account_id, method, ip, user_agent, created_at, seen_at, expires_at, workspace_id, proven_at, strong, program FROM session WHERE id = $1;

-- name: LiveSessions :many
SELECT id, account_id, method, ip, user_agent, created_at, seen_at, expires_at, workspace_id, proven_at, strong, program FROM session WHERE expires_at > $1;

-- name: SessionsOf :many
SELECT id, account_id, method, ip, user_agent, created_at, seen_at, expires_at, workspace_id, proven_at, strong, program FROM session WHERE account_id = $1 ORDER BY seen_at DESC, id LIMIT 200;

-- name: SessionIDsOf :many
SELECT id FROM session WHERE account_id = $1;

-- name: TouchSession :exec
UPDATE session SET seen_at = $2 WHERE id = $1 AND seen_at < $2;

-- name: DeleteSession :execrows
DELETE FROM session WHERE id = $1;

-- name: ExpiredSessions :many
SELECT id FROM session WHERE expires_at <= sqlc.arg(now) OR (seen_at <= sqlc.arg(idle_since) AND NOT program) LIMIT 500;

-- name: InsertSessionCookie :exec
INSERT INTO session_cookie (token_hash, session_id, audience, created_at) VALUES ($1, $2, $3, $4);

-- name: CookiesOfSession :many
SELECT token_hash, audience FROM session_cookie WHERE session_id = $1 ORDER BY created_at;

-- name: AllCookies :many
SELECT token_hash, session_id, audience FROM session_cookie;

-- name: DeleteSessionCookies :exec
DELETE FROM session_cookie WHERE session_id = $1 AND audience = $2;

-- name: SetSessionWorkspace :execrows
UPDATE session SET workspace_id = $2 WHERE id = $1;

-- name: ProveSession :execrows
UPDATE session SET proven_at = sqlc.arg(now), strong = (strong OR CAST(sqlc.arg(strong) AS boolean)) WHERE id = sqlc.arg(id);

-- name: WeakenSessions :exec
UPDATE session SET strong = FALSE WHERE account_id = $1;

-- name: DeleteSessionsOfAccount :exec
DELETE FROM session WHERE account_id = $1;

-- name: ExtendSession :exec
UPDATE session SET expires_at = sqlc.arg(expires_at), seen_at = sqlc.arg(now) WHERE id = sqlc.arg(id);

-- name: DeleteAllSessions :execrows
DELETE FROM session;
