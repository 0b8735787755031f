-- A camera's incidents that are not closed, locked for this transaction, each with its earlier looks.
WITH live AS (
    SELECT i.*
    FROM watch.incident AS i
    WHERE i.camera_id = %(camera_id)s AND i.state <> 'closed'
    ORDER BY i.id
    FOR UPDATE
)
SELECT
    l.id,
    l.incident_no,
    l.class,
    l.state,
    l.review,
    l.box,
    ST_X(l.geom) AS x,
    ST_Y(l.geom) AS y,
    l.placing_method,
    l.semi_major_m,
    l.last_seen_at,
    l.opened_at,
    l.peak_score,
    -- Whether each observed scan since the first saw it, newest first, this scan left out.
    ARRAY(
        SELECT EXISTS (
            SELECT FROM watch.incident_observation AS s WHERE s.incident_id = l.id AND s.observation_id = o.id
        )
        FROM watch.observation AS o
        WHERE o.camera_id = l.camera_id
            AND o.observed
            AND o.captured_at >= l.first_seen_at
            AND o.id <> %(observation_id)s
        ORDER BY o.captured_at DESC
        LIMIT %(memory)s
    ) AS seen,
    (SELECT count(*) FROM watch.evidence AS e WHERE e.incident_id = l.id) AS frames_kept,
    (SELECT max(e.captured_at) FROM watch.evidence AS e WHERE e.incident_id = l.id) AS last_frame_at
FROM live AS l;
