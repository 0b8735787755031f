-- What the looks of each camera that saw a lead gave, from ten minutes before it to ten minutes after its last sight, at
-- most the newest 160 of a camera; cameras in the order in which they saw it.
WITH lead AS (
    SELECT i.id, i.camera_id, i.first_seen_at, i.last_seen_at FROM watch.incident AS i WHERE i.id = %(id)s
),
seen_by AS (
    SELECT v.camera_id, v.first_seen_at FROM lead AS l JOIN watch.incident_camera AS v ON v.incident_id = l.id
)
SELECT s.camera_id, c.name_zh AS camera_zh, o.captured_at, o.observed, o.reason, o.boxes
FROM lead AS l
CROSS JOIN seen_by AS s
LEFT JOIN registry.camera AS c ON c.id = s.camera_id
CROSS JOIN LATERAL (
    SELECT n.captured_at, n.observed, n.reason, jsonb_array_length(n.boxes) AS boxes
    FROM watch.observation AS n
    WHERE n.camera_id = s.camera_id
        AND n.captured_at BETWEEN l.first_seen_at - interval '10 minutes' AND l.last_seen_at + interval '10 minutes'
    ORDER BY n.captured_at DESC
    LIMIT 160
) AS o
ORDER BY s.first_seen_at, s.camera_id, o.captured_at
