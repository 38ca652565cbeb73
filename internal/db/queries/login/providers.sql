-- name: LatestLinkedProvider :one
SELECT p.slug FROM linked_identity i JOIN provider p ON p.id = i.provider_id WHERE i.account_id = $1 AND p.enabled = TRUE ORDER BY i.used_at DESC, p.slug LIMIT 1;

-- name: InsertProviderSession :exec
INSERT INTO provider_session (session_id, provider_id, subject, sid, id_token_sealed) VALUES ($1, $2, $3, $4, $5);

-- name: AllProviders :many
SELECT id, slug, kind, name, issuer, client_id, secret_sealed, settings, enabled, created_at, updated_at FROM provider ORDER BY lower(name), id;

-- name: GetProvider :one
SELECT id, slug, kind, name, issuer, client_id, secret_sealed, settings, enabled, created_at, updated_at FROM provider WHERE id = $1;

-- name: InsertProvider :exec
INSERT INTO provider (id, slug, kind, name, issuer, client_id, secret_sealed, settings, enabled, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10);

-- name: UpdateProvider :execrows
UPDATE provider SET name = $2, issuer = $3, client_id = $4, secret_sealed = $5, settings = $6, enabled = $7, updated_at = $8 WHERE id = $1;

-- name: DeleteProvider :execrows
DELETE FROM provider WHERE id = $1;

-- name: CountLinksOfProvider :one
SELECT COUNT(*) FROM linked_identity WHERE provider_id = $1;

-- name: FindLink :one
SELECT provider_id, subject, account_id, label, created_at, used_at, superuser FROM linked_identity WHERE provider_id = $1 AND subject = $2;

-- name: LinksOf :many
SELECT provider_id, subject, account_id, label, created_at, used_at, superuser FROM linked_identity WHERE account_id = $1 ORDER BY created_at, provider_id;

-- name: InsertLink :exec
INSERT INTO linked_identity (provider_id, subject, account_id, label, created_at, used_at) VALUES ($1, $2, $3, $4, $5, $6);

-- name: TouchLink :exec
UPDATE linked_identity SET label = $3, used_at = $4 WHERE provider_id = $1 AND subject = $2;

-- name: SetLinkSuperuser :exec
UPDATE linked_identity SET superuser = $3 WHERE provider_id = $1 AND account_id = $2;

-- name: DeleteLink :execrows
DELETE FROM linked_identity WHERE provider_id = $1 AND account_id = $2;

-- name: ProviderRolesOf :many
SELECT workspace_id, role FROM provider_role WHERE provider_id = $1 AND account_id = $2 ORDER BY workspace_id;

-- name: PutProviderRole :exec
INSERT INTO provider_role (provider_id, account_id, workspace_id, role) VALUES ($1, $2, $3, $4)
ON CONFLICT (provider_id, account_id, workspace_id) DO UPDATE SET role = excluded.role;

-- name: DeleteProviderRole :exec
DELETE FROM provider_role WHERE provider_id = $1 AND account_id = $2 AND workspace_id = $3;

-- name: GetProviderSession :one
SELECT session_id, provider_id, subject, sid, id_token_sealed FROM provider_session WHERE session_id = $1;

-- name: SessionsOfProvider :many
SELECT p.session_id, s.account_id FROM provider_session p JOIN session s ON s.id = p.session_id WHERE p.provider_id = $1 ORDER BY p.session_id;

-- name: ProviderSessionsOfSubject :many
SELECT p.session_id, s.account_id FROM provider_session p JOIN session s ON s.id = p.session_id WHERE p.provider_id = $1 AND p.subject = $2 LIMIT 1000;

-- name: ProviderSessionsOfSID :many
SELECT p.session_id, s.account_id FROM provider_session p JOIN session s ON s.id = p.session_id
WHERE p.provider_id = sqlc.arg(provider_id)
  AND ((p.sid = sqlc.arg(sid) AND (CAST(sqlc.arg(subject) AS text) = '' OR p.subject = CAST(sqlc.arg(subject) AS text))) OR (p.sid = '' AND p.subject = CAST(sqlc.arg(subject) AS text)))
LIMIT 1000;
