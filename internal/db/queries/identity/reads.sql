-- Tables of other packages; read only.

-- name: CountObjectsOfWorkspace :one
SELECT COUNT(*) FROM object WHERE workspace_id = $1 AND kind <> 'project';

-- name: CountObjectsOfOwner :one
SELECT COUNT(*) FROM object WHERE owner_id = $1;
