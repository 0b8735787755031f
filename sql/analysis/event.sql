-- needs: parameter
-- No CTE: with one, PostgreSQL would join and look for frames for every event before it counts them or takes the newest 80.
CREATE VIEW analysis.event_of_any_mode AS
SELECT
    i.id, i.incident_no, i.class, i.state, i.review, i.review_reason,
    i.first_seen_at, i.last_seen_at, i.opened_at, i.closed_at, i.peak_score, i.observation_count,
    i.camera_id, c.gb_id, c.name_zh AS camera_name_zh,
    i.site_id, s.name_zh AS site_name_zh, i.key_risk_area_id, a.name_zh AS key_risk_area_zh,
    i.cell_code, i.town_code, t.name_zh AS town_zh, t.name_en AS town_en,
    i.placing_method, i.semi_major_m, i.semi_minor_m, i.rotation_deg, i.permit_id,
    -- The newest frame that was kept is its picture; asked only for rows and columns that are read.
    (
        SELECT e.id FROM watch.evidence AS e WHERE e.incident_id = i.id ORDER BY e.not_kept NULLS FIRST, e.captured_at DESC, e.id LIMIT 1
    ) AS evidence_id,
    (
        SELECT e.sha256 FROM watch.evidence AS e WHERE e.incident_id = i.id ORDER BY e.not_kept NULLS FIRST, e.captured_at DESC, e.id LIMIT 1
    ) AS evidence_sha256,
    i.model_hash, i.is_generated,
    i.geom, i.geom_3857, i.ellipse, i.reviewed_at, i.reviewed_by,
    i.mode,
    CASE WHEN i.class IN ('welding_arc', 'sparks')
        THEN CASE WHEN i.permit_id IS NOT NULL THEN 'permitted' ELSE 'unpermitted' END
    END AS permit_state,
    (SELECT count(*) FROM watch.incident_camera AS v WHERE v.incident_id = i.id) AS camera_count,
    (SELECT max(v.looked_at[1]) FROM watch.incident_camera AS v WHERE v.incident_id = i.id) AS last_looked_at
FROM watch.incident AS i
-- LEFT: an incident in the reader's area may have been seen by a camera that it does not see.
LEFT JOIN registry.camera AS c ON c.id = i.camera_id
LEFT JOIN registry.site AS s ON s.id = i.site_id
LEFT JOIN registry.key_risk_area AS a ON a.id = i.key_risk_area_id
LEFT JOIN territory.unit AS t ON t.code = i.town_code
WHERE i.state <> 'candidate'
    -- A candidate that came to nothing is closed without ever having been opened.
    AND NOT (i.state = 'closed' AND i.opened_at IS NULL);
COMMENT ON VIEW analysis.event_of_any_mode IS '事件线索，含影子模式；地图、统计用 analysis.event; incidents of alert and of shadow together: only to compare them.';
CREATE VIEW analysis.event AS
SELECT e.* FROM analysis.event_of_any_mode AS e WHERE e.mode = 'alert';
COMMENT ON VIEW analysis.event IS '事件线索：每起事件一行（不含候选）; incidents, one row per event in the world, candidates left out. A lead until reviewed.';
COMMENT ON COLUMN analysis.event.semi_major_m IS '95 % error ellipse, metres.';
COMMENT ON COLUMN analysis.event.review IS 'unreviewed | confirmed | false | permitted.';
COMMENT ON COLUMN analysis.event.mode IS 'alert; shadow ones are in analysis.shadow_event, on no map and in no figure.';
COMMENT ON COLUMN analysis.event.permit_state IS 'Hot work: whether a permit holds at its place at its last look, permitted | unpermitted. NULL = no hot work. A hint: the review is for people.';
COMMENT ON COLUMN analysis.event.camera_count IS 'Cameras that see or saw it.';
COMMENT ON COLUMN analysis.event.last_looked_at IS 'The newest usable look of any of these cameras, whether or not it showed it: since then nobody has seen its place.';
CREATE VIEW analysis.shadow_event AS
SELECT e.* FROM analysis.event_of_any_mode AS e WHERE e.mode = 'shadow';
COMMENT ON VIEW analysis.shadow_event IS '影子模式的线索：不推送、不上图、不计数，仅供比较; incidents of cameras and classes in shadow mode: told to nobody, on no map, in no figure.';

-- What goes on, as far as anybody knows, and cannot be seen: no camera that saw it was looked through in time.
CREATE FUNCTION analysis.event_unseen_at(moment timestamptz) RETURNS TABLE (
    incident_id uuid, incident_no bigint, class text, state text, unseen_since timestamptz, camera_count bigint
) LANGUAGE sql STABLE AS $$
    WITH live AS (
        SELECT i.id, i.incident_no, i.class, i.state
        FROM watch.incident AS i
        WHERE i.state IN ('open', 'quiet') AND i.mode = 'alert' AND i.first_seen_at <= moment
    ),
    looked AS (
        SELECT
            l.id, count(*) AS cameras, max(v.looked_at[1]) AS last_looked_at,
            -- A period that the reader may not know is taken to be a long one: 15 minutes between two looks.
            max(coalesce(d.period_s, c.period_s, 900)) AS period_s
        FROM live AS l
        JOIN watch.incident_camera AS v ON v.incident_id = l.id
        LEFT JOIN registry.camera AS c ON c.id = v.camera_id
        LEFT JOIN watch.scan_due AS d ON d.camera_id = v.camera_id
        GROUP BY l.id
    )
    SELECT l.id, l.incident_no, l.class, l.state, k.last_looked_at, k.cameras
    FROM live AS l
    JOIN looked AS k ON k.id = l.id
    WHERE k.last_looked_at + make_interval(secs => greatest(
        analysis.parameter_value('watch_late_periods') * k.period_s, analysis.parameter_value('watch_late_seconds')
    )) < moment
$$;
CREATE VIEW analysis.event_unseen AS SELECT * FROM analysis.event_unseen_at(now());
COMMENT ON VIEW analysis.event_unseen IS '仍未结束、但此刻没有摄像机能看到的线索及起始时间; incidents that are not over and that no camera can see now, and since when.';

-- Incidents as they stood: what was closed or reviewed later was open or unreviewed. Whether an open one was quiet for a while, and a
-- review that another one replaced since, nobody can tell any more. last_seen_at: NULL where it was seen after the moment too.
CREATE FUNCTION analysis.event_at(moment timestamptz) RETURNS TABLE (
    id uuid, incident_no bigint, class text, state text, review text, review_reason text, first_seen_at timestamptz, last_seen_at timestamptz,
    town_code text, cell_code text
) LANGUAGE sql STABLE AS $$
    SELECT
        e.id, e.incident_no, e.class,
        CASE
            WHEN coalesce(e.closed_at <= moment, e.state = 'closed') THEN 'closed'
            WHEN e.state = 'closed' OR e.last_seen_at > moment THEN 'open'
            ELSE e.state
        END,
        CASE WHEN e.reviewed_at > moment THEN 'unreviewed' ELSE e.review END, CASE WHEN e.reviewed_at > moment THEN NULL ELSE e.review_reason END,
        e.first_seen_at, CASE WHEN e.last_seen_at <= moment THEN e.last_seen_at END, e.town_code, e.cell_code
    FROM analysis.event AS e
    WHERE e.first_seen_at <= moment
$$;
COMMENT ON FUNCTION analysis.event_at IS '某一时刻的事件线索：当时的状态与核实; incidents as they stood at a moment: state and review of then.';
