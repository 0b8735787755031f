-- Accounts with their areas by name and what is open in their name; one of them where `login` is given.
SELECT
    a.id, a.login, a.name_zh, a.name_en, a.roles, a.scope, a.db_role, a.oidc_subject,
    a.has_sql_login, a.is_demo, a.must_change_password, a.password_set_at, a.disabled_at, a.created_at, a.created_by,
    ARRAY(SELECT r.area_code FROM access.account_area AS r WHERE r.account_id = a.id ORDER BY r.area_code) AS areas,
    ARRAY(
        SELECT u.name_zh FROM access.account_area AS r JOIN territory.unit AS u ON u.code = r.area_code
        WHERE r.account_id = a.id ORDER BY r.area_code
    ) AS area_names,
    ARRAY(SELECT r.site_id FROM access.account_site AS r WHERE r.account_id = a.id ORDER BY r.site_id) AS sites,
    (
        SELECT count(*) FROM access.session AS s
        WHERE s.account_id = a.id AND s.ended_at IS NULL AND s.idle_until > %(at)s AND s.expires_at > %(at)s
    ) AS open_sessions,
    (
        SELECT count(*) FROM access.token AS t
        WHERE t.account_id = a.id AND t.revoked_at IS NULL AND t.expires_at > %(at)s
    ) AS open_tokens,
    (SELECT max(s.last_used_at) FROM access.session AS s WHERE s.account_id = a.id) AS last_seen_at
FROM access.account AS a
WHERE %(login)s::text IS NULL OR a.login = %(login)s
ORDER BY a.login
