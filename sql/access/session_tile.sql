-- Who a session is, as far as a tile must know (what the account may do besides is left out: it takes longer than all else),
-- and what the tile follows from at this moment. Conditions as in session_caller.
SELECT
    a.id AS account_id, a.login, a.name_zh, a.name_en, a.roles, a.scope, a.db_role, a.must_change_password, a.is_demo,
    s.id AS session_id, s.last_used_at,
    ARRAY(SELECT r.area_code FROM access.account_area AS r WHERE r.account_id = a.id ORDER BY r.area_code) AS areas,
    ARRAY(SELECT r.site_id FROM access.account_site AS r WHERE r.account_id = a.id ORDER BY r.site_id) AS sites,
    '{}'::text[] AS actions,
    territory.versions_of(
        CASE WHEN a.scope = 'district' OR NOT %(scoped)s THEN %(layers)s::text[] ELSE %(layers)s::text[] || %(area_layers)s::text[] END
    ) AS versions,
    CASE WHEN %(clock_s)s::integer > 0 THEN floor(extract(epoch FROM now()) / %(clock_s)s::integer)::bigint ELSE 0 END AS clock
FROM access.session AS s
JOIN access.account AS a ON a.id = s.account_id
WHERE s.token_hash = %(token_hash)s
    AND s.ended_at IS NULL AND s.idle_until > %(at)s AND s.expires_at > %(at)s
    AND a.disabled_at IS NULL AND NOT a.must_change_password
