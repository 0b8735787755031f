-- The newest sign-ins of one account, and which of them are still open at the given moment.
SELECT
    s.id, s.method, s.created_at, s.last_used_at, s.ended_at, s.ended_why, host(s.ip) AS ip, s.user_agent,
    least(s.idle_until, s.expires_at) AS until,
    s.ended_at IS NULL AND s.idle_until > %(at)s AND s.expires_at > %(at)s AS is_open
FROM access.session AS s
WHERE s.account_id = %(account)s
ORDER BY s.created_at DESC
LIMIT 20
