-- Tables of other packages; read only.

-- name: GetAccount :one
SELECT id, email, username, name, password_hash, superuser, active, generation, created_at, updated_at, last_sign_in_at, waiting, email_verified_at, preferences FROM account WHERE id = $1;
