-- Frames of a lead in the order of time, of each camera that saw it, and those that other leads of these cameras kept
-- shortly before and after. A frame that was not kept has its place all the same: not_kept says why.
WITH lead AS (
    SELECT i.id, i.camera_id, i.first_seen_at, i.last_seen_at FROM watch.incident AS i WHERE i.id = %(id)s
),
seen_by AS (
    SELECT v.camera_id FROM lead AS l JOIN watch.incident_camera AS v ON v.incident_id = l.id
    UNION
    SELECT l.camera_id FROM lead AS l
),
other AS (
    SELECT DISTINCT o.id, o.incident_no
    FROM lead AS l
    CROSS JOIN seen_by AS s
    JOIN watch.incident_camera AS v ON v.camera_id = s.camera_id AND v.incident_id <> l.id
    JOIN watch.incident AS o ON o.id = v.incident_id AND o.mode = 'alert'
        AND o.last_seen_at >= l.first_seen_at - interval '30 minutes' AND o.first_seen_at <= l.last_seen_at + interval '30 minutes'
),
frame AS (
    SELECT f.*, coalesce(s.camera_id, l.camera_id) AS camera_id, NULL::bigint AS incident_no
    FROM lead AS l
    JOIN watch.evidence AS f ON f.incident_id = l.id
    LEFT JOIN watch.incident_observation AS s ON s.incident_id = f.incident_id AND s.observation_id = f.observation_id
),
-- The first frame and the newest ones are those to judge by: of all cameras together, and some of each.
own AS (
    SELECT
        f.*,
        row_number() OVER (PARTITION BY f.not_kept IS NULL ORDER BY f.captured_at DESC, f.id) AS from_newest,
        row_number() OVER (PARTITION BY f.camera_id, f.not_kept IS NULL ORDER BY f.captured_at DESC, f.id) AS from_its_newest,
        row_number() OVER (PARTITION BY f.camera_id ORDER BY f.captured_at, f.id) AS from_its_first
    FROM frame AS f
),
around AS (
    SELECT
        f.*, s.camera_id, o.incident_no,
        row_number() OVER (
            PARTITION BY s.camera_id, f.captured_at < l.first_seen_at ORDER BY abs(extract(epoch FROM f.captured_at - l.first_seen_at)), f.id
        ) AS nearest
    FROM lead AS l
    CROSS JOIN other AS o
    JOIN watch.evidence AS f ON f.incident_id = o.id AND f.not_kept IS NULL
        AND f.captured_at BETWEEN l.first_seen_at - interval '30 minutes' AND l.last_seen_at + interval '30 minutes'
    JOIN watch.incident AS i ON i.id = o.id
    LEFT JOIN watch.incident_observation AS t ON t.incident_id = f.incident_id AND t.observation_id = f.observation_id
    -- The other lead may have cameras of its own: only those that see this one too show what was here before.
    JOIN seen_by AS s ON s.camera_id = coalesce(t.camera_id, i.camera_id)
),
shown AS (
    SELECT o.id, o.captured_at, o.boxes, o.width_px, o.height_px, o.not_kept, o.camera_id, true AS is_own, o.incident_no
    FROM own AS o
    WHERE o.from_newest <= 7 OR o.from_its_newest <= 2 OR o.from_its_first = 1
    UNION ALL
    SELECT a.id, a.captured_at, a.boxes, a.width_px, a.height_px, a.not_kept, a.camera_id, false, a.incident_no
    FROM around AS a
    WHERE a.nearest <= 2
)
SELECT s.*, c.name_zh AS camera_zh
FROM shown AS s
-- LEFT: a camera of another area may have seen a lead in the reader's own.
LEFT JOIN registry.camera AS c ON c.id = s.camera_id
ORDER BY s.captured_at, s.id
