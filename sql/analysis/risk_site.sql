-- needs: parameter, site, camera, grid_cell, key_risk_area
-- Days within which a check is due at a site of this colour; not graded counts as orange.
CREATE FUNCTION analysis.check_days(colour text) RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT analysis.parameter_value('check_days_' || coalesce(colour, 'orange'))
$$;
COMMENT ON FUNCTION analysis.check_days IS '按颜色的检查周期（天）; days within which a check is due, by colour.';

CREATE FUNCTION analysis.risk_level(score double precision) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN score >= analysis.parameter_value('risk_red_from') THEN 'red'
        WHEN score >= analysis.parameter_value('risk_orange_from') THEN 'orange'
        WHEN score >= analysis.parameter_value('risk_yellow_from') THEN 'yellow'
        WHEN score IS NOT NULL THEN 'blue'
    END
$$;
COMMENT ON FUNCTION analysis.risk_level IS '风险分对应的颜色; colour of a score, NULL for NULL.';

-- Score and colour of every active site (of one cell where it is named):
--   I = H^0.5 · E^0.3 · V^0.2;  D = 1 − exp(−raw/10);  R = 100 · (1 − (1−I)(1−D)) · (1 − 0.3·C).
CREATE FUNCTION analysis.risk_site_at(moment timestamptz, only_cell text DEFAULT NULL) RETURNS TABLE (
    site_id bigint, inherent double precision, raw double precision, dynamic double precision,
    control double precision, score double precision, level text,
    override_reason text, override_zh text, override_en text,
    reasons jsonb, unknown_parts text[], has_duty_gap boolean, is_stale boolean,
    newest_data_at timestamptz, is_seen boolean, cell_code text, town_code text, as_of timestamptz
) LANGUAGE sql STABLE AS $$
    -- The constants, as one row.
    WITH k AS MATERIALIZED (
        SELECT
            max(p.value) FILTER (WHERE p.name = 'risk_power_h') AS power_h,
            max(p.value) FILTER (WHERE p.name = 'risk_power_e') AS power_e,
            max(p.value) FILTER (WHERE p.name = 'risk_power_v') AS power_v,
            analysis.parameter_value('risk_raw_scale') AS raw_scale,
            analysis.parameter_value('risk_w_general') AS w_general,
            analysis.parameter_value('risk_w_serious') AS w_serious,
            analysis.parameter_value('risk_w_major') AS w_major,
            analysis.parameter_value('risk_w_incident') AS w_incident,
            analysis.parameter_value('risk_c_unreviewed') AS c_unreviewed,
            analysis.parameter_value('risk_overdue_full_days') AS overdue_full_days,
            analysis.parameter_value('risk_half_life_hazard') AS half_life_hazard,
            analysis.parameter_value('risk_half_life_incident') AS half_life_incident,
            make_interval(secs => 3600 * analysis.parameter_value('risk_unreviewed_hours')) AS unreviewed_for,
            analysis.parameter_value('risk_control_share') AS control_share,
            analysis.parameter_value('risk_control_check') AS c_check,
            analysis.parameter_value('risk_control_self_check') AS c_self_check,
            analysis.parameter_value('risk_control_certificates') AS c_certificates,
            analysis.parameter_value('risk_control_camera') AS c_camera,
            analysis.parameter_value('risk_control_worker') AS c_worker,
            analysis.parameter_value('risk_red_from') AS red_from,
            analysis.parameter_value('risk_orange_from') AS orange_from,
            analysis.parameter_value('risk_yellow_from') AS yellow_from,
            make_interval(secs => 86400 * analysis.parameter_value('risk_stale_days')) AS stale_after,
            analysis.parameter_value('seen_fraction_min') AS seen_fraction_min
        FROM analysis.parameter AS p
    ),
    -- Grades as numbers. What is not known is taken as rather high (see analysis.parameter), never as low.
    grade (part, grade, value) AS MATERIALIZED (
        SELECT split_part(p.name, '_', 2), split_part(p.name, '_', 3), p.value
        FROM analysis.parameter AS p WHERE p.name LIKE 'risk\_h\_%' OR p.name LIKE 'risk\_v\_%'
    ),
    people_band (low, high, value) AS MATERIALIZED (
        VALUES
            (0, 9, analysis.parameter_value('risk_e_under_10')),
            (10, 49, analysis.parameter_value('risk_e_under_50')),
            (50, 199, analysis.parameter_value('risk_e_under_200')),
            (200, 999, analysis.parameter_value('risk_e_under_1000')),
            (1000, 2147483647, analysis.parameter_value('risk_e_over_1000'))
    ),
    check_due (colour, span) AS MATERIALIZED (
        SELECT c.colour, make_interval(secs => 86400 * analysis.check_days(c.colour))
        FROM (VALUES ('red'), ('orange'), ('yellow'), ('blue')) AS c (colour)
    ),
    site AS MATERIALIZED (
        SELECT
            s.id, s.cell_code, s.town_code, s.hazard_level, s.people, s.vulnerability, s.duty_status,
            s.last_check_at, s.last_self_check_at, s.last_visit_at
        FROM analysis.site_at(moment, only_cell) AS s
    ),
    worker AS (
        SELECT DISTINCT g.cell_code
        FROM duty.grid_staff AS g
        WHERE g.role = 'worker' AND g.assigned_from <= (SELECT analysis.city_date(moment))
            AND (g.assigned_to IS NULL OR g.assigned_to > (SELECT analysis.city_date(moment)))
    ),
    -- A site is seen when an online camera sees its point or 60 % of one of its key risk areas.
    seen AS (
        SELECT s.id
        FROM analysis.online_sector_at(moment) AS o
        JOIN registry.site AS s ON s.geom && o.sector AND ST_Intersects(o.sector, s.geom)
        UNION
        SELECT a.site_id FROM analysis.key_risk_area_at(moment) AS a, k WHERE a.seen_fraction >= k.seen_fraction_min
    ),
    -- The newest certificate of each holder and job must be verified and valid; a site without any is unknown.
    certificate AS (
        SELECT n.site_id, bool_and(n.is_good) AS all_good
        FROM (
            SELECT DISTINCT ON (c.site_id, c.holder_hash, c.job_class)
                c.site_id,
                coalesce(c.verified_result = 'valid' AND c.verified_at <= moment, false)
                    AND c.valid_to >= (SELECT analysis.city_date(moment)) AS is_good
            FROM registry.certificate AS c
            WHERE c.issued_on <= (SELECT analysis.city_date(moment))
            ORDER BY c.site_id, c.holder_hash, c.job_class, c.valid_to DESC
        ) AS n
        GROUP BY n.site_id
    ),
    hazard AS (
        SELECT
            h.site_id, h.class, h.is_unlicensed_work, h.found_at, h.found_by,
            CASE WHEN h.closed_at <= moment THEN h.closed_at END AS closed_at,
            h.deadline
        FROM inspection.hazard AS h WHERE h.found_at <= moment
    ),
    -- Incidents as they stood then: a review or an end that came later had not happened yet.
    incident AS (
        SELECT
            i.id, coalesce(i.site_id, a.site_id) AS site_id, i.class, i.peak_score, i.permit_id,
            i.first_seen_at, least(i.last_seen_at, moment) AS last_seen_at,
            CASE WHEN coalesce(i.reviewed_at <= moment, true) THEN i.review ELSE 'unreviewed' END AS review,
            CASE WHEN i.state = 'closed' AND coalesce(i.closed_at, i.last_seen_at) <= moment
                THEN coalesce(i.closed_at, i.last_seen_at) END AS closed_at
        FROM watch.incident AS i
        LEFT JOIN registry.key_risk_area AS a ON a.id = i.key_risk_area_id
        WHERE i.state <> 'candidate' AND i.mode = 'alert' AND coalesce(i.opened_at, i.first_seen_at) <= moment
    ),
    -- Confirmed hot work without a permit, until it is accepted: by closing the hazard that was written for it,
    -- or by an administrative inspection that found the site in order afterwards.
    unlicensed AS (
        SELECT
            i.id, i.site_id, i.last_seen_at,
            -- The hazard that officers wrote for this incident takes its place in the sum.
            EXISTS (
                SELECT 1 FROM inspection.hazard AS h
                WHERE h.site_id = i.site_id AND h.is_unlicensed_work AND h.found_at <= moment
                    AND h.found_at >= i.first_seen_at AND h.found_at < i.first_seen_at + interval '3 days'
            ) AS is_written,
            (
                SELECT min(v.done_at) FROM inspection.visit AS v
                WHERE v.site_id = i.site_id AND v.kind = 'admin_inspection' AND v.outcome = 'ok'
                    AND v.done_at > i.last_seen_at AND v.done_at <= moment
            ) AS accepted_at
        FROM incident AS i
        WHERE i.class IN ('welding_arc', 'sparks') AND i.review = 'confirmed' AND i.permit_id IS NULL
    ),
    -- Everything that adds to raw: one row a term, with whether people have confirmed it.
    term AS (
        SELECT
            h.site_id,
            CASE
                WHEN h.closed_at IS NOT NULL THEN 'hazard_closed'
                WHEN h.is_unlicensed_work THEN 'unlicensed_work'
                ELSE 'hazard_' || h.class
            END AS key,
            CASE
                WHEN h.is_unlicensed_work OR h.class = 'major' THEN k.w_major
                WHEN h.class = 'serious' THEN k.w_serious
                ELSE k.w_general
            END
            * CASE
                WHEN h.closed_at IS NULL THEN
                    1 + least(1, greatest(0, coalesce(extract(epoch FROM moment - h.deadline), 0)) / 86400 / k.overdue_full_days)
                ELSE power(2, -extract(epoch FROM moment - h.closed_at) / 86400 / k.half_life_hazard)
            END AS points,
            true AS is_confirmed,
            CASE
                WHEN h.closed_at IS NULL AND h.is_unlicensed_work THEN 'unlicensed_work'
                WHEN h.closed_at IS NULL AND h.class = 'major' THEN 'major_hazard_open'
            END AS red_because,
            coalesce(h.closed_at, h.found_at) AS known_at
        FROM hazard AS h CROSS JOIN k
        UNION ALL
        SELECT
            u.site_id,
            CASE WHEN u.accepted_at IS NULL THEN 'unlicensed_work' ELSE 'hazard_closed' END,
            CASE
                WHEN u.is_written THEN 0
                WHEN u.accepted_at IS NULL THEN k.w_major
                ELSE k.w_major * power(2, -extract(epoch FROM moment - u.accepted_at) / 86400 / k.half_life_hazard)
            END,
            true,
            CASE WHEN u.accepted_at IS NULL AND NOT u.is_written THEN 'unlicensed_work' END,
            coalesce(u.accepted_at, u.last_seen_at)
        FROM unlicensed AS u CROSS JOIN k
        UNION ALL
        -- Other incidents: a confirmed one counts 1, an unreviewed one half its score for a day, false and permitted nothing.
        -- Hot work under a permit of its place and time counts nothing until people have looked at it.
        SELECT
            i.site_id,
            CASE WHEN i.review = 'confirmed' THEN 'incident_confirmed' ELSE 'incident_unreviewed' END,
            k.w_incident
            * CASE
                WHEN i.review = 'confirmed' THEN 1
                WHEN i.review = 'unreviewed' AND NOT (i.class IN ('welding_arc', 'sparks') AND i.permit_id IS NOT NULL) THEN
                    CASE WHEN moment - i.last_seen_at < k.unreviewed_for THEN k.c_unreviewed * i.peak_score ELSE 0 END
                ELSE 0
            END
            * CASE
                WHEN i.closed_at IS NULL THEN 1
                ELSE power(2, -extract(epoch FROM moment - i.closed_at) / 86400 / k.half_life_incident)
            END,
            i.review <> 'unreviewed',
            NULL,
            i.last_seen_at
        FROM incident AS i CROSS JOIN k
        WHERE NOT EXISTS (SELECT 1 FROM unlicensed AS u WHERE u.id = i.id)
    ),
    raw AS (
        SELECT
            t.site_id,
            sum(t.points) AS raw,
            coalesce(sum(t.points) FILTER (WHERE t.is_confirmed), 0) AS raw_confirmed,
            min(t.red_because) AS red_because,  -- the alphabet puts the open major hazard first
            max(t.known_at) AS known_at
        FROM term AS t
        GROUP BY t.site_id
    ),
    part AS (
        SELECT
            s.id AS site_id, s.cell_code, s.town_code,
            power(h.value, k.power_h) * power(coalesce(b.value, e.value), k.power_e) * power(v.value, k.power_v) AS inherent,
            coalesce(r.raw, 0) AS raw,
            coalesce(r.raw_confirmed, 0) AS raw_confirmed,
            r.red_because,
            coalesce(s.last_check_at > moment - d.span, false) AS has_check,
            coalesce(s.last_self_check_at > moment - d.span, false) AS has_self_check,
            coalesce(c.all_good, false) AS has_certificates,
            n.id IS NOT NULL AS is_seen,
            w.cell_code IS NOT NULL AS has_worker,
            array_remove(ARRAY[
                CASE WHEN s.hazard_level IS NULL THEN 'hazard_level' END,
                CASE WHEN s.people IS NULL THEN 'people' END,
                CASE WHEN s.vulnerability IS NULL THEN 'vulnerability' END,
                CASE WHEN s.last_check_at IS NULL THEN 'check' END,
                CASE WHEN s.last_self_check_at IS NULL THEN 'self_check' END,
                CASE WHEN c.site_id IS NULL THEN 'certificates' END,
                CASE WHEN s.cell_code IS NULL THEN 'cell' END
            ], NULL) AS unknown_parts,
            s.duty_status <> 'confirmed' OR w.cell_code IS NULL AS has_duty_gap,
            greatest(s.last_visit_at, r.known_at) AS newest_data_at
        FROM site AS s
        CROSS JOIN k
        JOIN grade AS h ON h.part = 'h' AND h.grade = coalesce(s.hazard_level, 'unknown')
        JOIN grade AS v ON v.part = 'v' AND v.grade = coalesce(s.vulnerability, 'unknown')
        LEFT JOIN people_band AS b ON s.people BETWEEN b.low AND b.high
        CROSS JOIN (SELECT analysis.parameter_value('risk_e_unknown') AS value OFFSET 0) AS e
        JOIN check_due AS d ON d.colour = coalesce(s.hazard_level, 'orange')
        LEFT JOIN raw AS r ON r.site_id = s.id
        LEFT JOIN certificate AS c ON c.site_id = s.id
        LEFT JOIN seen AS n ON n.id = s.id
        LEFT JOIN worker AS w ON w.cell_code = s.cell_code
    ),
    formula AS (
        SELECT
            p.*,
            1 - exp(-p.raw / k.raw_scale) AS dynamic,
            1 - exp(-p.raw_confirmed / k.raw_scale) AS dynamic_confirmed,
            k.c_check * p.has_check::integer + k.c_self_check * p.has_self_check::integer
            + k.c_certificates * p.has_certificates::integer + k.c_camera * p.is_seen::integer
            + k.c_worker * p.has_worker::integer AS control
        FROM part AS p CROSS JOIN k
    ),
    scored AS (
        SELECT
            f.*,
            100 * (1 - (1 - f.inherent) * (1 - f.dynamic)) * (1 - k.control_share * f.control) AS full_score,
            100 * (1 - (1 - f.inherent) * (1 - f.dynamic_confirmed)) * (1 - k.control_share * f.control) AS confirmed_score
        FROM formula AS f CROSS JOIN k
    ),
    -- Leads that nobody has confirmed raise the colour by one step at most: the score stops just below the next one.
    capped AS (
        SELECT
            s.*,
            least(
                s.full_score,
                CASE
                    WHEN s.confirmed_score >= k.orange_from THEN 100
                    WHEN s.confirmed_score >= k.yellow_from THEN k.red_from - 0.01
                    ELSE k.orange_from - 0.01
                END
            ) AS score
        FROM scored AS s CROSS JOIN k
    ),
    -- The score as a sum: what is inherent, what was found, and what each missing control adds. "Why, and what would change it."
    addend AS (
        SELECT c.site_id, 'inherent' AS key, 100 * c.inherent * (1 - k.control_share) AS points
        FROM capped AS c CROSS JOIN k
        UNION ALL
        SELECT c.site_id, t.key, 100 * (1 - c.inherent) * c.dynamic * (1 - k.control_share) * sum(t.points) / c.raw
        FROM capped AS c CROSS JOIN k JOIN term AS t ON t.site_id = c.site_id AND t.points > 0
        GROUP BY c.site_id, t.key, c.inherent, c.dynamic, c.raw, k.control_share
        UNION ALL
        SELECT c.site_id, m.key, 100 * (1 - (1 - c.inherent) * (1 - c.dynamic)) * k.control_share * m.weight
        FROM capped AS c CROSS JOIN k
        CROSS JOIN LATERAL (
            VALUES
                ('no_check', c.has_check, k.c_check), ('no_self_check', c.has_self_check, k.c_self_check),
                ('no_certificates', c.has_certificates, k.c_certificates), ('no_camera', c.is_seen, k.c_camera),
                ('no_worker', c.has_worker, k.c_worker)
        ) AS m (key, has_it, weight)
        WHERE NOT m.has_it
    ),
    addend_name (key, zh, en) AS (
        VALUES
            ('inherent', '固有危险、人数与脆弱性', 'inherent hazard, people and vulnerability'),
            ('unlicensed_work', '已核实的无证动火作业', 'confirmed unlicensed hot work'),
            ('hazard_major', '未销号的重大隐患', 'open major hazard'),
            ('hazard_serious', '未销号的较大隐患', 'open serious hazard'),
            ('hazard_general', '未销号的一般隐患', 'open general hazard'),
            ('hazard_closed', '近期销号的隐患', 'hazards closed lately'),
            ('incident_confirmed', '已核实的 AI 事件', 'confirmed AI event'),
            ('incident_unreviewed', '待核实的 AI 事件', 'AI event not reviewed yet'),
            ('no_check', '检查超期或无记录', 'check overdue or unknown'),
            ('no_self_check', '自查超期或无记录', 'self-check overdue or unknown'),
            ('no_certificates', '证件未核验', 'certificates not verified'),
            ('no_camera', '没有在线摄像机看到', 'no online camera sees it'),
            ('no_worker', '没有网格员', 'no grid worker')
    ),
    reason AS (
        SELECT
            q.site_id,
            jsonb_agg(
                jsonb_build_object('key', q.key, 'zh', n.zh, 'en', n.en, 'points', round(q.points::numeric, 2))
                ORDER BY q.points DESC, q.key
            ) AS reasons
        FROM (
            SELECT a.*, row_number() OVER (PARTITION BY a.site_id ORDER BY a.points DESC, a.key) AS place FROM addend AS a
        ) AS q
        JOIN addend_name AS n ON n.key = q.key
        WHERE q.place <= 3
        GROUP BY q.site_id
    )
    SELECT
        c.site_id, c.inherent, c.raw, c.dynamic, c.control, c.score,
        CASE
            WHEN c.red_because IS NOT NULL THEN 'red'
            WHEN c.score >= k.red_from THEN 'red'
            WHEN c.score >= k.orange_from THEN 'orange'
            WHEN c.score >= k.yellow_from THEN 'yellow'
            ELSE 'blue'
        END,
        coalesce(c.red_because, CASE WHEN c.score < c.full_score THEN 'unreviewed_capped' END),
        CASE
            WHEN c.red_because = 'major_hazard_open' THEN '重大隐患未验收销号'
            WHEN c.red_because = 'unlicensed_work' THEN '已核实无证动火，未验收'
            WHEN c.score < c.full_score THEN '未核实线索最多升一级'
        END,
        CASE
            WHEN c.red_because = 'major_hazard_open' THEN 'open major hazard, not accepted yet'
            WHEN c.red_because = 'unlicensed_work' THEN 'confirmed unlicensed hot work, not accepted yet'
            WHEN c.score < c.full_score THEN 'leads not reviewed raise one step at most'
        END,
        r.reasons, c.unknown_parts, c.has_duty_gap,
        coalesce(c.newest_data_at <= moment - k.stale_after, true),
        c.newest_data_at, c.is_seen, c.cell_code, c.town_code, moment
    FROM capped AS c CROSS JOIN k
    LEFT JOIN reason AS r ON r.site_id = c.site_id
$$;
CREATE VIEW analysis.risk_site AS SELECT * FROM analysis.risk_site_at(now());
COMMENT ON VIEW analysis.risk_site IS '场所风险：固有、动态、管控、得分、颜色与三条主要原因; risk of each active site with its three largest reasons.';
COMMENT ON COLUMN analysis.risk_site.inherent IS 'I = H^0.5 · E^0.3 · V^0.2, 0 to 1.';
COMMENT ON COLUMN analysis.risk_site.raw IS 'Weighted open hazards and incidents, and closed ones decaying.';
COMMENT ON COLUMN analysis.risk_site.dynamic IS 'D = 1 − exp(−raw/10), 0 to 1.';
COMMENT ON COLUMN analysis.risk_site.control IS 'C: sum of the control parts in place, 0 to 1. A part that is not known counts 0.';
COMMENT ON COLUMN analysis.risk_site.score IS 'R = 100·(1−(1−I)(1−D))·(1−0.3·C); leads not reviewed raise it by one colour at most.';
COMMENT ON COLUMN analysis.risk_site.override_reason IS 'major_hazard_open | unlicensed_work (red until accepted) | unreviewed_capped; NULL = by score.';
COMMENT ON COLUMN analysis.risk_site.unknown_parts IS 'What is not known about the site; taken as rather high, never as low.';
COMMENT ON COLUMN analysis.risk_site.is_stale IS 'Newest data older than risk_stale_days, or none.';
