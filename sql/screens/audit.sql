-- Audit records that the reader may see (the policies of access.audit say which), newest first; NULL parameters do not limit.
-- The names of town, subject and given place come along where the reader may read them.
SELECT
    a.id, a.at, a.db_role, a.account_id, a.login, a.action, d.deed, a.ok, a.subject, a.subject_id, a.town_code,
    u.name_zh AS town_zh, u.name_en AS town_en, a.before, a.after, a.reason, a.detail, host(a.ip) AS ip,
    CASE
        WHEN a.subject IN ('access.account', 'access.account_area', 'access.account_site')
            THEN (SELECT b.login FROM access.account AS b WHERE b.id = n.number)
        WHEN a.subject = 'access.token' THEN (
            SELECT t.name || ' · ' || b.login FROM access.token AS t JOIN access.account AS b ON b.id = t.account_id
            WHERE t.id = n.number
        )
        WHEN a.subject = 'registry.site' THEN (SELECT s.name_zh FROM registry.site AS s WHERE s.id = n.number)
        WHEN a.subject = 'registry.camera' THEN (SELECT c.name_zh FROM registry.camera AS c WHERE c.id = n.number)
        WHEN a.subject = 'watch.camera_mode'
            THEN (SELECT c.name_zh FROM registry.camera AS c WHERE c.id = (coalesce(a.after, a.before) ->> 'camera_id')::bigint)
        WHEN a.subject = 'watch.mask' THEN (
            SELECT c.name_zh FROM watch.mask AS m JOIN registry.camera AS c ON c.id = m.camera_id WHERE m.id = n.number
        )
    END AS subject_name,
    CASE
        WHEN a.subject = 'access.account_area'
            THEN (SELECT v.name_zh FROM territory.unit AS v WHERE v.code = coalesce(a.after, a.before) ->> 'area_code')
        WHEN a.subject = 'access.account_site'
            THEN (SELECT s.name_zh FROM registry.site AS s WHERE s.id = (coalesce(a.after, a.before) ->> 'site_id')::bigint)
    END AS place_zh,
    CASE
        WHEN a.subject = 'access.account_area'
            THEN (SELECT v.name_en FROM territory.unit AS v WHERE v.code = coalesce(a.after, a.before) ->> 'area_code')
    END AS place_en
FROM access.audit AS a
LEFT JOIN territory.unit AS u ON u.code = a.town_code
CROSS JOIN LATERAL (SELECT CASE WHEN a.subject_id ~ '^[0-9]{1,18}$' THEN a.subject_id::bigint END AS number) AS n
-- What a change of a row was, where one word says it.
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN a.subject = 'access.account' AND a.action = 'update' AND a.after ? 'disabled_at'
            THEN CASE WHEN a.after ->> 'disabled_at' IS NULL THEN 'account_enabled' ELSE 'account_disabled' END
        WHEN a.subject = 'access.account' AND a.action = 'update' AND a.after ? 'roles' THEN 'role_changed'
        WHEN a.subject IN ('access.account_area', 'access.account_site') AND a.action = 'insert' THEN 'area_given'
        WHEN a.subject IN ('access.account_area', 'access.account_site') AND a.action = 'delete' THEN 'area_taken'
        WHEN a.subject = 'access.account' AND a.action = 'insert' THEN 'account_added'
        WHEN a.subject = 'access.token' AND a.action = 'insert' THEN 'token_made'
        WHEN a.subject = 'access.token' AND a.action = 'update' AND a.after ? 'revoked_at' THEN 'token_revoked'
        WHEN a.subject = 'watch.receiver' AND a.action = 'insert' THEN 'receiver_added'
        WHEN a.subject = 'watch.receiver' AND a.action = 'update' AND a.after ? 'removed_at' THEN 'receiver_removed'
        WHEN a.subject = 'watch.receiver' AND a.action = 'update' AND a.after ? 'paused_at'
            THEN CASE WHEN a.after ->> 'paused_at' IS NULL THEN 'receiver_resumed' ELSE 'receiver_paused' END
        WHEN a.subject = 'watch.camera_mode' AND a.action = 'insert' THEN 'mode_set'
        WHEN a.subject = 'watch.mask' AND a.action = 'update' AND a.after ? 'state'
            THEN CASE a.after ->> 'state' WHEN 'active' THEN 'mask_accepted' WHEN 'refused' THEN 'mask_refused' WHEN 'ended' THEN 'mask_ended'
                ELSE a.action END
        ELSE a.action
    END AS deed
) AS d
WHERE (%(since)s::timestamptz IS NULL OR a.at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR a.at < %(until)s)
    AND (%(login)s::text IS NULL OR starts_with(coalesce(a.login, a.db_role), %(login)s))
    AND (%(action)s::text IS NULL OR %(action)s IN (a.action, d.deed))
    AND (%(subject)s::text IS NULL OR a.subject = %(subject)s)
    AND (%(town)s::text IS NULL OR a.town_code = %(town)s)
    AND (NOT %(refused_only)s OR NOT a.ok)
    AND (
        %(like)s::text IS NULL OR a.subject_id ILIKE %(like)s OR a.reason ILIKE %(like)s OR host(a.ip) LIKE %(like)s
        OR a.before::text ILIKE %(like)s OR a.after::text ILIKE %(like)s OR a.detail::text ILIKE %(like)s
    )
    AND (%(before_id)s::bigint IS NULL OR a.id < %(before_id)s)
ORDER BY a.id DESC
LIMIT %(limit)s
