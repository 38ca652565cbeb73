-- name: ClaimObject :execrows
INSERT INTO object (app_id, object_id, kind, workspace_id, owner_id, upstream_id, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
ON CONFLICT (app_id, object_id) DO NOTHING;

-- name: GetObject :one
SELECT app_id, object_id, kind, workspace_id, owner_id, name, created_at, updated_at, upstream_id FROM object WHERE app_id = $1 AND object_id = $2;

-- name: AllObjects :many
SELECT app_id, object_id, kind, workspace_id, upstream_id FROM object;

-- name: NoteObject :exec
UPDATE object SET name = $3, updated_at = $4 WHERE app_id = $1 AND object_id = $2;

-- name: MoveObject :execrows
UPDATE object SET workspace_id = $3, owner_id = $4, updated_at = $5 WHERE app_id = $1 AND object_id = $2;

-- name: ForgetObject :execrows
DELETE FROM object WHERE app_id = $1 AND object_id = $2;

-- name: ObjectsOfApp :many
SELECT app_id, object_id, kind, workspace_id, owner_id, name, created_at, updated_at, upstream_id FROM object WHERE app_id = $1 ORDER BY object_id;

-- name: FlowsOfWorkspace :many
SELECT app_id, object_id, kind, workspace_id, owner_id, name, created_at, updated_at, upstream_id FROM object
WHERE workspace_id = sqlc.arg(workspace_id) AND kind IN ('chatflow', 'agentflow')
    AND (CAST(sqlc.arg(pattern) AS text) = '' OR lower(name) LIKE sqlc.arg(pattern) ESCAPE '!')
ORDER BY updated_at DESC, object_id LIMIT sqlc.arg(row_limit) OFFSET sqlc.arg(row_offset);

-- name: CountFlowsOfWorkspace :one
SELECT COUNT(*) FROM object
WHERE workspace_id = sqlc.arg(workspace_id) AND kind IN ('chatflow', 'agentflow')
    AND (CAST(sqlc.arg(pattern) AS text) = '' OR lower(name) LIKE sqlc.arg(pattern) ESCAPE '!');

-- name: MarkAdopted :exec
INSERT INTO adoption (app_id, adopted_at) VALUES ($1, $2) ON CONFLICT (app_id) DO NOTHING;

-- name: AdoptedAt :one
SELECT adopted_at FROM adoption WHERE app_id = $1;

-- name: AllAppWorkspaces :many
SELECT app_id, workspace_id FROM app_workspace ORDER BY app_id, workspace_id;

-- name: NamesOfOthers :many
SELECT DISTINCT name FROM object WHERE app_id = $1 AND kind = $2 AND workspace_id <> $3 AND name <> '' ORDER BY name;

-- name: BindObject :execrows
UPDATE object SET upstream_id = $3 WHERE app_id = $1 AND object_id = $2 AND upstream_id <> $3;
