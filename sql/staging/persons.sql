-- People of an import, found or made, with the local_id of those that are new or changed. What a file does not say (NULL)
-- takes nothing away.
WITH given AS (
    SELECT g.local_id, min(g.name_zh) AS name_zh, min(g.phone) AS phone, max(g.department_code) AS department_code,
        max(g.unit_code) AS unit_code, bool_or(g.can_admin_inspect) AS can_admin_inspect
    FROM unnest(
        %(local_id)s::text[], %(name_zh)s::text[], %(phone)s::text[], %(department_code)s::text[], %(unit_code)s::text[],
        %(can_admin_inspect)s::boolean[]
    ) AS g (local_id, name_zh, phone, department_code, unit_code, can_admin_inspect)
    GROUP BY g.local_id
),
wanted AS (
    SELECT g.local_id, g.name_zh, g.phone, p.id,
        coalesce(g.department_code, p.department_code) AS department_code,
        coalesce(g.unit_code, p.unit_code) AS unit_code,
        coalesce(g.can_admin_inspect, p.can_admin_inspect, false) AS can_admin_inspect
    FROM given AS g LEFT JOIN duty.person AS p ON p.local_id = g.local_id
),
written AS (
    SELECT w.* FROM wanted AS w LEFT JOIN duty.person AS p ON p.id = w.id
    WHERE p.id IS NULL
        OR (p.department_code, p.unit_code, p.can_admin_inspect) IS DISTINCT FROM (w.department_code, w.unit_code, w.can_admin_inspect)
),
-- What the changed ones were before: the way back (staging.change).
kept AS (
    INSERT INTO staging.change (batch_id, register, row_id, before)
    SELECT %(batch_id)s, 'duty.person', p.id::text, to_jsonb(p) FROM written AS w JOIN duty.person AS p ON p.id = w.id
    ON CONFLICT DO NOTHING
)
INSERT INTO duty.person AS p (local_id, name_zh, phone, department_code, unit_code, can_admin_inspect, batch_id)
SELECT w.local_id, w.name_zh, w.phone, w.department_code, w.unit_code, w.can_admin_inspect, %(batch_id)s FROM written AS w
ON CONFLICT (local_id) DO UPDATE SET
    department_code = excluded.department_code, unit_code = excluded.unit_code,
    can_admin_inspect = excluded.can_admin_inspect, batch_id = excluded.batch_id
RETURNING p.local_id
