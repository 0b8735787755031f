-- Who an API token is, while it lasts, and what it may be used for.
SELECT
    a.id AS account_id, a.login, a.name_zh, a.name_en, a.roles, a.scope, a.db_role, a.must_change_password, a.is_demo,
    t.id AS token_id, t.scopes AS token_scopes, t.last_used_at,
    ARRAY(SELECT r.area_code FROM access.account_area AS r WHERE r.account_id = a.id ORDER BY r.area_code) AS areas,
    ARRAY(SELECT r.site_id FROM access.account_site AS r WHERE r.account_id = a.id ORDER BY r.site_id) AS sites,
    access.actions_of(a.db_role) AS actions
FROM access.token AS t
JOIN access.account AS a ON a.id = t.account_id
WHERE t.token_hash = %(token_hash)s
    AND t.revoked_at IS NULL AND t.expires_at > %(at)s
    AND a.disabled_at IS NULL
