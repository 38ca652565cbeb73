-- name: InsertInvitation :exec
INSERT INTO invitation (id, workspace_id, email, email_key, role, invited_by, created_at, expires_at, accepted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0);

-- name: GetInvitation :one
SELECT id, workspace_id, email, role, invited_by, created_at, expires_at, accepted_at FROM invitation WHERE id = $1;

-- name: InvitationsOf :many
SELECT id, workspace_id, email, role, invited_by, created_at, expires_at, accepted_at FROM invitation WHERE workspace_id = $1 AND accepted_at = 0 ORDER BY created_at DESC LIMIT 500;

-- name: AcceptInvitation :execrows
UPDATE invitation SET accepted_at = sqlc.arg(now) WHERE id = sqlc.arg(id) AND accepted_at = 0 AND expires_at > sqlc.arg(now);

-- name: RenewInvitation :execrows
UPDATE invitation SET expires_at = $2 WHERE id = $1 AND accepted_at = 0;

-- name: DeleteInvitation :execrows
DELETE FROM invitation WHERE id = $1;

-- name: DropInvitationsFor :exec
DELETE FROM invitation WHERE workspace_id = $1 AND email_key = $2 AND accepted_at = 0;

-- name: InvitationsFor :many
SELECT id, workspace_id, email, role, invited_by, created_at, expires_at, accepted_at FROM invitation
WHERE email_key = sqlc.arg(email_key) AND accepted_at = 0 AND expires_at > sqlc.arg(now) ORDER BY created_at LIMIT 50;
