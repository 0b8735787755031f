-- needs: parameter, risk_constants, risk_site_of, risk_site, risk_cell
-- What the formula would say of these parts: the score, leads not reviewed capped, and its colour. is_red: an override stands.
CREATE FUNCTION analysis.risk_score(
    inherent double precision, raw_confirmed double precision, raw_unreviewed double precision, control double precision,
    is_red boolean, k analysis.risk_constants, OUT score double precision, OUT level text
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    confirmed constant double precision :=
        100 * (1 - (1 - inherent) * exp(-least(greatest(raw_confirmed, 0) / k.raw_scale, 100))) * (1 - k.control_share * control);
BEGIN
    score := least(
        100 * (1 - (1 - inherent) * exp(-least((greatest(raw_confirmed, 0) + greatest(raw_unreviewed, 0)) / k.raw_scale, 100)))
        * (1 - k.control_share * control),
        CASE
            WHEN confirmed >= k.orange_from THEN 100
            WHEN confirmed >= k.yellow_from THEN k.red_from - 0.01
            ELSE k.orange_from - 0.01
        END
    );
    level := CASE
        WHEN is_red OR score >= k.red_from THEN 'red'
        WHEN score >= k.orange_from THEN 'orange'
        WHEN score >= k.yellow_from THEN 'yellow'
        ELSE 'blue'
    END;
END $$;
COMMENT ON FUNCTION analysis.risk_score IS '由各部分得分与颜色; score and colour of given parts: inherent and control 0 to 1, raw as in analysis.risk_site.';

-- Why a site has its score: every term with its points and share, and the score and colour if it were not there.
CREATE FUNCTION analysis.risk_explained_at(moment timestamptz, site bigint) RETURNS TABLE (
    site_id bigint, term text, points double precision, share double precision, zh text, en text,
    score_without double precision, level_without text, score double precision, level text, as_of timestamptz
) LANGUAGE sql STABLE AS $$
    WITH k AS MATERIALIZED (
        SELECT c AS held FROM analysis.risk_constants_at(moment) AS c
    ),
    state AS MATERIALIZED (
        SELECT r.*, (SELECT sum(p) FROM unnest(r.points[2:8]) AS p) AS raw_points
        FROM analysis.risk_site_of(moment, ARRAY[site]) AS r
    ),
    part AS (
        SELECT
            s.*, t.place, t.term, t.zh, t.en, s.points[t.place] AS term_points,
            -- Of raw each term has the share that it has of raw's points.
            CASE WHEN t.place BETWEEN 2 AND 8 THEN s.raw * s.points[t.place] / nullif(s.raw_points, 0) END AS term_raw,
            coalesce(s.raw * s.points[8] / nullif(s.raw_points, 0), 0) AS raw_unreviewed
        FROM state AS s CROSS JOIN analysis.risk_term AS t
        WHERE s.points[t.place] IS NOT NULL
    )
    SELECT
        p.site_id, p.term, p.term_points, p.term_points / nullif(p.score, 0), p.zh, p.en,
        CASE WHEN p.place > 1 THEN w.score END, CASE WHEN p.place > 1 THEN w.level END, p.score, p.level, moment
    FROM part AS p
    CROSS JOIN k
    CROSS JOIN LATERAL analysis.risk_score(
        p.inherent,
        p.raw - p.raw_unreviewed - CASE WHEN p.place BETWEEN 2 AND 7 THEN p.term_raw ELSE 0 END,
        CASE WHEN p.place = 8 THEN 0 ELSE p.raw_unreviewed END,
        p.control + CASE p.place
            WHEN 9 THEN (k.held).control_check WHEN 10 THEN (k.held).control_self_check WHEN 11 THEN (k.held).control_certificates
            WHEN 12 THEN (k.held).control_camera WHEN 13 THEN (k.held).control_worker ELSE 0
        END,
        (p.place <> 2 AND p.points[2] IS NOT NULL) OR (p.place <> 3 AND p.points[3] IS NOT NULL),
        k.held
    ) AS w
    ORDER BY p.term_points DESC, p.term
$$;
COMMENT ON FUNCTION analysis.risk_explained_at IS '某场所为何是这个分：各项得分、占比，及没有该项时的得分与颜色; why a site has its score: each term with points and share (of the score), and what score and colour would be without it (NULL: what is inherent stays). Points sum to the score, unless leads are capped.';

-- What would make it the next colour down: every measure that lowers the score, what it does alone, and the smallest set that
-- is enough. Hazards and leads go largest first, and so do parts of control, because the score only falls with each: so the
-- best set of every size is a number of the first of each kind, and all such sets are tried. A closed hazard still counts, and
-- fades: where no set is enough at once, after_days says when.
CREATE FUNCTION analysis.risk_measures_at(moment timestamptz, site bigint) RETURNS TABLE (
    site_id bigint, measure text, subject_id text, subject_zh text, zh text, en text,
    score_after double precision, level_after text, is_needed boolean,
    score double precision, level text, target text, score_then double precision, level_then text, after_days integer, as_of timestamptz
) LANGUAGE sql STABLE AS $$
    WITH k AS MATERIALIZED (
        SELECT c AS held FROM analysis.risk_constants_at(moment) AS c
    ),
    state AS MATERIALIZED (
        SELECT
            r.*,
            coalesce(r.raw * r.points[8] / nullif((SELECT sum(p) FROM unnest(r.points[2:8]) AS p), 0), 0) AS raw_unreviewed,
            coalesce(r.raw * r.points[6] / nullif((SELECT sum(p) FROM unnest(r.points[2:8]) AS p), 0), 0) AS raw_closed,
            CASE r.level WHEN 'red' THEN 'orange' WHEN 'orange' THEN 'yellow' WHEN 'yellow' THEN 'blue' END AS target
        FROM analysis.risk_site_of(moment, ARRAY[site]) AS r
    ),
    -- What closes: an open hazard, and confirmed work without a permit for which none was written. `weight` is what it counts
    -- when it has just been closed.
    open AS MATERIALIZED (
        SELECT
            'close_hazard' AS measure, h.id::text AS subject_id, coalesce(nullif(h.title_zh, ''), h.title_en) AS subject_zh,
            h.is_unlicensed_work OR h.class = 'major' AS is_red, w.weight,
            w.weight * (1 + least(1, greatest(0, coalesce(date_part('epoch', moment - h.deadline), 0)) / 86400 / (k.held).overdue_full_days)) AS counts,
            '整改并验收销号' || CASE h.class WHEN 'major' THEN '重大' WHEN 'serious' THEN '较大' ELSE '一般' END || '隐患：' || h.title_zh AS zh,
            'fix and accept the ' || h.class || ' hazard: ' || coalesce(nullif(h.title_en, ''), h.title_zh) AS en
        FROM inspection.hazard AS h
        CROSS JOIN k
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN h.is_unlicensed_work OR h.class = 'major' THEN (k.held).w_major
                WHEN h.class = 'serious' THEN (k.held).w_serious
                ELSE (k.held).w_general
            END AS weight
        ) AS w
        WHERE h.site_id = site AND h.found_at <= moment AND (h.closed_at IS NULL OR h.closed_at > moment)
        UNION ALL
        SELECT
            'accept_work', i.incident_no::text, i.class, true, (k.held).w_major, (k.held).w_major,
            '行政检查确认无证动火（事件 ' || i.incident_no || '）已整改', 'an administrative inspection accepts the unlicensed hot work (incident ' || i.incident_no || ')'
        FROM watch.incident AS i
        CROSS JOIN k
        WHERE (i.site_id = site OR (i.site_id IS NULL AND i.key_risk_area_id = ANY (ARRAY(SELECT a.id FROM registry.key_risk_area AS a WHERE a.site_id = site))))
            AND i.state <> 'candidate' AND NOT (i.state = 'closed' AND i.opened_at IS NULL) AND i.mode = 'alert' AND coalesce(i.opened_at, i.first_seen_at) <= moment
            AND i.class IN ('welding_arc', 'sparks') AND i.review = 'confirmed' AND i.permit_id IS NULL AND coalesce(i.reviewed_at <= moment, true)
            AND NOT EXISTS (
                SELECT FROM inspection.hazard AS h
                WHERE h.site_id = site AND h.is_unlicensed_work AND h.found_at <= moment
                    AND h.found_at >= i.first_seen_at AND h.found_at < i.first_seen_at + interval '3 days'
            )
            AND NOT EXISTS (
                SELECT FROM inspection.visit AS v
                WHERE v.site_id = site AND v.kind = 'admin_inspection' AND v.outcome = 'ok'
                    AND v.done_at > least(i.last_seen_at, moment) AND v.done_at <= moment
            )
    ),
    unreviewed AS MATERIALIZED (
        SELECT
            'review_lead' AS measure, i.incident_no::text AS subject_id, i.class AS subject_zh,
            (k.held).w_incident * (k.held).c_unreviewed * i.peak_score
            * CASE
                WHEN i.state = 'closed' AND coalesce(i.closed_at, i.last_seen_at) <= moment
                    THEN power(2, -least(date_part('epoch', moment - coalesce(i.closed_at, i.last_seen_at)) / 86400 / (k.held).half_life_incident, 100))
                ELSE 1
            END AS counts,
            '核实线索 ' || i.incident_no || '（如为误报）' AS zh, 'review lead ' || i.incident_no || ' (if it is a false alarm)' AS en
        FROM watch.incident AS i
        CROSS JOIN k
        WHERE (i.site_id = site OR (i.site_id IS NULL AND i.key_risk_area_id = ANY (ARRAY(SELECT a.id FROM registry.key_risk_area AS a WHERE a.site_id = site))))
            AND i.state <> 'candidate' AND NOT (i.state = 'closed' AND i.opened_at IS NULL) AND i.mode = 'alert' AND coalesce(i.opened_at, i.first_seen_at) <= moment
            AND (i.review = 'unreviewed' OR i.reviewed_at > moment)
            AND NOT (i.class IN ('welding_arc', 'sparks') AND i.permit_id IS NOT NULL)
            AND moment - least(i.last_seen_at, moment) < make_interval(secs => 3600 * (k.held).unreviewed_hours)
    ),
    control AS MATERIALIZED (
        SELECT m.measure, NULL::text AS subject_id, NULL::text AS subject_zh, m.weight, m.zh, m.en
        FROM state AS s CROSS JOIN k
        CROSS JOIN LATERAL (
            VALUES
                (9, 'check', (k.held).control_check, '完成一次检查', 'check the site'),
                (10, 'self_check', (k.held).control_self_check, '企业完成一次自查', 'a self-check by the firm'),
                (11, 'certificates', (k.held).control_certificates, '核验特种作业证件', 'verify the certificates'),
                (12, 'camera', (k.held).control_camera, '让在线摄像机看到该场所', 'have an online camera see it'),
                (13, 'worker', (k.held).control_worker, '为所在网格配备网格员', 'give its cell a grid worker')
        ) AS m (place, measure, weight, zh, en)
        WHERE s.points[m.place] IS NOT NULL
    ),
    day (days, fade) AS (
        SELECT d.days, power(2, -least(d.days / (k.held).half_life_hazard, 100)) FROM k CROSS JOIN (VALUES (0), (7), (14), (30), (60), (90), (180)) AS d (days)
    ),
    -- The first n of each kind together.
    first_open AS (
        SELECT
            d.days, o.subject_id, o.measure,
            row_number() OVER w AS n, sum(o.counts - o.weight * d.fade) OVER w AS less,
            (SELECT count(*) FROM open AS a WHERE a.is_red) - sum(o.is_red::integer) OVER w AS red_left
        FROM open AS o CROSS JOIN day AS d
        WINDOW w AS (PARTITION BY d.days ORDER BY o.is_red DESC, o.counts - o.weight * d.fade DESC, o.measure, o.subject_id)
        UNION ALL
        SELECT d.days, NULL, NULL, 0, 0, (SELECT count(*) FROM open AS a WHERE a.is_red) FROM day AS d
    ),
    first_unreviewed AS (
        SELECT u.subject_id, row_number() OVER w AS n, sum(u.counts) OVER w AS less
        FROM unreviewed AS u WINDOW w AS (ORDER BY u.counts DESC, u.subject_id)
        UNION ALL
        SELECT NULL, 0, 0
    ),
    first_control AS (
        SELECT c.measure, row_number() OVER w AS n, sum(c.weight) OVER w AS more
        FROM control AS c WINDOW w AS (ORDER BY c.weight DESC, c.measure)
        UNION ALL
        SELECT NULL, 0, 0
    ),
    chosen AS (
        SELECT o.days, o.n AS opens, u.n AS unrevieweds, c.n AS controls, w.score, w.level
        FROM state AS s
        CROSS JOIN k
        CROSS JOIN day AS d
        JOIN first_open AS o ON o.days = d.days
        CROSS JOIN first_unreviewed AS u
        CROSS JOIN first_control AS c
        CROSS JOIN LATERAL analysis.risk_score(
            s.inherent, s.raw - s.raw_unreviewed - o.less - s.raw_closed * (1 - d.fade), s.raw_unreviewed - u.less,
            s.control + c.more, o.red_left > 0, k.held
        ) AS w
        WHERE array_position(ARRAY['red', 'orange', 'yellow', 'blue'], w.level) >= array_position(ARRAY['red', 'orange', 'yellow', 'blue'], s.target)
        ORDER BY o.days, o.n + u.n + c.n, w.score
        LIMIT 1
    ),
    measure AS (
        SELECT
            o.measure, o.subject_id, o.subject_zh, o.zh, o.en, o.counts - o.weight AS less, 0::double precision AS less_unreviewed,
            0::double precision AS more, o.is_red,
            EXISTS (
                SELECT FROM chosen AS c JOIN first_open AS f ON f.days = c.days AND f.n <= c.opens
                WHERE f.subject_id = o.subject_id AND f.measure = o.measure
            ) AS is_needed
        FROM open AS o
        UNION ALL
        SELECT
            u.measure, u.subject_id, u.subject_zh, u.zh, u.en, 0, u.counts, 0, false,
            EXISTS (SELECT FROM chosen AS c JOIN first_unreviewed AS f ON f.n <= c.unrevieweds WHERE f.subject_id = u.subject_id)
        FROM unreviewed AS u
        UNION ALL
        SELECT
            v.measure, v.subject_id, v.subject_zh, v.zh, v.en, 0, 0, v.weight, false,
            EXISTS (SELECT FROM chosen AS c JOIN first_control AS f ON f.n <= c.controls WHERE f.measure = v.measure)
        FROM control AS v
    )
    SELECT
        s.site_id, m.measure, m.subject_id, m.subject_zh, m.zh, m.en, a.score, a.level, m.is_needed,
        s.score, s.level, s.target, c.score, c.level, c.days, moment
    FROM measure AS m
    CROSS JOIN state AS s
    CROSS JOIN k
    LEFT JOIN chosen AS c ON true
    CROSS JOIN LATERAL analysis.risk_score(
        s.inherent, s.raw - s.raw_unreviewed - m.less, s.raw_unreviewed - m.less_unreviewed, s.control + m.more,
        (SELECT count(*) FROM open AS o WHERE o.is_red) > m.is_red::integer, k.held
    ) AS a
    ORDER BY m.is_needed DESC, a.score, m.measure, m.subject_id
$$;
COMMENT ON FUNCTION analysis.risk_measures_at IS '怎样降一级：每项措施单独的效果，及最少需要哪些（is_needed）; what would lower a site''s colour: every measure with score and colour after it alone, and the smallest set that reaches the next colour down (is_needed), giving score_then and level_then after_days (0 = at once; a closed hazard fades). NULL there: no set is enough. target NULL: blue already.';

-- Why a cell has its colour: its highest sites with the points that each brings, and the cell's score and colour once such a
-- site alone has gone down by its own smallest set of measures.
CREATE FUNCTION analysis.risk_cell_explained_at(moment timestamptz, cell text) RETURNS TABLE (
    cell_code text, place bigint, site_id bigint, name_zh text, score double precision, level text, points double precision, share double precision,
    measures_zh text, measures_en text, after_days integer, site_score_then double precision,
    score_without double precision, level_without text, cell_score double precision, cell_level text, as_of timestamptz
) LANGUAGE sql STABLE AS $$
    WITH k AS MATERIALIZED (
        SELECT c AS held FROM analysis.risk_constants_at(moment) AS c
    ),
    site AS MATERIALIZED (
        SELECT r.site_id, r.score, r.level, row_number() OVER (ORDER BY r.score DESC, r.site_id) AS place
        FROM analysis.risk_state(moment, ARRAY[cell]) AS r
    ),
    whole AS (
        SELECT c.cell_code, c.score, c.level FROM analysis.risk_cell_at(moment, cell) AS c WHERE c.level IS NOT NULL
    ),
    top AS MATERIALIZED (
        SELECT
            s.*,
            (CASE WHEN s.place = 1 THEN (k.held).cell_max_share * s.score ELSE 0 END)
            + (1 - (k.held).cell_max_share) * s.score / least((k.held).cell_top, (SELECT count(*) FROM site)) AS points
        FROM site AS s CROSS JOIN k WHERE s.place <= (k.held).cell_top
    ),
    lowered AS MATERIALIZED (
        SELECT
            t.site_id, max(m.score_then) AS score, max(m.level_then) AS level, max(m.after_days) AS after_days,
            string_agg(m.zh, '；') FILTER (WHERE m.is_needed) AS zh, string_agg(m.en, '; ') FILTER (WHERE m.is_needed) AS en
        FROM top AS t CROSS JOIN LATERAL analysis.risk_measures_at(moment, t.site_id) AS m
        GROUP BY t.site_id
    ),
    -- All sites of the cell once more for each of the top ones, with that one lowered.
    instead AS (
        SELECT
            l.site_id AS of_site, s.site_id,
            CASE WHEN s.site_id = l.site_id THEN l.score ELSE s.score END AS score,
            CASE WHEN s.site_id = l.site_id THEN l.level ELSE s.level END AS level
        FROM lowered AS l CROSS JOIN site AS s WHERE l.score IS NOT NULL
    ),
    then_scored AS (
        SELECT
            r.of_site, (k.held).cell_max_share * max(r.score) + (1 - (k.held).cell_max_share) * avg(r.score) FILTER (WHERE r.place <= (k.held).cell_top) AS score,
            bool_or(r.level = 'red') AS has_red
        FROM (SELECT i.*, row_number() OVER (PARTITION BY i.of_site ORDER BY i.score DESC, i.site_id) AS place FROM instead AS i) AS r
        CROSS JOIN k
        GROUP BY r.of_site, k.held
    )
    SELECT
        w.cell_code, t.place, t.site_id, n.name_zh, t.score, t.level, t.points, t.points / nullif(w.score, 0),
        l.zh, l.en, l.after_days, l.score, h.score,
        CASE
            WHEN h.score IS NULL THEN NULL
            WHEN h.has_red AND h.score < (k.held).orange_from THEN 'orange'
            ELSE analysis.risk_level(h.score)
        END,
        w.score, w.level, moment
    FROM top AS t
    CROSS JOIN whole AS w
    CROSS JOIN k
    LEFT JOIN registry.site AS n ON n.id = t.site_id
    LEFT JOIN lowered AS l ON l.site_id = t.site_id
    LEFT JOIN then_scored AS h ON h.of_site = t.site_id
    ORDER BY t.place
$$;
COMMENT ON FUNCTION analysis.risk_cell_explained_at IS '某网格为何是这个色：最高的几家场所各贡献多少，单独降一家后网格的得分与颜色; why a cell has its colour: its highest sites with the points that each brings, the measures that lower that site by one colour, and the cell''s score and colour if that is done there alone.';
