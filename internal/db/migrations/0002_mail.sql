-- +goose Up
-- The outbox. body_sealed holds a live link: it is sealed under the row's id and emptied when the mail has been sent or discarded.
-- due_at says when a waiting mail is tried, and for one that is being sent when its lease ends and another node may take it over.
CREATE TABLE mail (
    id             TEXT PRIMARY KEY,
    kind           TEXT NOT NULL,
    recipient      TEXT NOT NULL,
    recipient_name TEXT NOT NULL,
    subject        TEXT NOT NULL,
    body_sealed    TEXT NOT NULL,
    state          TEXT NOT NULL,
    attempts       BIGINT NOT NULL,
    trouble        TEXT NOT NULL,
    last_error     TEXT NOT NULL,
    lease          TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    due_at         BIGINT NOT NULL,
    give_up_at     BIGINT NOT NULL,
    finished_at    BIGINT NOT NULL
);
CREATE INDEX mail_due ON mail (state, due_at);
CREATE INDEX mail_created ON mail (created_at);

-- +goose Down
DROP TABLE mail;
