-- Tables of other packages; read only.

-- name: GetAccount :one
SELECT id, email, username, name, password_hash, superuser, active, generation, created_at, updated_at, last_sign_in_at, waiting, email_verified_at, preferences FROM account WHERE id = $1;

-- name: MembershipsOf :many
SELECT workspace_id, role FROM membership WHERE account_id = $1 ORDER BY workspace_id;

-- name: CountMembersWithoutFactor :one
SELECT COUNT(*) FROM membership m JOIN account a ON a.id = m.account_id
WHERE m.workspace_id = $1 AND a.active = TRUE
  AND NOT EXISTS (SELECT 1 FROM totp t WHERE t.account_id = m.account_id)
  AND NOT EXISTS (SELECT 1 FROM passkey p WHERE p.account_id = m.account_id);
