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

-- name: CountObjectsOfWorkspace :one
SELECT COUNT(*) FROM object WHERE workspace_id = $1 AND kind <> 'project';

-- name: ForgetProjectsOfWorkspace :exec
DELETE FROM object WHERE workspace_id = $1 AND kind = 'project';

-- name: MembersOf :many
SELECT a.id, a.email, a.username, a.name, a.superuser, a.active, a.last_sign_in_at, m.role, m.created_at
FROM membership m JOIN account a ON a.id = m.account_id
WHERE m.workspace_id = $1 ORDER BY a.username_key;

-- name: CountRole :one
SELECT COUNT(*) FROM membership m JOIN account a ON a.id = m.account_id WHERE m.workspace_id = $1 AND m.role = $2 AND a.active = TRUE;

-- name: CountMembershipsWithRole :one
SELECT COUNT(*) FROM membership WHERE role = $1;

-- name: AllRoles :many
SELECT id, name, description, permissions, created_at, updated_at FROM role ORDER BY name_key;

-- name: GetRole :one
SELECT id, name, description, permissions, created_at, updated_at FROM role WHERE id = $1;

-- name: InsertRole :exec
INSERT INTO role (id, name, name_key, description, permissions, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6);

-- name: UpdateRole :execrows
UPDATE role SET name = $2, name_key = $3, description = $4, permissions = $5, updated_at = $6 WHERE id = $1;

-- name: DeleteRole :execrows
DELETE FROM role WHERE id = $1;

-- name: DeleteAccount :execrows
DELETE FROM account WHERE id = $1;

-- name: HandOverObjects :execrows
UPDATE object SET owner_id = sqlc.arg(to_account) WHERE owner_id = sqlc.arg(from_account);

-- name: CountObjectsOfOwner :one
SELECT COUNT(*) FROM object WHERE owner_id = $1;

-- name: SetAccountWaiting :exec
UPDATE account SET waiting = $2, updated_at = $3 WHERE id = $1;

-- name: SetEmailVerified :exec
UPDATE account SET email_verified_at = $2 WHERE id = $1;

-- name: ChangeEmail :exec
UPDATE account SET email = $2, email_key = $3, email_verified_at = $4, generation = generation + 1, updated_at = $4 WHERE id = $1;

-- name: InsertInvitation :exec
INSERT INTO invitation (id, workspace_id, email, email_key, role, invited_by, created_at, expires_at, accepted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0);

-- name: GetInvitation :one
SELECT id, workspace_id, email, role, invited_by, created_at, expires_at, accepted_at FROM invitation WHERE id = $1;

-- name: InvitationsOf :many
SELECT id, workspace_id, email, role, invited_by, created_at, expires_at, accepted_at FROM invitation WHERE workspace_id = $1 AND accepted_at = 0 ORDER BY created_at DESC LIMIT 500;

-- name: AcceptInvitation :execrows
UPDATE invitation SET accepted_at = sqlc.arg(now) WHERE id = sqlc.arg(id) AND accepted_at = 0 AND expires_at > sqlc.arg(now);

-- name: RenewInvitation :execrows
UPDATE invitation SET expires_at = $2 WHERE id = $1 AND accepted_at = 0;

-- name: DeleteInvitation :execrows
DELETE FROM invitation WHERE id = $1;

-- name: DropInvitationsFor :exec
DELETE FROM invitation WHERE workspace_id = $1 AND email_key = $2 AND accepted_at = 0;

-- name: OfferApp :exec
INSERT INTO app_workspace (app_id, workspace_id) VALUES ($1, $2) ON CONFLICT (app_id, workspace_id) DO NOTHING;

-- name: WithdrawApp :execrows
DELETE FROM app_workspace WHERE app_id = $1 AND workspace_id = $2;

-- name: WorkspacesOfApp :many
SELECT workspace_id FROM app_workspace WHERE app_id = $1 ORDER BY workspace_id;
