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

-- name: InsertPending :exec
INSERT INTO pending (token_hash, purpose, subject, data_sealed, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6);

-- name: GetPending :one
SELECT token_hash, purpose, subject, data_sealed, created_at, expires_at FROM pending WHERE token_hash = $1 AND purpose = $2;

-- name: SetPending :execrows
UPDATE pending SET subject = $3, data_sealed = $4 WHERE token_hash = $1 AND purpose = $2;

-- name: DeletePending :execrows
DELETE FROM pending WHERE token_hash = $1 AND purpose = $2;

-- name: PrunePending :execrows
DELETE FROM pending WHERE expires_at < $1;

-- name: CountPending :one
SELECT COUNT(*) FROM pending WHERE purpose = sqlc.arg(purpose) AND subject = sqlc.arg(subject) AND expires_at > sqlc.arg(now);
