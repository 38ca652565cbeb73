-- Tables of other packages; read only.

-- name: AllApps :many
SELECT id, workspace_id, slug, name, kind, version, upstream_url, public_url, port, owner_sealed, verified_at, created_at, updated_at, mode, seen_at, bridge_mode, per_person FROM app ORDER BY created_at, id;

-- name: ObjectsOfApp :many
SELECT app_id, object_id, kind, workspace_id, owner_id, name, created_at, updated_at, upstream_id, marked_public FROM object WHERE app_id = $1 ORDER BY object_id;

-- name: ImportNames :many
SELECT id, username, username_key, COALESCE(email_key, '') AS email_key, superuser FROM account;

-- name: CredentialNames :many
SELECT workspace_id, name_key FROM credential;

-- name: LiveKeyCounts :many
SELECT account_id, count(*) AS live FROM api_key WHERE revoked_at = 0 AND (expires_at = 0 OR expires_at > sqlc.arg(now)) GROUP BY account_id;

-- name: ImportAccounts :many
SELECT upstream_id, workspace_id, person_id, username, adopted FROM builder_account WHERE app_id = $1;

-- name: AllWorkspaces :many
SELECT w.id, w.name, w.created_at, w.second_factor, COUNT(m.account_id) AS members
FROM workspace w LEFT JOIN membership m ON m.workspace_id = w.id
GROUP BY w.id, w.name, w.created_at, w.second_factor ORDER BY lower(w.name), w.id;

-- name: WorkspacesOfApp :many
SELECT workspace_id FROM app_workspace WHERE app_id = $1 ORDER BY workspace_id;
