-- name: InsertAccount :exec
INSERT INTO account (id, email, email_key, username, username_key, name, password_hash, superuser, active, generation, created_at, updated_at, last_sign_in_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $10, 0);

-- name: GetAccount :one
SELECT id, email, username, name, password_hash, superuser, active, generation, created_at, updated_at, last_sign_in_at, waiting, email_verified_at, preferences FROM account WHERE id = $1;

-- name: FindAccount :one
SELECT id, email, username, name, password_hash, superuser, active, generation, created_at, updated_at, last_sign_in_at, waiting, email_verified_at, preferences FROM account
WHERE email_key = CAST(sqlc.arg(login_key) AS text) OR username_key = CAST(sqlc.arg(login_key) AS text)
ORDER BY CASE WHEN email_key = CAST(sqlc.arg(login_key) AS text) THEN 0 ELSE 1 END LIMIT 1;

-- name: AllAccounts :many
SELECT id, email, username, name, superuser, active, generation FROM account;

-- name: ListAccounts :many
SELECT a.id, a.email, a.username, a.name, a.password_hash, a.superuser, a.active, a.generation, a.created_at, a.updated_at, a.last_sign_in_at, a.waiting, a.email_verified_at, a.preferences, COALESCE(m.role, '') AS role
FROM account a LEFT JOIN membership m ON m.account_id = a.id AND m.workspace_id = sqlc.arg(workspace_id)
WHERE CAST(sqlc.arg(pattern) AS text) = '' OR COALESCE(a.email_key, '') LIKE sqlc.arg(pattern) ESCAPE '!' OR a.username_key LIKE sqlc.arg(pattern) ESCAPE '!' OR lower(a.name) LIKE sqlc.arg(pattern) ESCAPE '!'
ORDER BY a.waiting DESC, a.username_key LIMIT sqlc.arg(row_limit) OFFSET sqlc.arg(row_offset);

-- name: CountAccounts :one
SELECT COUNT(*) FROM account a
WHERE CAST(sqlc.arg(pattern) AS text) = '' OR COALESCE(a.email_key, '') LIKE sqlc.arg(pattern) ESCAPE '!' OR a.username_key LIKE sqlc.arg(pattern) ESCAPE '!' OR lower(a.name) LIKE sqlc.arg(pattern) ESCAPE '!';

-- name: CountActiveSuperusers :one
SELECT COUNT(*) FROM account WHERE superuser = TRUE AND active = TRUE;

-- name: SetAccountSuperuser :exec
UPDATE account SET superuser = $2, generation = generation + 1, updated_at = $3 WHERE id = $1;

-- name: SetAccountActive :exec
UPDATE account SET active = $2, generation = generation + 1, updated_at = $3 WHERE id = $1;

-- name: SetAccountPassword :exec
UPDATE account SET password_hash = $2, updated_at = $3 WHERE id = $1;

-- name: UpgradeAccountPassword :execrows
UPDATE account SET password_hash = sqlc.arg(new_hash) WHERE id = sqlc.arg(id) AND password_hash = sqlc.arg(old_hash);

-- name: UpdateAccountNames :exec
UPDATE account SET email = $2, email_key = $3, username = $4, username_key = $5, name = $6, generation = generation + 1, updated_at = $7 WHERE id = $1;

-- name: BumpAccount :exec
UPDATE account SET generation = generation + 1, updated_at = $2 WHERE id = $1;

-- name: SetPreferences :exec
UPDATE account SET preferences = $2, updated_at = $3 WHERE id = $1;

-- name: TouchSignIn :exec
UPDATE account SET last_sign_in_at = $2 WHERE id = $1;

-- name: ForeignPasswords :many
SELECT DISTINCT CAST(substr(password_hash, 1, 16) AS TEXT) AS head FROM account WHERE active AND substr(password_hash, 1, 9) = 'bcrypt72+';

-- name: DeleteAccount :execrows
DELETE FROM account WHERE id = $1;

-- name: SetAccountWaiting :exec
UPDATE account SET waiting = $2, updated_at = $3 WHERE id = $1;

-- name: SetEmailVerified :exec
UPDATE account SET email_verified_at = $2 WHERE id = $1;

-- name: ChangeEmail :exec
UPDATE account SET email = $2, email_key = $3, email_verified_at = $4, generation = generation + 1, updated_at = $4 WHERE id = $1;
