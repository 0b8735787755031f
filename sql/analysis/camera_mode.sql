-- How the boxes of each camera and class count: the newest row of the class or of all classes holds.
CREATE VIEW analysis.camera_mode AS
SELECT
    c.id AS camera_id, c.gb_id, c.name_zh AS camera_name_zh, c.town_code, k.class, coalesce(m.mode, 'default') AS mode,
    m.reason, m.set_at, m.set_by,
    (c.azimuth_deg IS NOT NULL AND c.tilt_deg IS NOT NULL AND c.hfov_deg IS NOT NULL AND c.height_m IS NOT NULL) AS has_pose
FROM registry.camera AS c
CROSS JOIN (VALUES ('fire'), ('smoke'), ('welding_arc'), ('sparks')) AS k (class)
LEFT JOIN LATERAL (
    SELECT w.mode, w.reason, w.set_at, w.set_by
    FROM watch.camera_mode AS w
    WHERE w.camera_id = c.id AND (w.class IS NULL OR w.class = k.class)
    ORDER BY w.id DESC
    LIMIT 1
) AS m ON true;
COMMENT ON VIEW analysis.camera_mode IS '摄像机逐类别的模式：只计数、影子、报警或默认; how the boxes of each camera and class count.';
COMMENT ON COLUMN analysis.camera_mode.mode IS 'measure (counted only) | shadow (incidents kept apart, told to nobody) | alert | default (as the watch''s settings say: alert, and shadow where has_pose is false, unless they say otherwise).';

-- What cameras found in a time, by class and by how it counted. Incidents count for every camera that saw them; boxes that
-- were measured only, or lie under a mask, are counted as boxes. cameras: NULL = all that the reader sees.
CREATE FUNCTION analysis.found_by_camera(since timestamptz, until timestamptz, cameras bigint[] DEFAULT NULL) RETURNS TABLE (
    camera_id bigint, class text, mode text, found bigint, confirmed bigint, false_alarms bigint, permitted bigint, unreviewed bigint
) LANGUAGE sql STABLE AS $$
    SELECT
        v.camera_id, i.class, i.mode, count(*),
        count(*) FILTER (WHERE i.review = 'confirmed'), count(*) FILTER (WHERE i.review = 'false'),
        count(*) FILTER (WHERE i.review = 'permitted'), count(*) FILTER (WHERE i.review = 'unreviewed')
    FROM watch.incident_camera AS v
    JOIN watch.incident AS i ON i.id = v.incident_id
    WHERE v.last_seen_at >= since AND v.first_seen_at < until
        AND ($3 IS NULL OR v.camera_id = ANY ($3))
        -- A candidate that came to nothing was never opened.
        AND i.opened_at IS NOT NULL AND i.state <> 'candidate'
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT s.camera_id, s.class, s.why, sum(s.boxes)::bigint, NULL, NULL, NULL, NULL
    FROM watch.set_aside_hour AS s
    WHERE s.hour >= since AND s.hour < until AND ($3 IS NULL OR s.camera_id = ANY ($3))
    GROUP BY 1, 2, 3
$$;
COMMENT ON FUNCTION analysis.found_by_camera(timestamptz, timestamptz, bigint[]) IS '摄像机在一段时间内发现了什么、核实结果如何; what cameras found in a time by class and mode (alert, shadow: incidents; measure, mask: boxes), with reviews.';

-- Masks with what proposed them and the last frame that was kept of their camera, which is what they are judged over.
CREATE FUNCTION analysis.camera_mask_at(moment timestamptz) RETURNS TABLE (
    id bigint, camera_id bigint, gb_id text, camera_name_zh text, town_code text, class text, polygon jsonb, state text, cause text,
    incident_id uuid, incident_no bigint, review text, review_reason text, reviewed_by text, reviewed_at timestamptz, same_reviews bigint,
    proposed_at timestamptz, proposed_by text, decided_at timestamptz, decided_by text, until timestamptz, suppressed bigint,
    last_suppressed_at timestamptz, evidence_id uuid, captured_at timestamptz, width_px integer, height_px integer
) LANGUAGE sql STABLE AS $$
    SELECT
        m.id, c.id, c.gb_id, c.name_zh, c.town_code, m.class, m.polygon,
        CASE WHEN m.state = 'active' AND m.until <= moment THEN 'expired' ELSE m.state END,
        m.cause, i.id, i.incident_no, i.review, i.review_reason, i.reviewed_by, i.reviewed_at,
        -- False alarms of the same class and cause at this camera in the 30 days before.
        (
            SELECT count(*) FROM watch.incident_camera AS v JOIN watch.incident AS o ON o.id = v.incident_id
            WHERE v.camera_id = m.camera_id AND v.last_seen_at >= moment - interval '30 days' AND o.class = m.class
                AND o.review = 'false' AND o.false_cause = m.cause
        ),
        m.proposed_at, m.proposed_by, m.decided_at, m.decided_by, m.until, m.suppressed, m.last_suppressed_at,
        f.id, f.captured_at, f.width_px, f.height_px
    FROM watch.mask AS m
    JOIN registry.camera AS c ON c.id = m.camera_id
    LEFT JOIN watch.incident AS i ON i.id = m.incident_id
    LEFT JOIN LATERAL (
        SELECT e.id, e.captured_at, e.width_px, e.height_px
        FROM (
            SELECT v.incident_id FROM watch.incident_camera AS v WHERE v.camera_id = m.camera_id ORDER BY v.last_seen_at DESC LIMIT 20
        ) AS v
        JOIN watch.incident_observation AS s ON s.incident_id = v.incident_id AND s.camera_id = m.camera_id
        JOIN watch.evidence AS e ON e.incident_id = s.incident_id AND e.observation_id = s.observation_id
        WHERE e.not_kept IS NULL
        ORDER BY e.captured_at DESC, e.id
        LIMIT 1
    ) AS f ON true
$$;
COMMENT ON FUNCTION analysis.camera_mask_at(timestamptz) IS '误报遮罩及其由来; masks with the reviews that proposed them, what they suppressed, and the last kept frame of their camera.';
CREATE VIEW analysis.camera_mask AS SELECT * FROM analysis.camera_mask_at(now());
COMMENT ON VIEW analysis.camera_mask IS '误报遮罩及其由来; masks as of now.';
