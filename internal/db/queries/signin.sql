-- name: CountTOTP :one
SELECT COUNT(*) FROM totp WHERE account_id = $1;

-- name: CountPasskeys :one
SELECT COUNT(*) FROM passkey WHERE account_id = $1;

-- name: InvitationsFor :many
SELECT id, workspace_id, email, role, invited_by, created_at, expires_at, accepted_at FROM invitation
WHERE email_key = sqlc.arg(email_key) AND accepted_at = 0 AND expires_at > sqlc.arg(now) ORDER BY created_at LIMIT 50;

-- name: InsertProviderSession :exec
INSERT INTO provider_session (session_id, provider_id, subject, sid, id_token_sealed) VALUES ($1, $2, $3, $4, $5);
