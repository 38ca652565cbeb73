-- +goose Up

-- The workspace that a session works in; '' stands for the default one, else the first membership.
ALTER TABLE session ADD COLUMN workspace_id TEXT NOT NULL DEFAULT '';
-- When the address was proven to be the person's; 0 for never. waiting is TRUE until an admin has let a new person in for the first time.
ALTER TABLE account ADD COLUMN email_verified_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN waiting BOOLEAN NOT NULL DEFAULT FALSE;

-- Custom roles: a name and a list of permissions, for all workspaces.
CREATE TABLE role (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    name_key    TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

CREATE TABLE invitation (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    email        TEXT NOT NULL,
    email_key    TEXT NOT NULL,
    role         TEXT NOT NULL,
    invited_by   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    accepted_at  BIGINT NOT NULL
);
CREATE INDEX invitation_workspace ON invitation (workspace_id);

-- The workspaces in which an app is used.
CREATE TABLE app_workspace (
    app_id       TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    PRIMARY KEY (app_id, workspace_id)
);
INSERT INTO app_workspace (app_id, workspace_id) SELECT id, workspace_id FROM app;

-- The ownership map: which workspace an object of a builder belongs to.
CREATE TABLE object (
    app_id       TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    object_id    TEXT NOT NULL,
    kind         TEXT NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    owner_id     TEXT NOT NULL,
    name         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (app_id, object_id)
);
CREATE INDEX object_workspace ON object (workspace_id, kind);
CREATE INDEX object_owner ON object (owner_id);

-- +goose Down
DROP TABLE object;
DROP TABLE app_workspace;
DROP TABLE invitation;
DROP TABLE role;
ALTER TABLE account DROP COLUMN waiting;
ALTER TABLE account DROP COLUMN email_verified_at;
ALTER TABLE session DROP COLUMN workspace_id;
