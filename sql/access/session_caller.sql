-- Who a session is, while it lasts: not ended, not idle too long, not past its end, its account not disabled.
SELECT
    a.id AS account_id, a.login, a.name_zh, a.name_en, a.roles, a.scope, a.db_role, a.must_change_password, a.is_demo,
    s.id AS session_id, s.last_used_at,
    ARRAY(SELECT r.area_code FROM access.account_area AS r WHERE r.account_id = a.id ORDER BY r.area_code) AS areas,
    ARRAY(SELECT r.site_id FROM access.account_site AS r WHERE r.account_id = a.id ORDER BY r.site_id) AS sites,
    access.actions_of(a.db_role) AS actions
FROM access.session AS s
JOIN access.account AS a ON a.id = s.account_id
WHERE s.token_hash = %(token_hash)s
    AND s.ended_at IS NULL AND s.idle_until > %(at)s AND s.expires_at > %(at)s
    AND a.disabled_at IS NULL
