-- name: InsertWorkspaceIfAbsent :exec
INSERT INTO workspace (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING;

-- name: PutMembership :exec
INSERT INTO membership (workspace_id, account_id, role, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (workspace_id, account_id) DO UPDATE SET role = excluded.role;

-- name: DeleteMembership :exec
DELETE FROM membership WHERE workspace_id = $1 AND account_id = $2;

-- name: MembershipsOf :many
SELECT workspace_id, role FROM membership WHERE account_id = $1 ORDER BY workspace_id;

-- name: AllMemberships :many
SELECT account_id, workspace_id, role FROM membership ORDER BY account_id, workspace_id;

-- name: GetWorkspace :one
SELECT id, name, created_at, second_factor FROM workspace WHERE id = $1;

-- name: AllWorkspaces :many
SELECT w.id, w.name, w.created_at, w.second_factor, COUNT(m.account_id) AS members
FROM workspace w LEFT JOIN membership m ON m.workspace_id = w.id
GROUP BY w.id, w.name, w.created_at, w.second_factor ORDER BY lower(w.name), w.id;

-- name: InsertWorkspace :exec
INSERT INTO workspace (id, name, created_at) VALUES ($1, $2, $3);

-- name: SetSecondFactor :execrows
UPDATE workspace SET second_factor = $2 WHERE id = $1;

-- name: RenameWorkspace :execrows
UPDATE workspace SET name = $2 WHERE id = $1;

-- name: DeleteWorkspace :execrows
DELETE FROM workspace WHERE id = $1;

-- name: MembersOf :many
SELECT a.id, a.email, a.username, a.name, a.superuser, a.active, a.last_sign_in_at, m.role, m.created_at
FROM membership m JOIN account a ON a.id = m.account_id
WHERE m.workspace_id = $1 ORDER BY a.username_key;

-- name: CountRole :one
SELECT COUNT(*) FROM membership m JOIN account a ON a.id = m.account_id WHERE m.workspace_id = $1 AND m.role = $2 AND a.active = TRUE;

-- name: CountMembershipsWithRole :one
SELECT COUNT(*) FROM membership WHERE role = $1;
