-- needs: parameter
-- No CTE: with one, PostgreSQL would join and look for frames for every event before it counts them or takes the newest 80.
CREATE VIEW analysis.event AS
SELECT
    i.id, i.incident_no, i.class, i.state, i.review, i.review_reason,
    i.first_seen_at, i.last_seen_at, i.opened_at, i.closed_at, i.peak_score, i.observation_count,
    i.camera_id, c.gb_id, c.name_zh AS camera_name_zh,
    i.site_id, s.name_zh AS site_name_zh, i.key_risk_area_id, a.name_zh AS key_risk_area_zh,
    i.cell_code, i.town_code, t.name_zh AS town_zh, t.name_en AS town_en,
    i.placing_method, i.semi_major_m, i.semi_minor_m, i.rotation_deg, i.permit_id,
    -- The newest frame of each incident is its picture; asked only for rows and columns that are read.
    (
        SELECT e.id FROM watch.evidence AS e WHERE e.incident_id = i.id ORDER BY e.captured_at DESC, e.id LIMIT 1
    ) AS evidence_id,
    (
        SELECT e.sha256 FROM watch.evidence AS e WHERE e.incident_id = i.id ORDER BY e.captured_at DESC, e.id LIMIT 1
    ) AS evidence_sha256,
    i.model_hash, i.is_generated,
    i.geom, i.geom_3857, i.ellipse, i.reviewed_at, i.reviewed_by
FROM watch.incident AS i
-- LEFT: an incident in the reader's area may have been seen by a camera that it does not see.
LEFT JOIN registry.camera AS c ON c.id = i.camera_id
LEFT JOIN registry.site AS s ON s.id = i.site_id
LEFT JOIN registry.key_risk_area AS a ON a.id = i.key_risk_area_id
LEFT JOIN territory.unit AS t ON t.code = i.town_code
WHERE i.state <> 'candidate'
    -- A candidate that came to nothing is closed without ever having been opened.
    AND NOT (i.state = 'closed' AND i.opened_at IS NULL);
COMMENT ON VIEW analysis.event IS '事件线索：每起事件一行（不含候选）; incidents, one row per event in the world, candidates left out. A lead until reviewed.';
COMMENT ON COLUMN analysis.event.semi_major_m IS '95 % error ellipse, metres.';
COMMENT ON COLUMN analysis.event.review IS 'unreviewed | confirmed | false | permitted.';

CREATE FUNCTION analysis.observation_hour_at(moment timestamptz) RETURNS TABLE (
    camera_id bigint, gb_id text, hour timestamptz, due integer, observed integer, unobserved integer,
    unaccounted integer, reasons jsonb
) LANGUAGE sql STABLE AS $$
    -- Hours of the last day in which a connected camera was due, whether or not anything was written; and all written hours.
    WITH due_hour AS (
        SELECT c.id AS camera_id, h.hour
        FROM registry.camera AS c
        CROSS JOIN generate_series(date_trunc('hour', moment) - interval '23 hours', date_trunc('hour', moment), interval '1 hour') AS h (hour)
        WHERE c.is_connected AND c.enabled
            AND (c.installed_on IS NULL OR c.installed_on <= analysis.city_date(h.hour))
            AND (c.retired_on IS NULL OR c.retired_on > analysis.city_date(h.hour))
        UNION
        SELECT o.camera_id, o.hour FROM watch.observation_hour AS o WHERE o.hour <= moment
    ),
    -- Scans due: the camera's period over the part of the hour that has passed.
    counted AS (
        SELECT
            d.camera_id, d.hour, c.gb_id,
            greatest(
                floor(least(extract(epoch FROM moment - d.hour), 3600) / c.period_s)::integer,
                coalesce(o.observed + o.unobserved, 0)
            ) AS due,
            coalesce(o.observed, 0) AS observed,
            coalesce(o.unobserved, 0) AS unobserved,
            coalesce(o.reasons, '{}') AS reasons
        FROM due_hour AS d
        JOIN registry.camera AS c ON c.id = d.camera_id
        LEFT JOIN watch.observation_hour AS o ON o.camera_id = d.camera_id AND o.hour = d.hour
    )
    SELECT k.camera_id, k.gb_id, k.hour, k.due, k.observed, k.unobserved, k.due - k.observed - k.unobserved, k.reasons
    FROM counted AS k
$$;
CREATE VIEW analysis.observation_hour AS SELECT * FROM analysis.observation_hour_at(now());
COMMENT ON VIEW analysis.observation_hour IS '每台摄像机每小时：应看、已看、未看到（含原因）、无记录; scans per camera and hour: due, observed, unobserved with reasons, unaccounted for.';
COMMENT ON COLUMN analysis.observation_hour.due IS 'Scans due by the camera''s period (a running hour counts up to now).';
COMMENT ON COLUMN analysis.observation_hour.unaccounted IS 'Due, but no result was written: nobody looked.';
