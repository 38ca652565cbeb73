-- name: InsertMail :exec
INSERT INTO mail (id, kind, recipient, recipient_name, subject, body_sealed, state, attempts, trouble, last_error, lease, created_at, due_at, give_up_at, finished_at)
VALUES (sqlc.arg(id), sqlc.arg(kind), sqlc.arg(recipient), sqlc.arg(recipient_name), sqlc.arg(subject), sqlc.arg(body_sealed), 'waiting', 0, '', '', '',
    sqlc.arg(now), sqlc.arg(now), sqlc.arg(give_up_at), 0);

-- name: CountWaitingMail :one
SELECT count(*) FROM mail WHERE state IN ('waiting', 'sending');

-- name: CountFailedMail :one
SELECT count(*) FROM mail WHERE state = 'failed';

-- name: ClaimMail :one
-- The conditions are said twice: on PostgreSQL the outer ones are judged again when another node has taken the row in between.
UPDATE mail SET state = 'sending', attempts = attempts + 1, lease = sqlc.arg(lease), due_at = sqlc.arg(lease_until)
WHERE id = (SELECT m.id FROM mail m WHERE m.state IN ('waiting', 'sending') AND m.due_at <= sqlc.arg(now) ORDER BY m.due_at, m.id LIMIT 1)
    AND state IN ('waiting', 'sending') AND due_at <= sqlc.arg(now)
RETURNING id, kind, recipient, recipient_name, subject, body_sealed, attempts, created_at, give_up_at;

-- name: FinishMail :execrows
UPDATE mail SET state = sqlc.arg(state), body_sealed = CASE WHEN CAST(sqlc.arg(wipe) AS boolean) THEN '' ELSE body_sealed END, trouble = sqlc.arg(trouble),
    last_error = sqlc.arg(last_error), lease = '', finished_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) AND state = 'sending' AND lease = sqlc.arg(lease);

-- name: PostponeMail :execrows
UPDATE mail SET state = 'waiting', trouble = sqlc.arg(trouble), last_error = sqlc.arg(last_error), lease = '', due_at = sqlc.arg(due_at)
WHERE id = sqlc.arg(id) AND state = 'sending' AND lease = sqlc.arg(lease);

-- name: HastenMail :execrows
UPDATE mail SET due_at = sqlc.arg(now) WHERE state = 'waiting' AND trouble NOT IN ('', 'later') AND due_at > sqlc.arg(now);

-- name: RetryMail :execrows
UPDATE mail SET state = 'waiting', due_at = sqlc.arg(now), give_up_at = sqlc.arg(give_up_at), finished_at = 0
WHERE id = sqlc.arg(id) AND state IN ('waiting', 'failed') AND body_sealed <> '';

-- name: DiscardMail :execrows
UPDATE mail SET state = 'discarded', body_sealed = '', finished_at = sqlc.arg(now) WHERE id = sqlc.arg(id) AND state IN ('waiting', 'failed');

-- name: PruneMail :execrows
DELETE FROM mail WHERE state IN ('sent', 'failed', 'discarded') AND finished_at < sqlc.arg(before);

-- name: GetMail :one
SELECT id, kind, recipient, recipient_name, subject, state, attempts, trouble, last_error, created_at, due_at, finished_at FROM mail WHERE id = $1;

-- name: CountMail :one
SELECT count(*) FROM mail
WHERE (CAST(sqlc.arg(state) AS text) = '' OR state = sqlc.arg(state))
    AND (CAST(sqlc.arg(pattern) AS text) = '' OR lower(recipient) LIKE sqlc.arg(pattern) ESCAPE '!' OR lower(subject) LIKE sqlc.arg(pattern) ESCAPE '!');

-- name: ListMail :many
SELECT id, kind, recipient, recipient_name, subject, state, attempts, trouble, last_error, created_at, due_at, finished_at FROM mail
WHERE (CAST(sqlc.arg(state) AS text) = '' OR state = sqlc.arg(state))
    AND (CAST(sqlc.arg(pattern) AS text) = '' OR lower(recipient) LIKE sqlc.arg(pattern) ESCAPE '!' OR lower(subject) LIKE sqlc.arg(pattern) ESCAPE '!')
ORDER BY created_at DESC, id DESC LIMIT sqlc.arg(row_limit) OFFSET sqlc.arg(row_offset);
