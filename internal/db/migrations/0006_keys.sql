-- +goose Up

-- API keys. Only a keyed hash is stored, and the first characters to recognise a key by. scope is JSON: apps, actions, flows. former_hash works until former_until, after a rotation with overlap.
-- issued_at is when the present secret was made. A revoked key stays a while, so that its holder can be told.
CREATE TABLE api_key (
    id             TEXT PRIMARY KEY,
    account_id     TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    workspace_id   TEXT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    name           TEXT NOT NULL,
    prefix         TEXT NOT NULL,
    key_hash       TEXT NOT NULL UNIQUE,
    former_hash    TEXT NOT NULL,
    former_until   BIGINT NOT NULL,
    scope          TEXT NOT NULL,
    networks       TEXT NOT NULL,
    per_minute     BIGINT NOT NULL,
    per_day        BIGINT NOT NULL,
    created_by     TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    issued_at      BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    revoked_at     BIGINT NOT NULL,
    last_used_at   BIGINT NOT NULL,
    last_used_ip   TEXT NOT NULL
);
CREATE INDEX api_key_account ON api_key (account_id);
CREATE INDEX api_key_workspace ON api_key (workspace_id);
CREATE INDEX api_key_former ON api_key (former_hash);

-- What a key has used in a window of time ("minute" or "day"): nodes reserve a part of the limit before they use it, and give back what they did not use.
CREATE TABLE api_key_usage (
    key_id       TEXT NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
    span         TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    reserved     BIGINT NOT NULL,
    PRIMARY KEY (key_id, span, window_start)
);

-- A program's session has no cookie and no idle limit; expires_at moves on with each refresh.
ALTER TABLE session ADD COLUMN program BOOLEAN NOT NULL DEFAULT FALSE;

-- The refresh tokens of one sign-in by a program: a session, and which generation of its refresh token is current. All of them are derived from seed and a key that is not here.
CREATE TABLE refresh_family (
    session_id    TEXT PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
    seed          TEXT NOT NULL,
    generation    BIGINT NOT NULL,
    token_hash    TEXT NOT NULL UNIQUE,
    former_hash   TEXT NOT NULL,
    rotated_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);

-- The credential vault. data_sealed is sealed under the row's id and workspace; it is never shown again.
CREATE TABLE credential (
    id            TEXT PRIMARY KEY,
    workspace_id  TEXT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    name          TEXT NOT NULL,
    name_key      TEXT NOT NULL,
    kind          TEXT NOT NULL,
    fields        TEXT NOT NULL,
    data_sealed   TEXT NOT NULL,
    roles         TEXT NOT NULL,
    created_by    TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    rotated_at    BIGINT NOT NULL,
    UNIQUE (workspace_id, name_key)
);

-- Where a credential has been put: an object of a builder, whose id Sluice chooses, that holds a copy. current tells that the copy has the present values.
CREATE TABLE credential_use (
    credential_id TEXT NOT NULL REFERENCES credential (id) ON DELETE CASCADE,
    app_id        TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    object_id     TEXT NOT NULL,
    created_by    TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    current       BOOLEAN NOT NULL,
    PRIMARY KEY (credential_id, app_id)
);
CREATE INDEX credential_use_app ON credential_use (app_id);

-- +goose Down
DROP TABLE credential_use;
DROP TABLE credential;
DROP TABLE refresh_family;
ALTER TABLE session DROP COLUMN program;
DROP TABLE api_key_usage;
DROP TABLE api_key;
