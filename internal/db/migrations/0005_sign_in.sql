-- +goose Up

-- When the person last proved, in this session, to be who they are; and whether more than one factor was proven.
ALTER TABLE session ADD COLUMN proven_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN strong BOOLEAN NOT NULL DEFAULT FALSE;

-- 'off', 'encouraged' or 'required'.
ALTER TABLE workspace ADD COLUMN second_factor TEXT NOT NULL DEFAULT 'off';

-- What waits for a browser to come back: an attempt to sign in, a passkey ceremony, a round trip to an identity provider. data_sealed is sealed under the row's token_hash.
CREATE TABLE pending (
    token_hash  TEXT PRIMARY KEY,
    purpose     TEXT NOT NULL,
    subject     TEXT NOT NULL,
    data_sealed TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX pending_expires ON pending (expires_at);
CREATE INDEX pending_subject ON pending (purpose, subject);

-- One authenticator app for each person. last_step is the last time step that was accepted (RFC 6238 section 5.2: no code counts twice).
CREATE TABLE totp (
    account_id    TEXT PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    secret_sealed TEXT NOT NULL,
    last_step     BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    used_at       BIGINT NOT NULL
);

-- id is the credential's id in base64url, rp the relying party id that it was made for, credential what go-webauthn keeps of it (public key, counter, flags; no secret).
CREATE TABLE passkey (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    rp         TEXT NOT NULL,
    name       TEXT NOT NULL,
    credential TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL
);
CREATE INDEX passkey_account ON passkey (account_id);

-- The key that a person's recovery codes are hashed with, made anew with each set.
CREATE TABLE recovery_key (
    account_id TEXT PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    key_sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE recovery_code (
    account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    code_hash  TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    PRIMARY KEY (account_id, code_hash)
);

-- Identity providers. settings is JSON: scopes, group claim, mappings and the like.
CREATE TABLE provider (
    id            TEXT PRIMARY KEY,
    slug          TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL,
    name          TEXT NOT NULL,
    issuer        TEXT NOT NULL,
    client_id     TEXT NOT NULL,
    secret_sealed TEXT NOT NULL,
    settings      TEXT NOT NULL,
    enabled       BOOLEAN NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

-- Which account belongs to which subject of a provider. The e-mail address is only for people to read; nobody is ever found by it.
CREATE TABLE linked_identity (
    provider_id TEXT NOT NULL REFERENCES provider (id) ON DELETE CASCADE,
    subject     TEXT NOT NULL,
    account_id  TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    label       TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    used_at     BIGINT NOT NULL,
    -- The provider's groups made this person a superuser, so that only this is taken back when the group is lost.
    superuser   BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (provider_id, subject)
);
CREATE INDEX linked_identity_account ON linked_identity (account_id);

-- Which session came from which session of a provider, for logout in both directions. id_token_sealed is sealed under the session's id.
CREATE TABLE provider_session (
    session_id      TEXT PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
    provider_id     TEXT NOT NULL REFERENCES provider (id) ON DELETE CASCADE,
    subject         TEXT NOT NULL,
    sid             TEXT NOT NULL,
    id_token_sealed TEXT NOT NULL
);
CREATE INDEX provider_session_subject ON provider_session (provider_id, subject);

-- Roles that a provider's groups gave, so that only these are taken back when a group is lost. A membership that has another role by now was changed by hand.
CREATE TABLE provider_role (
    provider_id  TEXT NOT NULL REFERENCES provider (id) ON DELETE CASCADE,
    account_id   TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    role         TEXT NOT NULL,
    PRIMARY KEY (provider_id, account_id, workspace_id)
);

-- Keys that sign identity assertions; kid is the key's id in the published set. retired_at is 0 for the one in use.
CREATE TABLE signing_key (
    kid         TEXT PRIMARY KEY,
    algorithm   TEXT NOT NULL,
    key_sealed  TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT NOT NULL
);

-- Keys made of Sluice's own secrets: of each name the one in use (retired_at is 0) and former ones that still verify. source says where the value came from. The rows of the root key and
-- of the vault's own keys only say since when; their key_sealed is empty.
CREATE TABLE secret_key (
    name        TEXT NOT NULL,
    kid         TEXT NOT NULL,
    source      TEXT NOT NULL,
    key_sealed  TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT NOT NULL,
    PRIMARY KEY (name, kid)
);

-- 'proxy': requests pass through Sluice. 'forward-auth': a reverse proxy asks Sluice about each request; upstream_url is 'forward-auth:' and the public address then.
-- seen_at is when it last asked, to some minutes.
ALTER TABLE app ADD COLUMN mode TEXT NOT NULL DEFAULT 'proxy';
ALTER TABLE app ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE app DROP COLUMN seen_at;
ALTER TABLE app DROP COLUMN mode;
DROP TABLE secret_key;
DROP TABLE signing_key;
DROP TABLE provider_role;
DROP TABLE provider_session;
DROP TABLE linked_identity;
DROP TABLE provider;
DROP TABLE recovery_code;
DROP TABLE recovery_key;
DROP TABLE passkey;
DROP TABLE totp;
DROP TABLE pending;
ALTER TABLE workspace DROP COLUMN second_factor;
ALTER TABLE session DROP COLUMN strong;
ALTER TABLE session DROP COLUMN proven_at;
