-- The hot-work permit of an incident's place at its last look: another one than before, or none, also counts.
-- A permit that has ended, or is of another place, is taken off again. No row comes back where nothing changed.
WITH permit AS (
    SELECT p.id
    FROM watch.incident AS i
    JOIN registry.hot_work_permit AS p ON ST_Intersects(p.geom, coalesce(i.ellipse, i.geom))
    WHERE i.id = %(id)s
        AND i.class IN ('welding_arc', 'sparks')
        AND p.status IN ('approved', 'active', 'extended')
        AND i.last_seen_at >= p.starts_at
        AND i.last_seen_at < p.ends_at
    ORDER BY ST_Distance(p.geom, i.geom), p.id
    LIMIT 1
)
UPDATE watch.incident AS i
SET permit_id = (SELECT p.id FROM permit AS p)
WHERE i.id = %(id)s AND i.permit_id IS DISTINCT FROM (SELECT p.id FROM permit AS p)
RETURNING i.permit_id;
