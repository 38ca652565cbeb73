-- name: CountMembersWithoutFactor :one
SELECT COUNT(*) FROM membership m JOIN account a ON a.id = m.account_id
WHERE m.workspace_id = $1 AND a.active = TRUE
  AND NOT EXISTS (SELECT 1 FROM totp t WHERE t.account_id = m.account_id)
  AND NOT EXISTS (SELECT 1 FROM passkey p WHERE p.account_id = m.account_id);
