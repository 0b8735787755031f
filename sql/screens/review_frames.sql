-- Frames of a lead in the order of time, and those that other leads of the same camera kept shortly before and after.
WITH lead AS (
    SELECT i.id, i.camera_id, i.first_seen_at, i.last_seen_at FROM watch.incident AS i WHERE i.id = %(id)s
),
-- The first frame and the newest ones are those to judge by.
own AS (
    SELECT
        f.id, f.captured_at, f.boxes, f.width_px, f.height_px, true AS is_own, NULL::bigint AS incident_no,
        row_number() OVER (ORDER BY f.captured_at DESC, f.id) AS from_newest, row_number() OVER (ORDER BY f.captured_at, f.id) AS from_first
    FROM lead AS l JOIN watch.evidence AS f ON f.incident_id = l.id
),
around AS (
    SELECT
        f.id, f.captured_at, f.boxes, f.width_px, f.height_px, false AS is_own, o.incident_no,
        row_number() OVER (PARTITION BY f.captured_at < l.first_seen_at ORDER BY abs(extract(epoch FROM f.captured_at - l.first_seen_at))) AS nearest
    FROM lead AS l
    JOIN watch.incident AS o ON o.camera_id = l.camera_id AND o.id <> l.id AND o.mode = 'alert'
        AND o.last_seen_at >= l.first_seen_at - interval '30 minutes' AND o.first_seen_at <= l.last_seen_at + interval '30 minutes'
    JOIN watch.evidence AS f ON f.incident_id = o.id
        AND f.captured_at BETWEEN l.first_seen_at - interval '30 minutes' AND l.last_seen_at + interval '30 minutes'
)
SELECT o.id, o.captured_at, o.boxes, o.width_px, o.height_px, o.is_own, o.incident_no FROM own AS o WHERE o.from_newest <= 7 OR o.from_first = 1
UNION ALL
SELECT a.id, a.captured_at, a.boxes, a.width_px, a.height_px, a.is_own, a.incident_no FROM around AS a WHERE a.nearest <= 2
ORDER BY captured_at, id
