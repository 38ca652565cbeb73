-- +goose Up

-- Whether the builder's own mark opens a flow to strangers, as the last save through Sluice said, so that a change of it
-- is recorded once and not with every save.
ALTER TABLE object ADD COLUMN marked_public BOOLEAN NOT NULL DEFAULT FALSE;

-- +goose Down
ALTER TABLE object DROP COLUMN marked_public;
