-- API tokens of one account; is_open = may still be used at the given moment.
SELECT
    t.id, t.name, t.scopes, t.created_at, t.expires_at, t.last_used_at, t.revoked_at,
    t.revoked_at IS NULL AND t.expires_at > %(at)s AS is_open
FROM access.token AS t
WHERE t.account_id = %(account)s
ORDER BY is_open DESC, t.expires_at DESC, t.id
LIMIT 50
