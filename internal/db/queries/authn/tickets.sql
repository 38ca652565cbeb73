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

-- name: TicketsOf :many
SELECT token_hash, purpose, subject, audience, created_at, expires_at, used_at FROM ticket WHERE purpose = $1 AND subject = $2;
