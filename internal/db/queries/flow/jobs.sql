-- name: InsertJob :execrows
INSERT INTO build_job (app_id, job_id, flow_id, person_id, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (app_id, job_id) DO NOTHING;

-- name: GetJob :one
SELECT flow_id, person_id FROM build_job WHERE app_id = $1 AND job_id = $2;

-- name: PruneJobs :exec
DELETE FROM build_job WHERE created_at < sqlc.arg(before);
