-- Incidents by id, as a look of one camera needs them: what this camera saw of each (NULL: it did not see it), and the looks
-- of the others that see it. One that could not be looked through last, or was not looked through for gap_s, is left out.
SELECT
    i.id,
    i.incident_no,
    i.class,
    i.state,
    i.mode,
    i.review,
    ST_X(i.geom) AS x,
    ST_Y(i.geom) AS y,
    i.placing_method,
    i.semi_major_m,
    i.semi_minor_m,
    i.rotation_deg,
    i.last_seen_at,
    i.peak_score,
    v.box,
    v.looks,
    v.looked_at,
    v.peak_score AS own_peak_score,
    (
        SELECT count(*) FROM watch.incident_camera AS o WHERE o.incident_id = i.id AND o.camera_id <> %(camera_id)s
    ) AS others_count,
    (
        SELECT coalesce(jsonb_agg(o.looks ORDER BY o.camera_id), '[]')
        FROM watch.incident_camera AS o
        JOIN watch.camera_health AS h ON h.camera_id = o.camera_id
        WHERE o.incident_id = i.id
            AND o.camera_id <> %(camera_id)s
            AND h.observed
            AND o.looked_at[1] >= %(at)s::timestamptz - make_interval(secs => %(gap_s)s)
    ) AS others,
    (SELECT count(*) FROM watch.evidence AS e WHERE e.incident_id = i.id) AS frames_kept,
    (SELECT max(e.captured_at) FROM watch.evidence AS e WHERE e.incident_id = i.id) AS last_frame_at
FROM watch.incident AS i
LEFT JOIN watch.incident_camera AS v ON v.incident_id = i.id AND v.camera_id = %(camera_id)s
WHERE i.id = ANY (%(ids)s::uuid[])
ORDER BY i.id;
