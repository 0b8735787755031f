-- Cameras that saw a lead, the first one first, then those that see its place (its error ellipse where it has one) and
-- observe, then the others. Those that saw it are never left out; of a camera of another area only that there is one.
WITH lead AS (
    SELECT i.id, coalesce(i.ellipse, i.geom) AS place FROM watch.incident AS i WHERE i.id = %(id)s
),
seen_by AS (
    SELECT v.camera_id, v.first_seen_at, v.last_seen_at, v.peak_score
    FROM lead AS l JOIN watch.incident_camera AS v ON v.incident_id = l.id
),
beside AS (
    SELECT near.id AS camera_id
    FROM lead AS l
    JOIN registry.camera AS near ON near.sector && l.place AND ST_Intersects(near.ground, l.place)
    WHERE near.id NOT IN (SELECT s.camera_id FROM seen_by AS s)
),
known AS MATERIALIZED (
    SELECT c.id, c.name_zh, c.observed, c.reason, c.last_observed_at, c.sector IS NOT NULL AS has_pose
    FROM analysis.camera_at(%(now)s) AS c
    WHERE c.id IN (SELECT s.camera_id FROM seen_by AS s UNION SELECT b.camera_id FROM beside AS b)
),
found AS (
    SELECT s.camera_id AS id, true AS is_its_own, s.first_seen_at, s.last_seen_at, s.peak_score FROM seen_by AS s
    UNION ALL
    (
        SELECT b.camera_id, false, NULL, NULL, NULL
        FROM beside AS b JOIN known AS k ON k.id = b.camera_id
        ORDER BY k.observed DESC, k.id
        LIMIT 12
    )
)
SELECT
    f.id, f.is_its_own, f.first_seen_at, f.last_seen_at, f.peak_score,
    coalesce(k.name_zh, c.name_zh) AS name_zh, k.id IS NOT NULL AS is_in_use, k.observed, k.reason, k.last_observed_at, k.has_pose
FROM found AS f
LEFT JOIN known AS k ON k.id = f.id
-- One that was taken down since has a name and nothing else.
LEFT JOIN registry.camera AS c ON c.id = f.id
ORDER BY f.is_its_own DESC, f.first_seen_at, k.observed DESC, f.id
