-- Accounts with their areas and sites, by code and by name, when they last signed in, and how many sessions are open at the given moment.
WITH area AS (
    SELECT r.account_id, u.name_zh, coalesce(nullif(u.name_en, ''), u.name_zh) AS name_en
    FROM access.account_area AS r JOIN territory.unit AS u ON u.code = r.area_code
    UNION ALL
    SELECT r.account_id, s.name_zh, s.name_zh
    FROM access.account_site AS r JOIN registry.site AS s ON s.id = r.site_id
),
area_list AS (
    SELECT a.account_id, array_agg(a.name_zh ORDER BY a.name_zh) AS areas_zh, array_agg(a.name_en ORDER BY a.name_en) AS areas_en
    FROM area AS a
    GROUP BY a.account_id
),
site_list AS (
    SELECT
        r.account_id,
        jsonb_agg(jsonb_build_object('value', s.id::text, 'label', s.name_zh || '　' || coalesce(s.uscc, s.local_id, '')) ORDER BY s.id) AS sites
    FROM access.account_site AS r JOIN registry.site AS s ON s.id = r.site_id
    GROUP BY r.account_id
),
used AS (
    SELECT
        s.account_id, max(s.created_at) AS last_sign_in_at,
        count(*) FILTER (WHERE s.ended_at IS NULL AND s.idle_until > %(at)s AND s.expires_at > %(at)s) AS open_sessions
    FROM access.session AS s
    GROUP BY s.account_id
)
SELECT
    a.id, a.login, a.name_zh, a.name_en, a.roles, a.scope, a.is_demo, a.has_sql_login, a.must_change_password,
    a.oidc_subject, a.password_set_at, a.disabled_at, a.created_at,
    coalesce(l.areas_zh, '{}') AS areas_zh, coalesce(l.areas_en, '{}') AS areas_en,
    ARRAY(SELECT r.area_code FROM access.account_area AS r WHERE r.account_id = a.id ORDER BY r.area_code) AS area_codes,
    ARRAY(SELECT r.site_id FROM access.account_site AS r WHERE r.account_id = a.id ORDER BY r.site_id) AS site_ids,
    coalesce(s.sites, '[]') AS sites,
    u.last_sign_in_at, coalesce(u.open_sessions, 0) AS open_sessions
FROM access.account AS a
LEFT JOIN area_list AS l ON l.account_id = a.id
LEFT JOIN site_list AS s ON s.account_id = a.id
LEFT JOIN used AS u ON u.account_id = a.id
ORDER BY a.disabled_at IS NOT NULL, a.login
