-- +goose Up

-- The accounts of a builder into which Sluice carries people, such as Langflow's users: what an account holds belongs to its workspace. person_id is empty where the whole workspace shares the account.
-- An adopted account was there before; new things are made in the others. secret_sealed holds what opens it: its password and its API key, as far as Sluice has them.
CREATE TABLE builder_account (
    app_id        TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    upstream_id   TEXT NOT NULL,
    workspace_id  TEXT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    person_id     TEXT NOT NULL,
    username      TEXT NOT NULL,
    adopted       BOOLEAN NOT NULL,
    secret_sealed TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (app_id, upstream_id)
);
CREATE UNIQUE INDEX builder_account_own ON builder_account (app_id, workspace_id, person_id) WHERE NOT adopted;
CREATE INDEX builder_account_workspace ON builder_account (workspace_id);

-- Which account of the builder holds an object; empty: the builder has none, or only one.
ALTER TABLE object ADD COLUMN upstream_id TEXT NOT NULL DEFAULT '';

-- How people are carried into the builder's accounts, and whether each person has one; see profile.BridgeMode.
ALTER TABLE app ADD COLUMN bridge_mode TEXT NOT NULL DEFAULT '';
ALTER TABLE app ADD COLUMN per_person BOOLEAN NOT NULL DEFAULT FALSE;

-- Runs of flows that the builder names by a job: which flow, and who started it. They are of use for a day.
CREATE TABLE build_job (
    app_id     TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    job_id     TEXT NOT NULL,
    flow_id    TEXT NOT NULL,
    person_id  TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (app_id, job_id)
);
CREATE INDEX build_job_age ON build_job (created_at);

-- Keys of another system that were imported are known by its own hash: '' for Sluice's own, else "sha256" for the SHA-256 of the whole key, under TOKEN_HASH_SECRET like all.
ALTER TABLE api_key ADD COLUMN imported TEXT NOT NULL DEFAULT '';

-- What was brought from another product: its id there, and what became of it here. Rows stay when that goes, so that what was revoked or deleted here is not brought again.
CREATE TABLE import_origin (
    kind       TEXT NOT NULL,
    origin_id  TEXT NOT NULL,
    target_id  TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (kind, origin_id)
);

-- What builders' own pages keep about a person, such as the picture that Langflow shows: a small JSON object.
ALTER TABLE account ADD COLUMN preferences TEXT NOT NULL DEFAULT '';

-- +goose Down
DROP TABLE import_origin;
ALTER TABLE account DROP COLUMN preferences;
ALTER TABLE api_key DROP COLUMN imported;
DROP TABLE build_job;
ALTER TABLE app DROP COLUMN per_person;
ALTER TABLE app DROP COLUMN bridge_mode;
ALTER TABLE object DROP COLUMN upstream_id;
DROP TABLE builder_account;
