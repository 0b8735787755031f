-- Cameras that saw a lead, then those that see its place (its error ellipse where it has one); those that observe first.
WITH lead AS (
    SELECT
        i.id, coalesce(i.ellipse, i.geom) AS place,
        ARRAY(SELECT v.camera_id FROM watch.incident_camera AS v WHERE v.incident_id = i.id) || i.camera_id AS seen_by
    FROM watch.incident AS i
    WHERE i.id = %(id)s
)
SELECT c.id, c.name_zh, c.observed, c.reason, c.last_observed_at, c.id = ANY (l.seen_by) AS is_its_own
FROM lead AS l
JOIN registry.camera AS near ON near.id = ANY (l.seen_by) OR near.sector && l.place
JOIN analysis.camera_at(%(now)s) AS c ON c.id = near.id
WHERE c.id = ANY (l.seen_by) OR ST_Intersects(c.sector, l.place)
ORDER BY is_its_own DESC, c.observed DESC, c.id
LIMIT 12
