-- Tables of other packages; read only.

-- name: ObjectsOfAccount :many
SELECT object_id FROM object WHERE app_id = $1 AND upstream_id = $2 AND upstream_id <> '' ORDER BY object_id;

-- name: GetAccount :one
SELECT id, email, username, name, password_hash, superuser, active, generation, created_at, updated_at, last_sign_in_at, waiting, email_verified_at, preferences FROM account WHERE id = $1;

-- name: GetWorkspace :one
SELECT id, name, created_at, second_factor FROM workspace WHERE id = $1;

-- name: AllWorkspaces :many
SELECT w.id, w.name, w.created_at, w.second_factor, COUNT(m.account_id) AS members
FROM workspace w LEFT JOIN membership m ON m.workspace_id = w.id
GROUP BY w.id, w.name, w.created_at, w.second_factor ORDER BY lower(w.name), w.id;

-- name: MembersOf :many
SELECT a.id, a.email, a.username, a.name, a.superuser, a.active, a.last_sign_in_at, m.role, m.created_at
FROM membership m JOIN account a ON a.id = m.account_id
WHERE m.workspace_id = $1 ORDER BY a.username_key;
