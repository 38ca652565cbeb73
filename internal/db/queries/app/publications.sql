-- name: PublishFlow :exec
INSERT INTO published_flow (app_id, flow_id, created_at, created_by) VALUES ($1, $2, $3, $4) ON CONFLICT (app_id, flow_id) DO NOTHING;

-- name: UnpublishFlow :execrows
DELETE FROM published_flow WHERE app_id = $1 AND flow_id = $2;

-- name: PublishedFlows :many
SELECT app_id, flow_id, created_at, created_by FROM published_flow WHERE app_id = $1 ORDER BY created_at, flow_id;
