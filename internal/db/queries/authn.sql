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

-- name: InsertTicket :exec
INSERT INTO ticket (token_hash, purpose, subject, audience, created_at, expires_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, 0);

-- name: GetTicket :one
SELECT token_hash, purpose, subject, audience, created_at, expires_at, used_at FROM ticket WHERE token_hash = $1 AND purpose = $2;

-- name: UseTicket :execrows
UPDATE ticket SET used_at = sqlc.arg(now) WHERE token_hash = sqlc.arg(token_hash) AND purpose = sqlc.arg(purpose) AND used_at = 0 AND expires_at > sqlc.arg(now);

-- name: DropTickets :exec
DELETE FROM ticket WHERE purpose = $1 AND subject = $2;

-- name: PruneTickets :execrows
DELETE FROM ticket WHERE expires_at < $1;

-- name: GetGuess :one
SELECT subject, failures, last_at FROM guess WHERE subject = $1;

-- name: AddGuess :one
INSERT INTO guess (subject, failures, last_at) VALUES (sqlc.arg(subject), 1, sqlc.arg(now))
ON CONFLICT (subject) DO UPDATE SET
    failures = CASE WHEN guess.last_at < sqlc.arg(forget_before) THEN 1 ELSE guess.failures + 1 END,
    last_at = excluded.last_at
RETURNING failures;

-- name: ClearGuess :exec
DELETE FROM guess WHERE subject = $1;

-- name: PruneGuesses :execrows
DELETE FROM guess WHERE last_at < $1;

-- name: ForgiveGuess :exec
UPDATE guess SET failures = failures - 1 WHERE subject = $1 AND failures > 0;

-- name: SetSessionWorkspace :execrows
UPDATE session SET workspace_id = $2 WHERE id = $1;

-- name: TicketsOf :many
SELECT token_hash, purpose, subject, audience, created_at, expires_at, used_at FROM ticket WHERE purpose = $1 AND subject = $2;

-- name: ProveSession :execrows
UPDATE session SET proven_at = sqlc.arg(now), strong = (strong OR CAST(sqlc.arg(strong) AS boolean)) WHERE id = sqlc.arg(id);

-- name: WeakenSessions :exec
UPDATE session SET strong = FALSE WHERE account_id = $1;

-- name: InsertPending :exec
INSERT INTO pending (token_hash, purpose, subject, data_sealed, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6);

-- name: GetPending :one
SELECT token_hash, purpose, subject, data_sealed, created_at, expires_at FROM pending WHERE token_hash = $1 AND purpose = $2;

-- name: SetPending :execrows
UPDATE pending SET subject = $3, data_sealed = $4 WHERE token_hash = $1 AND purpose = $2;

-- name: DeletePending :execrows
DELETE FROM pending WHERE token_hash = $1 AND purpose = $2;

-- name: DropPending :exec
DELETE FROM pending WHERE purpose = $1 AND subject = $2;

-- name: PrunePending :execrows
DELETE FROM pending WHERE expires_at < $1;
