-- name: ClaimObject :execrows
INSERT INTO object (app_id, object_id, kind, workspace_id, owner_id, upstream_id, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
ON CONFLICT (app_id, object_id) DO NOTHING;

-- name: GetObject :one
SELECT app_id, object_id, kind, workspace_id, owner_id, name, created_at, updated_at, upstream_id, marked_public FROM object WHERE app_id = $1 AND object_id = $2;

-- name: AllObjects :many
SELECT app_id, object_id, kind, workspace_id, upstream_id FROM object;

-- name: NoteObject :exec
UPDATE object SET name = $3, updated_at = $4, marked_public = $5 WHERE app_id = $1 AND object_id = $2;

-- name: MoveObject :execrows
UPDATE object SET workspace_id = $3, owner_id = $4, updated_at = $5 WHERE app_id = $1 AND object_id = $2;

-- name: ForgetObject :execrows
DELETE FROM object WHERE app_id = $1 AND object_id = $2;

-- name: ObjectsOfApp :many
SELECT app_id, object_id, kind, workspace_id, owner_id, name, created_at, updated_at, upstream_id, marked_public FROM object WHERE app_id = $1 ORDER BY object_id;

-- name: FlowsOfWorkspace :many
SELECT app_id, object_id, kind, workspace_id, owner_id, name, created_at, updated_at, upstream_id, marked_public FROM object
WHERE workspace_id = sqlc.arg(workspace_id) AND kind IN ('chatflow', 'agentflow')
    AND (CAST(sqlc.arg(pattern) AS text) = '' OR lower(name) LIKE sqlc.arg(pattern) ESCAPE '!')
ORDER BY updated_at DESC, object_id LIMIT sqlc.arg(row_limit) OFFSET sqlc.arg(row_offset);

-- name: CountFlowsOfWorkspace :one
SELECT COUNT(*) FROM object
WHERE workspace_id = sqlc.arg(workspace_id) AND kind IN ('chatflow', 'agentflow')
    AND (CAST(sqlc.arg(pattern) AS text) = '' OR lower(name) LIKE sqlc.arg(pattern) ESCAPE '!');

-- name: NamesOfOthers :many
SELECT DISTINCT name FROM object WHERE app_id = $1 AND kind = $2 AND workspace_id <> $3 AND name <> '' ORDER BY name;

-- name: BindObject :execrows
UPDATE object SET upstream_id = $3 WHERE app_id = $1 AND object_id = $2 AND upstream_id <> $3;

-- name: PlaceObject :execrows
UPDATE object SET workspace_id = sqlc.arg(workspace_id), owner_id = sqlc.arg(owner_id), upstream_id = sqlc.arg(upstream_id), updated_at = sqlc.arg(now)
WHERE app_id = sqlc.arg(app_id) AND object_id = sqlc.arg(object_id) AND workspace_id = sqlc.arg(former_workspace) AND owner_id = '';

-- name: ForgetProjectsOfWorkspace :exec
DELETE FROM object WHERE workspace_id = $1 AND kind = 'project';

-- name: HandOverObjects :execrows
UPDATE object SET owner_id = sqlc.arg(to_account) WHERE owner_id = sqlc.arg(from_account);
