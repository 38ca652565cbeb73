-- +goose Up

-- When an app's objects were first given to a workspace, or an admin took that over; no row: not yet.
CREATE TABLE adoption (
    app_id     TEXT PRIMARY KEY REFERENCES app (id) ON DELETE CASCADE,
    adopted_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE adoption;
