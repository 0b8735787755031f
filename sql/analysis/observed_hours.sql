-- needs: parameter, camera, observation_hour
-- How much of what was due in the last 24 hours was seen, by camera. No record is no answer, never "seen".
CREATE FUNCTION analysis.observed_hours_at(moment timestamptz) RETURNS TABLE (
    camera_id bigint, gb_id text, name_zh text, town_code text, cell_code text, class text,
    due bigint, observed bigint, unobserved bigint, observed_share double precision,
    looked_hours bigint, partly_hours bigint, blind_hours bigint, not_due_hours bigint,
    not_connected_hours bigint, not_known_hours bigint, geom geometry(Point, :srid), geom_3857 geometry(Point, 3857)
) LANGUAGE sql STABLE AS $$
    WITH total AS (
        SELECT
            h.camera_id, sum(h.due) AS due, sum(h.observed) AS observed, sum(h.unobserved) AS unobserved,
            count(*) FILTER (WHERE h.state = 'looked') AS looked, count(*) FILTER (WHERE h.state = 'partly') AS partly,
            count(*) FILTER (WHERE h.state = 'blind') AS blind, count(*) FILTER (WHERE h.state = 'not_due') AS not_due,
            count(*) FILTER (WHERE h.state = 'not_connected') AS not_connected,
            count(*) FILTER (WHERE h.state = 'not_known') AS not_known
        FROM analysis.observation_hour_at(moment) AS h
        GROUP BY h.camera_id
    )
    SELECT
        c.id, c.gb_id, c.name_zh, c.town_code, c.cell_code,
        CASE
            -- Hours nobody knows about are more than half of the day: no share of it is told.
            WHEN t.camera_id IS NULL OR t.not_known > 12 THEN 'not_known'
            WHEN coalesce(t.due, 0) = 0 THEN CASE WHEN t.not_connected > 0 THEN 'not_connected' WHEN t.not_known > 0 THEN 'not_known' ELSE 'not_due' END
            WHEN t.observed = 0 THEN 'blind'
            WHEN t.observed < 0.5 * t.due THEN 'under_half'
            WHEN t.observed < 0.9 * t.due THEN 'under_90'
            ELSE 'over_90'
        END,
        t.due, t.observed, t.unobserved, t.observed::double precision / nullif(t.due, 0),
        coalesce(t.looked, 0), coalesce(t.partly, 0), coalesce(t.blind, 0), coalesce(t.not_due, 0),
        coalesce(t.not_connected, 0), coalesce(t.not_known, 0), c.geom, c.geom_3857
    FROM analysis.camera_at(moment) AS c LEFT JOIN total AS t ON t.camera_id = c.id
$$;
CREATE VIEW analysis.observed_hours AS SELECT * FROM analysis.observed_hours_at(now());
COMMENT ON VIEW analysis.observed_hours IS '最近 24 小时各摄像机应看中看到的比例; the last 24 hours of each camera: scans due and observed, their share, and hours by answer.';
COMMENT ON COLUMN analysis.observed_hours.class IS 'over_90 | under_90 | under_half | blind (due, and nothing seen) | not_due | not_connected | not_known (no record for more than half of the hours).';
COMMENT ON COLUMN analysis.observed_hours.observed_share IS 'observed / due, 0 to 1; NULL = nothing was due, or nobody knows.';
