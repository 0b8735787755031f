-- Whose maps are open: callers of the sessions that were used last and still last, the latest first.
SELECT
    a.id AS account_id, a.login, a.name_zh, a.name_en, a.roles, a.scope, a.db_role, a.must_change_password, a.is_demo,
    s.id AS session_id, NULL::bigint AS token_id, NULL::text[] AS token_scopes,
    ARRAY(SELECT r.area_code FROM access.account_area AS r WHERE r.account_id = a.id ORDER BY r.area_code) AS areas,
    ARRAY(SELECT r.site_id FROM access.account_site AS r WHERE r.account_id = a.id ORDER BY r.site_id) AS sites,
    '{}'::text[] AS actions
FROM access.session AS s
JOIN access.account AS a ON a.id = s.account_id
WHERE s.ended_at IS NULL AND s.idle_until > now() AND s.expires_at > now()
    AND a.disabled_at IS NULL AND NOT a.must_change_password
ORDER BY s.last_used_at DESC
LIMIT %(limit)s
