-- Modes of some cameras by class, what each found in a time, and how many of its due looks saw a picture.
WITH found AS (
    SELECT
        f.camera_id, f.class,
        jsonb_object_agg(f.mode, jsonb_build_object(
            'found', f.found, 'confirmed', f.confirmed, 'false', f.false_alarms, 'permitted', f.permitted, 'unreviewed', f.unreviewed
        )) AS by_mode
    FROM analysis.found_by_camera(%(since)s, %(at)s, %(cameras)s) AS f
    GROUP BY 1, 2
),
looked AS (
    SELECT h.camera_id, sum(h.due) AS due, sum(h.observed) AS observed
    FROM watch.observation_hour AS h
    WHERE h.camera_id = ANY (%(cameras)s) AND h.hour >= %(since)s AND h.hour < %(at)s
    GROUP BY 1
)
SELECT
    m.camera_id, m.class, m.mode, m.reason, m.set_at, m.set_by, coalesce(f.by_mode, '{}') AS found,
    coalesce(k.due, 0)::bigint AS due, coalesce(k.observed, 0)::bigint AS observed
FROM analysis.camera_mode AS m
LEFT JOIN found AS f ON f.camera_id = m.camera_id AND f.class = m.class
LEFT JOIN looked AS k ON k.camera_id = m.camera_id
WHERE m.camera_id = ANY (%(cameras)s)
ORDER BY m.camera_id, m.class;
