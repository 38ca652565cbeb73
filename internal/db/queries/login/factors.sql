-- name: GetTOTP :one
SELECT account_id, secret_sealed, last_step, created_at, used_at FROM totp WHERE account_id = $1;

-- name: PutTOTP :exec
INSERT INTO totp (account_id, secret_sealed, last_step, created_at, used_at) VALUES (sqlc.arg(account_id), sqlc.arg(secret_sealed), sqlc.arg(last_step), sqlc.arg(now), sqlc.arg(now))
ON CONFLICT (account_id) DO UPDATE SET secret_sealed = excluded.secret_sealed, last_step = excluded.last_step, created_at = excluded.created_at, used_at = excluded.used_at;

-- name: SpendTOTP :execrows
UPDATE totp SET last_step = sqlc.arg(step), used_at = sqlc.arg(now) WHERE account_id = sqlc.arg(account_id) AND last_step < sqlc.arg(step);

-- name: DeleteTOTP :execrows
DELETE FROM totp WHERE account_id = $1;

-- name: InsertPasskey :exec
INSERT INTO passkey (id, account_id, rp, name, credential, created_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, 0);

-- name: PasskeysOf :many
SELECT id, account_id, rp, name, credential, created_at, used_at FROM passkey WHERE account_id = $1 ORDER BY created_at, id;

-- name: GetPasskey :one
SELECT id, account_id, rp, name, credential, created_at, used_at FROM passkey WHERE id = $1 AND account_id = $2;

-- name: UsePasskey :execrows
UPDATE passkey SET credential = sqlc.arg(credential), used_at = sqlc.arg(now) WHERE id = sqlc.arg(id) AND account_id = sqlc.arg(account_id) AND credential = sqlc.arg(former);

-- name: RenamePasskey :execrows
UPDATE passkey SET name = $3 WHERE id = $1 AND account_id = $2;

-- name: DeletePasskey :execrows
DELETE FROM passkey WHERE id = $1 AND account_id = $2;

-- name: DeletePasskeysOf :execrows
DELETE FROM passkey WHERE account_id = $1;

-- name: PutRecoveryKey :exec
INSERT INTO recovery_key (account_id, key_sealed, created_at) VALUES ($1, $2, $3)
ON CONFLICT (account_id) DO UPDATE SET key_sealed = excluded.key_sealed, created_at = excluded.created_at;

-- name: GetRecoveryKey :one
SELECT account_id, key_sealed, created_at FROM recovery_key WHERE account_id = $1;

-- name: DeleteRecoveryKey :exec
DELETE FROM recovery_key WHERE account_id = $1;

-- name: InsertRecoveryCode :exec
INSERT INTO recovery_code (account_id, code_hash, created_at, used_at) VALUES ($1, $2, $3, 0);

-- name: SpendRecoveryCode :execrows
UPDATE recovery_code SET used_at = sqlc.arg(now) WHERE account_id = sqlc.arg(account_id) AND code_hash = sqlc.arg(code_hash) AND used_at = 0;

-- name: CountRecoveryCodes :one
SELECT COUNT(*) FROM recovery_code WHERE account_id = $1 AND used_at = 0;

-- name: DeleteRecoveryCodes :exec
DELETE FROM recovery_code WHERE account_id = $1;

-- name: CountTOTP :one
SELECT COUNT(*) FROM totp WHERE account_id = $1;

-- name: CountPasskeys :one
SELECT COUNT(*) FROM passkey WHERE account_id = $1;
