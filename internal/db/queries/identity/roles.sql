-- name: AllRoles :many
SELECT id, name, description, permissions, created_at, updated_at FROM role ORDER BY name_key;

-- name: InsertRole :exec
INSERT INTO role (id, name, name_key, description, permissions, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6);

-- name: UpdateRole :execrows
UPDATE role SET name = $2, name_key = $3, description = $4, permissions = $5, updated_at = $6 WHERE id = $1;

-- name: DeleteRole :execrows
DELETE FROM role WHERE id = $1;
