-- needs: parameter
CREATE FUNCTION analysis.camera_blind_at(moment timestamptz) RETURNS TABLE (
    camera_id bigint, gb_id text, name_zh text, town_code text, cell_code text, site_id bigint, site_name_zh text,
    reason text, detail text, since timestamptz, last_observed_at timestamptz, next_due_at timestamptz,
    is_watch_late boolean, key_risk_area_count bigint, unwatched_area_count bigint, worst_level text,
    key_risk_areas_zh text[], key_risk_areas_en text[], incident_count bigint, incident_nos bigint[],
    geom geometry(Point, :srid)
) LANGUAGE sql STABLE AS $$
    WITH record AS MATERIALIZED (
        SELECT moment < now() AND moment >= min(r.began_at) AS holds FROM watch.connection_record AS r
    ),
    place AS MATERIALIZED (
        SELECT
            c.id, c.gb_id, c.name_zh, c.town_code, c.cell_code, c.site_id, c.geom, c.sector IS NULL AS has_no_sector,
            h.camera_id IS NOT NULL AS has_health,
            h.reason, h.detail, h.since, h.last_try_at, h.last_observed_at,
            d.next_due_at,
            -- When it should have been looked through next, and how long a watch may take to get there.
            coalesce(d.next_due_at, h.last_try_at + make_interval(secs => c.period_s)) AS due_at,
            greatest(
                (SELECT analysis.parameter_value('watch_late_periods')) * coalesce(d.period_s, c.period_s),
                (SELECT analysis.parameter_value('watch_late_seconds'))
            ) AS patience_s
        FROM registry.camera AS c
        LEFT JOIN watch.camera_health AS h ON h.camera_id = c.id
        LEFT JOIN watch.scan_due AS d ON d.camera_id = c.id
        WHERE CASE
                WHEN (SELECT r.holds FROM record AS r) THEN EXISTS (
                    SELECT FROM watch.camera_connection AS k
                    WHERE k.camera_id = c.id AND k.since <= moment AND coalesce(k.until > moment, true)
                )
                ELSE c.is_connected AND c.enabled
            END
            AND (c.installed_on IS NULL OR c.installed_on <= (SELECT analysis.city_date(moment)))
            AND (c.retired_on IS NULL OR c.retired_on > (SELECT analysis.city_date(moment)))
    ),
    -- As it stands since h.since; before that, as the changes on record say. What is due is known for the present only.
    judged AS (
        SELECT
            p.*,
            coalesce(
                moment >= p.last_try_at AND p.due_at + make_interval(secs => p.patience_s) < moment,
                NOT p.has_health AND (p.due_at IS NULL OR p.due_at + make_interval(secs => p.patience_s) < moment),
                false
            ) AS is_late,
            CASE
                WHEN p.since <= moment THEN p.reason
                WHEN past.at IS NOT NULL THEN past.reason
                -- A first good look leaves no change on record, but it is counted.
                WHEN NOT EXISTS (
                    SELECT FROM watch.observation_hour AS o
                    WHERE o.camera_id = p.id AND o.hour <= moment AND o.observed > 0
                ) THEN 'never_looked'
            END AS why,
            CASE WHEN p.since <= moment THEN p.detail ELSE past.detail END AS why_detail,
            CASE WHEN p.since <= moment THEN p.since ELSE past.began END AS why_since
        FROM place AS p
        LEFT JOIN LATERAL (
            SELECT
                e.at, e.reason, e.detail,
                -- A change of its notes leaves the reason as it was.
                (
                    SELECT min(f.at) FROM watch.camera_health_event AS f
                    WHERE f.camera_id = p.id AND f.at <= moment AND f.at > coalesce(
                        (
                            SELECT max(g.at) FROM watch.camera_health_event AS g
                            WHERE g.camera_id = p.id AND g.at <= moment AND g.reason IS DISTINCT FROM e.reason
                        ),
                        '-infinity'
                    )
                ) AS began
            FROM watch.camera_health_event AS e
            WHERE p.since > moment AND e.camera_id = p.id AND e.at <= moment
            ORDER BY e.at DESC
            LIMIT 1
        ) AS past ON true
    ),
    blind AS MATERIALIZED (
        SELECT
            j.*,
            coalesce(j.why, 'not_scanned') AS blind_reason,
            CASE WHEN j.why IS NULL THEN j.due_at WHEN j.why <> 'never_looked' THEN j.why_since END AS blind_since
        FROM judged AS j
        WHERE j.why IS NOT NULL OR j.is_late
    ),
    area AS (
        SELECT a.* FROM registry.key_risk_area AS a
        WHERE a.status = 'active' AND coalesce(a.onboarded_on <= (SELECT analysis.city_date(moment)), true)
            AND coalesce(a.retired_on > (SELECT analysis.city_date(moment)), true)
    ),
    -- From the areas to the sectors' index: there are far fewer areas than cameras.
    pair AS MATERIALIZED (
        SELECT a.id AS area_id, c.id AS camera_id
        FROM area AS a
        JOIN registry.camera AS c ON c.sector && a.geom AND ST_Intersects(c.ground, a.geom)
    ),
    -- What each of them should see: by its sector, or its site's areas where the sector is not known.
    should_see AS (
        SELECT p.camera_id, p.area_id FROM pair AS p JOIN blind AS b ON b.id = p.camera_id
        UNION ALL
        SELECT b.id, a.id FROM blind AS b JOIN area AS a ON a.site_id = b.site_id WHERE b.has_no_sector
    ),
    -- Areas that a camera sees which is not blind itself.
    watched AS (
        SELECT DISTINCT p.area_id
        FROM pair AS p
        JOIN place AS c ON c.id = p.camera_id
        WHERE NOT EXISTS (SELECT FROM blind AS b WHERE b.id = p.camera_id)
    ),
    areas_of AS (
        SELECT
            s.camera_id,
            count(*) AS areas,
            count(*) FILTER (WHERE w.area_id IS NULL) AS unwatched,
            (ARRAY['blue', 'yellow', 'orange', 'red'])[max(array_position(ARRAY['blue', 'yellow', 'orange', 'red'], a.level))] AS worst,
            array_agg(a.name_zh ORDER BY a.name_zh, a.id) AS names_zh,
            array_agg(coalesce(nullif(a.name_en, ''), a.name_zh) ORDER BY a.name_zh, a.id) AS names_en
        FROM should_see AS s
        JOIN area AS a ON a.id = s.area_id
        LEFT JOIN watched AS w ON w.area_id = s.area_id
        GROUP BY s.camera_id
    ),
    live AS MATERIALIZED (
        SELECT i.id, i.incident_no, i.geom
        FROM watch.incident AS i
        WHERE i.state IN ('open', 'quiet') AND i.mode = 'alert' AND i.review <> 'false' AND i.first_seen_at <= moment
    ),
    -- Incidents that it saw itself, alone or with others, and those in its sector that only others did.
    incident_of AS (
        SELECT b.id, l.incident_no
        FROM live AS l
        JOIN watch.incident_camera AS v ON v.incident_id = l.id
        JOIN blind AS b ON b.id = v.camera_id
        UNION
        SELECT b.id, l.incident_no
        FROM live AS l
        JOIN registry.camera AS c ON c.sector && l.geom AND ST_Intersects(c.sector, l.geom)
        JOIN blind AS b ON b.id = c.id
    ),
    incidents_of AS (
        SELECT i.id, count(*) AS incidents, array_agg(i.incident_no ORDER BY i.incident_no) AS nos
        FROM incident_of AS i
        GROUP BY i.id
    )
    SELECT
        b.id, b.gb_id, b.name_zh, b.town_code, b.cell_code, b.site_id, s.name_zh,
        b.blind_reason, b.why_detail, b.blind_since,
        CASE
            WHEN b.last_observed_at > moment THEN (
                SELECT max(o.captured_at) FROM watch.observation AS o
                WHERE o.camera_id = b.id AND o.observed AND o.captured_at <= moment
            )
            ELSE b.last_observed_at
        END,
        b.next_due_at, b.is_late,
        coalesce(a.areas, 0), coalesce(a.unwatched, 0), a.worst, coalesce(a.names_zh, '{}'), coalesce(a.names_en, '{}'),
        coalesce(i.incidents, 0), coalesce(i.nos, '{}'),
        b.geom
    FROM blind AS b
    LEFT JOIN areas_of AS a ON a.camera_id = b.id
    LEFT JOIN incidents_of AS i ON i.id = b.id
    -- LEFT: a camera may serve a site that its reader does not see.
    LEFT JOIN registry.site AS s ON s.id = b.site_id
$$;
CREATE VIEW analysis.camera_blind AS SELECT * FROM analysis.camera_blind_at(now());
COMMENT ON VIEW analysis.camera_blind IS '此刻看不到画面的已接入摄像机：原因、起始时间、应看的重点风险源区域与事件; connected cameras that are blind now: why, since when, and what they should be watching.';
COMMENT ON COLUMN analysis.camera_blind.reason IS 'The watch''s own reason | never_looked (connected, no look yet) | not_scanned (its due time is long past: its watch does not run).';
COMMENT ON COLUMN analysis.camera_blind.since IS 'When it became blind: the first look that failed, or the due time that passed. NULL = it never was looked through.';
COMMENT ON COLUMN analysis.camera_blind.last_observed_at IS 'When its last usable picture was taken; for a past moment NULL where looks of that day are no longer kept.';
COMMENT ON COLUMN analysis.camera_blind.is_watch_late IS 'Its due time passed more than watch_late_periods ago: nobody tries at all.';
COMMENT ON COLUMN analysis.camera_blind.key_risk_area_count IS 'Active key risk areas in its sector (of its site where the sector is not known).';
COMMENT ON COLUMN analysis.camera_blind.unwatched_area_count IS 'Those of them that no other connected camera sees which is not blind too.';
COMMENT ON COLUMN analysis.camera_blind.incident_count IS 'Open or quiet incidents, not judged false, that it saw or that lie in its sector, as they stand now.';

CREATE VIEW analysis.camera_note AS
SELECT
    c.id AS camera_id, c.gb_id, c.name_zh, c.town_code, n.note,
    CASE WHEN n.note = 'clock_off' THEN h.clock_offset_s END AS clock_offset_s,
    h.last_try_at
FROM watch.camera_health AS h
JOIN registry.camera AS c ON c.id = h.camera_id
CROSS JOIN LATERAL unnest(h.notes) AS n (note)
WHERE c.is_connected AND c.enabled;
COMMENT ON VIEW analysis.camera_note IS '在案说明：夜视（红外灰度）、时钟偏差；不算看不到; what is on record of cameras that may be looked through all the same: night_mode (infrared), clock_off.';
COMMENT ON COLUMN analysis.camera_note.clock_offset_s IS 'The camera''s clock minus ours, seconds.';
