-- needs: event, camera
-- The figures of a shift, of what the reader may see.
CREATE FUNCTION analysis.shift_figures_between(since timestamptz, until timestamptz) RETURNS TABLE (
    opened bigint, confirmed bigint, false_alarms bigint, permitted bigint, still_open bigint, unreviewed bigint,
    blind_cameras bigint, connected_cameras bigint
) LANGUAGE sql STABLE AS $$
    WITH incident AS (
        SELECT
            count(*) FILTER (WHERE e.opened_at >= since AND e.opened_at < until) AS opened,
            count(*) FILTER (WHERE e.review = 'confirmed' AND e.reviewed_at >= since AND e.reviewed_at < until) AS confirmed,
            count(*) FILTER (WHERE e.review = 'false' AND e.reviewed_at >= since AND e.reviewed_at < until) AS false_alarms,
            count(*) FILTER (WHERE e.review = 'permitted' AND e.reviewed_at >= since AND e.reviewed_at < until) AS permitted,
            count(*) FILTER (WHERE e.opened_at < until AND (e.closed_at IS NULL OR e.closed_at >= until)) AS still_open,
            count(*) FILTER (
                WHERE e.opened_at < until AND (e.review = 'unreviewed' OR e.reviewed_at >= until)
            ) AS unreviewed
        FROM analysis.event AS e
    ),
    -- Blind: pictures should come, and nobody can see by them.
    camera AS (
        SELECT count(*) FILTER (WHERE NOT c.observed) AS blind, count(*) AS connected
        FROM analysis.camera_at(until) AS c
        WHERE c.is_connected
    )
    SELECT i.opened, i.confirmed, i.false_alarms, i.permitted, i.still_open, i.unreviewed, c.blind, c.connected
    FROM incident AS i CROSS JOIN camera AS c
$$;
COMMENT ON FUNCTION analysis.shift_figures_between IS '一个班次的数字：新发、属实、误报、有票、未结、待核实、看不见的摄像机; the figures of a shift: opened, confirmed, false, permitted in it; still open, unreviewed and blind cameras at its end.';

-- What has changed between two moments: leads opened, closed, reviewed, given to somebody; cameras gone blind and back.
CREATE FUNCTION analysis.shift_change_between(since timestamptz, until timestamptz) RETURNS TABLE (
    at timestamptz, change text, subject text, subject_id text, incident_no bigint, class text, name_zh text, detail text,
    who text
) LANGUAGE sql STABLE AS $$
    WITH incident AS (
        SELECT
            h.at, h.change, 'incident' AS subject, e.id::text AS subject_id, e.incident_no, e.class,
            coalesce(e.key_risk_area_zh, e.site_name_zh, e.camera_name_zh) AS name_zh, h.detail, h.who
        FROM analysis.event AS e
        CROSS JOIN LATERAL (VALUES
            (e.opened_at, 'opened', NULL, NULL),
            (e.closed_at, 'closed', NULL, NULL),
            (e.reviewed_at, 'reviewed', e.review, e.reviewed_by)
        ) AS h (at, change, detail, who)
        WHERE h.at >= since AND h.at < until
    ),
    -- A note on a camera is an event of its health, too; only those that changed whether it sees count.
    camera AS (
        SELECT
            h.at, CASE WHEN h.observed THEN 'back' ELSE 'blind' END AS change, 'camera' AS subject, c.id::text AS subject_id,
            NULL::bigint AS incident_no, NULL::text AS class, c.name_zh, h.reason AS detail, NULL::text AS who
        FROM watch.camera_health_event AS h
        JOIN registry.camera AS c ON c.id = h.camera_id
        WHERE h.at >= since AND h.at < until
            AND h.observed IS DISTINCT FROM coalesce((
                SELECT b.observed FROM watch.camera_health_event AS b
                WHERE b.camera_id = h.camera_id AND (b.at, b.id) < (h.at, h.id)
                ORDER BY b.at DESC, b.id DESC LIMIT 1
            ), true)
    )
    SELECT * FROM incident
    UNION ALL
    SELECT * FROM camera
$$;
COMMENT ON FUNCTION analysis.shift_change_between IS '两个时刻之间的变化：线索新发、结束、核实，摄像机失明、恢复; what changed between two moments: incidents opened, closed, reviewed; cameras blind and back.';

-- Since when the reader has not looked: the newest of the handover last received and the end of the session before.
CREATE FUNCTION analysis.shift_start_at(moment timestamptz) RETURNS TABLE (since timestamptz, basis text)
LANGUAGE sql STABLE AS $$
    WITH received AS (
        SELECT max(r.received_at) AS at
        FROM watch.handover_receipt AS r JOIN access.my_account AS m ON m.login = r.received_by
        WHERE r.received_at <= moment
    ),
    -- One that was left to run out ended when it was last used.
    session AS (
        SELECT max(coalesce(s.ended_at, s.last_used_at)) AS at
        FROM access.session AS s JOIN access.my_account AS m ON m.id = s.account_id
        WHERE coalesce(s.ended_at, least(s.idle_until, s.expires_at)) <= moment
    )
    SELECT
        coalesce(greatest(r.at, s.at), moment - interval '24 hours'),
        CASE
            WHEN r.at IS NULL AND s.at IS NULL THEN 'day'
            WHEN s.at IS NULL OR r.at >= s.at THEN 'handover'
            ELSE 'session'
        END
    FROM received AS r CROSS JOIN session AS s
$$;
COMMENT ON FUNCTION analysis.shift_start_at IS '本人上一班次的结束：最近一次接班确认或上次登录结束，取较晚者; end of the reader''s last shift: handover last received or last session''s end, the later one; a day where there is neither.';
