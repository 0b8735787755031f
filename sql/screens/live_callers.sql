-- Who still listens: the callers of open streams whose session or token lasts, as their accounts are now.
SELECT
    s.id::text AS stream_key, a.id AS account_id, a.login, a.name_zh, a.name_en, a.roles, a.scope, a.db_role,
    a.must_change_password, a.is_demo, s.id AS session_id, NULL::bigint AS token_id, NULL::text[] AS token_scopes,
    ARRAY(SELECT r.area_code FROM access.account_area AS r WHERE r.account_id = a.id ORDER BY r.area_code) AS areas,
    ARRAY(SELECT r.site_id FROM access.account_site AS r WHERE r.account_id = a.id ORDER BY r.site_id) AS sites,
    '{}'::text[] AS actions
FROM access.session AS s
JOIN access.account AS a ON a.id = s.account_id
WHERE s.id = ANY (%(sessions)s::uuid[])
    AND s.ended_at IS NULL AND s.idle_until > %(at)s AND s.expires_at > %(at)s AND a.disabled_at IS NULL
UNION ALL
SELECT
    'token:' || t.id, a.id, a.login, a.name_zh, a.name_en, a.roles, a.scope, a.db_role,
    a.must_change_password, a.is_demo, NULL, t.id, t.scopes,
    ARRAY(SELECT r.area_code FROM access.account_area AS r WHERE r.account_id = a.id ORDER BY r.area_code),
    ARRAY(SELECT r.site_id FROM access.account_site AS r WHERE r.account_id = a.id ORDER BY r.site_id),
    '{}'::text[]
FROM access.token AS t
JOIN access.account AS a ON a.id = t.account_id
WHERE t.id = ANY (%(tokens)s::bigint[])
    AND t.revoked_at IS NULL AND t.expires_at > %(at)s AND a.disabled_at IS NULL
