-- API tokens of all accounts that the reader may see: those that still hold at the given moment, and what ended in the 30 days before.
SELECT
    t.id, a.login, a.name_zh, a.name_en, t.name, t.scopes, t.created_at, t.expires_at, t.last_used_at, t.revoked_at,
    t.revoked_at IS NULL AND t.expires_at > %(at)s AS is_open, a.disabled_at IS NOT NULL AS is_disabled
FROM access.token AS t
JOIN access.account AS a ON a.id = t.account_id
WHERE coalesce(t.revoked_at, t.expires_at) > %(at)s - interval '30 days'
ORDER BY is_open DESC, a.login, t.expires_at, t.id
LIMIT 500
