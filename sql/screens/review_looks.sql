-- What the camera's looks gave from ten minutes before a lead to ten minutes after its last sight, at most the newest 160.
SELECT n.* FROM (
    SELECT o.captured_at, o.observed, o.reason, jsonb_array_length(o.boxes) AS boxes
    FROM watch.incident AS i
    JOIN watch.observation AS o ON o.camera_id = i.camera_id
        AND o.captured_at BETWEEN i.first_seen_at - interval '10 minutes' AND i.last_seen_at + interval '10 minutes'
    WHERE i.id = %(id)s
    ORDER BY o.captured_at DESC
    LIMIT 160
) AS n
ORDER BY n.captured_at
