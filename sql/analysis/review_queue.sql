-- needs: parameter, event
-- Leads that wait for a person, or still go on, the most urgent first. Urgency is a sum of points (analysis.parameter,
-- review_points_*); reasons lists them, so that each place in the queue explains itself.
CREATE FUNCTION analysis.review_queue_at(moment timestamptz) RETURNS TABLE (
    incident_id uuid, incident_no bigint, class text, state text, review text, urgency double precision, reasons jsonb,
    waiting_s double precision, is_unpermitted boolean, opened_at timestamptz, last_seen_at timestamptz,
    peak_score double precision, camera_id bigint, camera_name_zh text, site_id bigint, site_name_zh text,
    key_risk_area_id bigint, key_risk_area_zh text, cell_code text, town_code text, town_zh text, town_en text, permit_id bigint,
    evidence_id uuid
) LANGUAGE sql STABLE AS $$
    WITH lead AS (
        SELECT
            e.id, e.incident_no, e.class, e.state, e.review, e.opened_at, e.last_seen_at, e.peak_score, e.camera_id,
            e.camera_name_zh, e.site_id, e.site_name_zh, e.key_risk_area_id, e.key_risk_area_zh, e.cell_code, e.town_code,
            e.town_zh, e.town_en, e.permit_id, e.evidence_id,
            greatest(extract(epoch FROM moment - coalesce(e.opened_at, e.first_seen_at)), 0)::double precision AS waiting_s,
            e.class IN ('welding_arc', 'sparks') AS is_hot_work,
            e.class IN ('welding_arc', 'sparks') AND e.permit_id IS NULL AS is_unpermitted
        FROM analysis.event AS e
        WHERE e.review = 'unreviewed' OR e.state <> 'closed'
    ),
    constant AS MATERIALIZED (
        SELECT
            analysis.parameter_value('review_points_unreviewed') AS unreviewed,
            analysis.parameter_value('review_points_fire') AS fire,
            analysis.parameter_value('review_points_smoke') AS smoke,
            analysis.parameter_value('review_points_hot_work') AS hot_work,
            analysis.parameter_value('review_points_unpermitted') AS unpermitted,
            analysis.parameter_value('review_points_key_risk_area') AS key_risk_area,
            analysis.parameter_value('review_points_open') AS open,
            analysis.parameter_value('review_points_score') AS score,
            analysis.parameter_value('review_points_age') AS age,
            analysis.parameter_value('review_age_minutes') * 60 AS age_s
    ),
    -- One row a reason; those of no weight are not said.
    reason AS (
        SELECT l.id, r.*
        FROM lead AS l
        CROSS JOIN constant AS k
        CROSS JOIN LATERAL (VALUES
            ('unreviewed', CASE WHEN l.review = 'unreviewed' THEN k.unreviewed END, '待核实', 'unreviewed'),
            ('fire', CASE WHEN l.class = 'fire' THEN k.fire END, '明火', 'fire'),
            ('smoke', CASE WHEN l.class = 'smoke' THEN k.smoke END, '烟雾', 'smoke'),
            ('hot_work', CASE WHEN l.is_hot_work THEN k.hot_work END, '动火作业', 'hot work'),
            ('unpermitted', CASE WHEN l.is_unpermitted THEN k.unpermitted END, '没有作业票', 'no permit'),
            ('key_risk_area', CASE WHEN l.key_risk_area_id IS NOT NULL THEN k.key_risk_area END, '重点风险源区域', 'key risk area'),
            ('open', CASE WHEN l.state = 'open' THEN k.open END, '仍在发生', 'still goes on'),
            ('score', k.score * l.peak_score, '识别得分', 'score'),
            ('age', CASE WHEN l.review = 'unreviewed' THEN k.age * least(l.waiting_s / k.age_s, 1) END, '等待时间', 'waiting')
        ) AS r (code, points, zh, en)
        WHERE r.points > 0
    ),
    summed AS (
        SELECT
            r.id, sum(r.points) AS urgency,
            jsonb_agg(jsonb_build_object('code', r.code, 'points', round(r.points::numeric, 1), 'zh', r.zh, 'en', r.en)
                ORDER BY r.points DESC, r.code) AS reasons
        FROM reason AS r
        GROUP BY r.id
    )
    SELECT
        l.id, l.incident_no, l.class, l.state, l.review, coalesce(s.urgency, 0), coalesce(s.reasons, '[]'),
        l.waiting_s, l.is_unpermitted, l.opened_at, l.last_seen_at,
        l.peak_score, l.camera_id, l.camera_name_zh, l.site_id, l.site_name_zh,
        l.key_risk_area_id, l.key_risk_area_zh, l.cell_code, l.town_code, l.town_zh, l.town_en, l.permit_id,
        l.evidence_id
    FROM lead AS l
    LEFT JOIN summed AS s ON s.id = l.id
$$;
CREATE VIEW analysis.review_queue AS
SELECT * FROM analysis.review_queue_at(now()) AS q ORDER BY q.urgency DESC, q.incident_no;
COMMENT ON VIEW analysis.review_queue IS '核实队列：待核实或仍在发生的线索，按紧急程度排列，理由逐项列出; leads that wait for a person or still go on, the most urgent first, each with its reasons.';
COMMENT ON COLUMN analysis.review_queue.urgency IS 'Sum of the points in reasons (analysis.parameter, review_points_*).';
COMMENT ON COLUMN analysis.review_queue.waiting_s IS 'Seconds since it was opened.';
COMMENT ON COLUMN analysis.review_queue.is_unpermitted IS 'Hot work for which no hot-work permit holds there and then.';
