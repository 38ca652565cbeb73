-- +goose Up
-- One text for both engines: TEXT ids, BIGINT unix milliseconds, hashes in lower-case hex.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE change (
    seq  BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    item TEXT NOT NULL,
    at   BIGINT NOT NULL
);

CREATE TABLE audit (
    seq            BIGINT PRIMARY KEY,
    at             BIGINT NOT NULL,
    actor_kind     TEXT NOT NULL,
    actor_id       TEXT NOT NULL,
    actor_name     TEXT NOT NULL,
    ip             TEXT NOT NULL,
    action         TEXT NOT NULL,
    resource_type  TEXT NOT NULL,
    resource_id    TEXT NOT NULL,
    resource_name  TEXT NOT NULL,
    workspace_id   TEXT NOT NULL,
    outcome        TEXT NOT NULL,
    times          BIGINT NOT NULL,
    policies       TEXT NOT NULL,
    detail         TEXT NOT NULL,
    previous_hash  TEXT NOT NULL,
    hash           TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at);

CREATE TABLE workspace (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE account (
    id              TEXT PRIMARY KEY,
    email           TEXT NOT NULL,
    email_key       TEXT UNIQUE,
    username        TEXT NOT NULL,
    username_key    TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL,
    password_hash   TEXT NOT NULL,
    superuser       BOOLEAN NOT NULL,
    active          BOOLEAN NOT NULL,
    generation      BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    last_sign_in_at BIGINT NOT NULL
);

CREATE TABLE membership (
    workspace_id TEXT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    account_id   TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    role         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, account_id)
);
CREATE INDEX membership_account ON membership (account_id);

CREATE TABLE session (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    method     TEXT NOT NULL,
    ip         TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX session_account ON session (account_id);

CREATE TABLE session_cookie (
    token_hash TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    audience   TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX session_cookie_session ON session_cookie (session_id);

-- Single-use tokens: set-up links, reset links, hand-over codes to an app's origin.
CREATE TABLE ticket (
    token_hash TEXT PRIMARY KEY,
    purpose    TEXT NOT NULL,
    subject    TEXT NOT NULL,
    audience   TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL
);

-- Failed sign-ins by what is limited, e.g. "address:192.0.2.1"; account names only as keyed hashes.
CREATE TABLE guess (
    subject  TEXT PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_at  BIGINT NOT NULL
);

CREATE TABLE app (
    id            TEXT PRIMARY KEY,
    workspace_id  TEXT NOT NULL REFERENCES workspace (id),
    slug          TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    kind          TEXT NOT NULL,
    version       TEXT NOT NULL,
    upstream_url  TEXT NOT NULL UNIQUE,
    public_url    TEXT NOT NULL,
    port          BIGINT NOT NULL,
    owner_sealed  TEXT NOT NULL,
    verified_at   BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

CREATE TABLE published_flow (
    app_id     TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    flow_id    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (app_id, flow_id)
);

-- +goose Down
DROP TABLE published_flow;
DROP TABLE app;
DROP TABLE guess;
DROP TABLE ticket;
DROP TABLE session_cookie;
DROP TABLE session;
DROP TABLE membership;
DROP TABLE account;
DROP TABLE workspace;
DROP TABLE audit;
DROP TABLE change;
DROP TABLE meta;
