-- needs: parameter, risk_constants, camera
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

-- Score of every active site, or of these (ids), worked out from the rows themselves:
--   I = H^0.5 · E^0.3 · V^0.2;  D = 1 − exp(−raw/10);  R = 100 · (1 − (1−I)(1−D)) · (1 − 0.3·C).
-- Planned for the question (force_custom_plan): one site goes by the indexes, all sites by one pass of each table.
CREATE FUNCTION analysis.risk_site_of(moment timestamptz, ids bigint[] DEFAULT NULL, constants timestamptz DEFAULT NULL) RETURNS TABLE (
    site_id bigint, town_code text, cell_code text, rule_code text, inherent double precision, raw double precision,
    dynamic double precision, control double precision, score double precision, level text, override_reason text,
    points double precision[], unknown_parts text[], has_worker boolean, is_stale boolean, newest_data_at timestamptz,
    is_seen boolean, exact_until timestamptz, checked_at timestamptz
) LANGUAGE plpgsql STABLE ROWS 1000 SET plan_cache_mode = force_custom_plan SET work_mem = '128MB' SET jit = off
SET join_collapse_limit = 1 SET from_collapse_limit = 1 AS $$
#variable_conflict use_column
DECLARE
    k constant analysis.risk_constants := analysis.risk_constants_at(coalesce(constants, moment));
    zone constant text := coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai');
    today constant date := analysis.city_date(moment);
    day constant interval := interval '1 day';
    -- Exponents end here: 2^-100 is nothing, and one absurd date (2^-1100 is an error to PostgreSQL) would take every map away.
    most constant double precision := 100;
    unreviewed_for constant interval := make_interval(secs => 3600 * k.unreviewed_hours);
    stale_after constant interval := make_interval(secs => 86400 * k.stale_days);
    one_of_them constant boolean := ids IS NOT NULL;
    online bigint[] := '{}';
    areas bigint[];
    cells text[];
    seen bigint[] := '{}';
BEGIN
    -- A site is seen when an online camera sees its point or 60 % of one of its key risk areas. OFFSET 0 keeps these no joins of
    -- shapes: to plan one takes longer than to look a few sites up, and clips are united area by area.
    IF one_of_them THEN
        cells := ARRAY(SELECT DISTINCT s.cell_code FROM registry.site AS s WHERE s.id = ANY (ids) AND s.cell_code IS NOT NULL);
        areas := ARRAY(SELECT a.id FROM registry.key_risk_area AS a WHERE a.site_id = ANY (ids));
        online := ARRAY(
            SELECT c.id FROM registry.site AS s
            CROSS JOIN LATERAL (
                SELECT i.id FROM registry.camera AS i WHERE i.sector && s.geom AND ST_Intersects(i.ground, s.geom) OFFSET 0
            ) AS c
            WHERE s.id = ANY (ids)
            UNION
            SELECT c.id FROM registry.key_risk_area AS a
            CROSS JOIN LATERAL (
                SELECT i.id FROM registry.camera AS i WHERE i.sector && a.geom AND ST_Intersects(i.ground, a.geom) OFFSET 0
            ) AS c
            WHERE a.id = ANY (areas)
        );
        IF cardinality(online) > 0 THEN
            online := ARRAY(
                SELECT c.id FROM analysis.camera_at(moment) AS c WHERE c.id = ANY (online) AND c.is_online AND c.sector IS NOT NULL
            );
        END IF;
        IF cardinality(online) > 0 THEN
            seen := ARRAY(
                SELECT s.id FROM registry.site AS s
                -- Found by the ground first: by its id, every camera on line would be tried for every site.
                WHERE s.id = ANY (ids) AND EXISTS (
                    SELECT FROM (
                        SELECT i.id FROM registry.camera AS i WHERE i.sector && s.geom AND ST_Intersects(i.ground, s.geom) OFFSET 0
                    ) AS c
                    WHERE c.id = ANY (online)
                )
            );
        END IF;
    ELSE
        online := ARRAY(SELECT c.id FROM analysis.camera_at(moment) AS c WHERE c.is_online AND c.sector IS NOT NULL);
        seen := ARRAY(
            SELECT DISTINCT s.id FROM registry.camera AS c
            CROSS JOIN LATERAL (
                SELECT i.id FROM registry.site AS i WHERE i.geom && c.ground AND ST_Intersects(c.ground, i.geom) OFFSET 0
            ) AS s
            WHERE c.id = ANY (online)
        );
    END IF;
    IF cardinality(online) > 0 AND (NOT one_of_them OR cardinality(areas) > 0) THEN
        seen := seen || ARRAY(
            SELECT a.site_id
            FROM registry.key_risk_area AS a
            CROSS JOIN LATERAL (
                SELECT ST_Area(ST_Union(ST_Intersection(a.geom, i.ground))) AS m2
                FROM (
                    SELECT n.id, n.ground FROM registry.camera AS n WHERE n.sector && a.geom AND ST_Intersects(a.geom, n.ground) OFFSET 0
                ) AS i
                WHERE i.id = ANY (online)
                OFFSET 0
            ) AS c
            WHERE a.status = 'active' AND ST_IsValid(a.geom) AND (NOT one_of_them OR a.id = ANY (areas))
                AND coalesce(a.onboarded_on <= today, true) AND coalesce(a.retired_on > today, true)
                AND c.m2 >= k.seen_fraction_min * ST_Area(a.geom)
        );
    END IF;
    RETURN QUERY
    WITH visit AS (
        -- A visit that could not look (unknown) is no check.
        SELECT
            v.site_id,
            max(v.done_at) FILTER (WHERE v.kind <> 'self_check' AND v.done_at <= moment) AS check_at,
            max(v.done_at) FILTER (WHERE v.kind = 'self_check' AND v.done_at <= moment) AS self_check_at,
            min(v.done_at) FILTER (WHERE v.done_at > moment) AS next_at
        FROM inspection.visit AS v
        WHERE v.outcome <> 'unknown' AND (NOT one_of_them OR v.site_id = ANY (ids))
        GROUP BY v.site_id
    ),
    -- The newest certificate of each holder and job must be verified and valid; a site without any is unknown.
    certificate AS (
        SELECT
            n.site_id, bool_and(n.is_good) AS all_good,
            (min(n.valid_to) + 1)::timestamp AT TIME ZONE zone AS ends_at
        FROM (
            SELECT DISTINCT ON (c.site_id, c.holder_hash, c.job_class)
                c.site_id, c.valid_to,
                coalesce(c.verified_result = 'valid' AND c.verified_at <= moment, false) AND c.valid_to >= today AS is_good
            FROM registry.certificate AS c
            WHERE c.issued_on <= today AND (NOT one_of_them OR c.site_id = ANY (ids))
            ORDER BY c.site_id, c.holder_hash, c.job_class, c.valid_to DESC
        ) AS n
        GROUP BY n.site_id
    ),
    later_certificate AS (
        SELECT c.site_id, min(greatest(c.issued_on::timestamp AT TIME ZONE zone, c.verified_at)) AS next_at
        FROM registry.certificate AS c
        WHERE (c.issued_on > today OR c.verified_at > moment) AND (NOT one_of_them OR c.site_id = ANY (ids))
        GROUP BY c.site_id
    ),
    worker AS (
        SELECT
            g.cell_code,
            bool_or(g.assigned_from <= today AND (g.assigned_to IS NULL OR g.assigned_to > today)) AS has_worker,
            min(CASE WHEN g.assigned_from > today THEN g.assigned_from WHEN g.assigned_to > today THEN g.assigned_to END)::timestamp
            AT TIME ZONE zone AS next_at
        FROM duty.grid_staff AS g
        WHERE g.role = 'worker' AND (NOT one_of_them OR g.cell_code = ANY (cells))
        GROUP BY g.cell_code
    ),
    later_area AS (
        SELECT
            a.site_id,
            min(CASE WHEN a.onboarded_on > today THEN a.onboarded_on WHEN a.retired_on > today THEN a.retired_on END)::timestamp
            AT TIME ZONE zone AS next_at
        FROM registry.key_risk_area AS a
        WHERE (a.onboarded_on > today OR a.retired_on > today) AND (NOT one_of_them OR a.id = ANY (areas))
        GROUP BY a.site_id
    ),
    -- Hazards as they stood then. `weight` is what one counts in full; an open one that is overdue counts up to double, a closed
    -- one fades. `per_day`: how fast the clock alone changes it.
    hazard AS (
        SELECT
            h.site_id,
            sum(h.weight * h.factor) FILTER (WHERE h.is_open AND h.is_unlicensed_work) AS unlicensed,
            sum(h.weight * h.factor) FILTER (WHERE h.is_open AND NOT h.is_unlicensed_work AND h.class = 'major') AS major,
            sum(h.weight * h.factor) FILTER (WHERE h.is_open AND NOT h.is_unlicensed_work AND h.class = 'serious') AS serious,
            sum(h.weight * h.factor) FILTER (WHERE h.is_open AND NOT h.is_unlicensed_work AND h.class = 'general') AS general,
            sum(h.weight * h.factor) FILTER (WHERE NOT h.is_open AND h.is_known) AS closed,
            max(coalesce(h.closed_then, h.found_at)) FILTER (WHERE h.is_known) AS known_at,
            sum(
                CASE
                    WHEN NOT h.is_known THEN 0
                    WHEN NOT h.is_open THEN h.weight * h.factor * ln(2) / k.half_life_hazard
                    WHEN h.deadline <= moment AND h.factor < 2 THEN h.weight / k.overdue_full_days
                    ELSE 0
                END
            ) AS per_day,
            min(
                CASE
                    WHEN NOT h.is_known THEN h.found_at
                    WHEN h.is_open THEN least(CASE WHEN h.closed_at > moment THEN h.closed_at END, CASE WHEN h.deadline > moment THEN h.deadline END)
                END
            ) AS next_at
        FROM (
            SELECT
                j.*,
                CASE WHEN j.is_unlicensed_work OR j.class = 'major' THEN k.w_major WHEN j.class = 'serious' THEN k.w_serious ELSE k.w_general END
                AS weight,
                CASE
                    WHEN NOT j.is_known THEN 0
                    WHEN j.closed_then IS NULL THEN
                        1 + least(1, greatest(0, coalesce(date_part('epoch', moment - j.deadline), 0)) / 86400 / k.overdue_full_days)
                    ELSE power(2, -least(date_part('epoch', moment - j.closed_then) / 86400 / k.half_life_hazard, most))
                END AS factor,
                j.is_known AND j.closed_then IS NULL AS is_open
            FROM (
                SELECT
                    i.site_id, i.class, i.is_unlicensed_work, i.found_at, i.deadline, i.closed_at,
                    i.found_at <= moment AS is_known,
                    CASE WHEN i.closed_at <= moment THEN i.closed_at END AS closed_then
                FROM inspection.hazard AS i
                WHERE NOT one_of_them OR i.site_id = ANY (ids)
                OFFSET 0
            ) AS j
            OFFSET 0
        ) AS h
        GROUP BY h.site_id
    ),
    -- Incidents as they stood then: a review or an end that came later had not happened yet.
    lead AS (
        SELECT
            i.id, coalesce(i.site_id, a.site_id) AS site_id, i.class IN ('welding_arc', 'sparks') AS is_hot_work, i.peak_score, i.permit_id,
            i.first_seen_at, least(i.last_seen_at, moment) AS last_seen_at,
            CASE WHEN coalesce(i.reviewed_at <= moment, true) THEN i.review ELSE 'unreviewed' END AS review,
            CASE WHEN i.state = 'closed' AND coalesce(i.closed_at, i.last_seen_at) <= moment
                THEN coalesce(i.closed_at, i.last_seen_at) END AS closed_at,
            coalesce(i.opened_at, i.first_seen_at) <= moment AS is_known,
            least(
                CASE WHEN coalesce(i.opened_at, i.first_seen_at) > moment THEN coalesce(i.opened_at, i.first_seen_at) END,
                CASE WHEN i.reviewed_at > moment THEN i.reviewed_at END,
                CASE WHEN i.state = 'closed' AND coalesce(i.closed_at, i.last_seen_at) > moment THEN coalesce(i.closed_at, i.last_seen_at) END
            ) AS next_at
        FROM watch.incident AS i
        LEFT JOIN registry.key_risk_area AS a ON a.id = i.key_risk_area_id AND i.site_id IS NULL
        -- A candidate that came to nothing is closed without ever having been opened.
        WHERE i.state <> 'candidate' AND NOT (i.state = 'closed' AND i.opened_at IS NULL) AND i.mode = 'alert'
            AND (NOT one_of_them OR i.site_id = ANY (ids) OR (i.site_id IS NULL AND i.key_risk_area_id = ANY (areas)))
    ),
    -- Confirmed hot work without a permit, until it is accepted: by closing the hazard that was written for it (which takes its
    -- place in the sum), or by an administrative inspection that found the site in order afterwards.
    judged AS (
        SELECT
            i.*,
            i.is_hot_work AND i.review = 'confirmed' AND i.permit_id IS NULL AS is_unlicensed,
            i.is_hot_work AND i.review = 'confirmed' AND i.permit_id IS NULL AND EXISTS (
                SELECT FROM inspection.hazard AS h
                WHERE h.site_id = i.site_id AND h.is_unlicensed_work AND h.found_at <= moment
                    AND h.found_at >= i.first_seen_at AND h.found_at < i.first_seen_at + interval '3 days'
            ) AS is_written,
            CASE WHEN i.is_hot_work AND i.review = 'confirmed' AND i.permit_id IS NULL THEN (
                SELECT min(v.done_at) FROM inspection.visit AS v
                WHERE v.site_id = i.site_id AND v.kind = 'admin_inspection' AND v.outcome = 'ok'
                    AND v.done_at > i.last_seen_at AND v.done_at <= moment
            ) END AS accepted_at
        FROM lead AS i
        WHERE i.site_id IS NOT NULL
        OFFSET 0
    ),
    -- Other incidents: a confirmed one counts 1, an unreviewed one half its score for a day, false and permitted ones nothing.
    -- Hot work under a permit of its place and time counts nothing until people have looked at it.
    counted AS (
        SELECT
            i.site_id, i.review, i.is_unlicensed, i.is_written, i.accepted_at, i.is_known, i.next_at,
            CASE WHEN i.is_unlicensed THEN coalesce(i.accepted_at, i.last_seen_at) ELSE i.last_seen_at END AS known_at,
            CASE WHEN i.is_unlicensed THEN i.accepted_at ELSE i.closed_at END AS fades_from,
            CASE WHEN i.is_unlicensed THEN k.half_life_hazard ELSE k.half_life_incident END AS half_life,
            CASE
                WHEN NOT i.is_known OR i.is_written THEN 0
                WHEN i.is_unlicensed THEN k.w_major
                WHEN i.review = 'confirmed' THEN k.w_incident
                WHEN i.review = 'unreviewed' AND NOT (i.is_hot_work AND i.permit_id IS NOT NULL) AND moment - i.last_seen_at < unreviewed_for
                    THEN k.w_incident * k.c_unreviewed * i.peak_score
                ELSE 0
            END AS weight,
            i.last_seen_at + unreviewed_for AS runs_out_at
        FROM judged AS i
        OFFSET 0
    ),
    incident AS (
        SELECT
            i.site_id,
            sum(i.points) FILTER (WHERE i.is_unlicensed AND i.accepted_at IS NULL) AS unlicensed,
            sum(i.points) FILTER (WHERE i.is_unlicensed AND i.accepted_at IS NOT NULL) AS accepted,
            sum(i.points) FILTER (WHERE NOT i.is_unlicensed AND i.review = 'confirmed') AS confirmed,
            sum(i.points) FILTER (WHERE i.review = 'unreviewed') AS unreviewed,
            coalesce(bool_or(i.is_unlicensed AND i.accepted_at IS NULL AND NOT i.is_written AND i.is_known), false) AS is_red,
            max(i.known_at) FILTER (WHERE i.is_known) AS known_at,
            sum(CASE WHEN i.fades_from IS NULL THEN 0 ELSE i.points * ln(2) / i.half_life END) AS per_day,
            min(least(i.next_at, CASE WHEN i.review = 'unreviewed' AND i.points > 0 THEN i.runs_out_at END)) AS next_at
        FROM (
            SELECT
                c.*,
                c.weight * CASE
                    WHEN c.fades_from IS NULL OR c.weight = 0 THEN 1
                    ELSE power(2, -least(date_part('epoch', moment - c.fades_from) / 86400 / c.half_life, most))
                END AS points
            FROM counted AS c
            OFFSET 0
        ) AS i
        GROUP BY i.site_id
    ),
    -- The stages of the formula follow, one on the other; OFFSET 0 has each worked out once.
    part AS (
        SELECT
            s.id, s.town_code, s.cell_code, s.rule_code,
            power(CASE s.hazard_level
                WHEN 'blue' THEN k.h_blue WHEN 'yellow' THEN k.h_yellow WHEN 'orange' THEN k.h_orange WHEN 'red' THEN k.h_red
                ELSE k.h_unknown
            END, k.power_h)
            * power(CASE
                WHEN s.people IS NULL THEN k.e_unknown WHEN s.people < 10 THEN k.e_under_10 WHEN s.people < 50 THEN k.e_under_50
                WHEN s.people < 200 THEN k.e_under_200 WHEN s.people < 1000 THEN k.e_under_1000 ELSE k.e_over_1000
            END, k.power_e)
            * power(CASE s.vulnerability
                WHEN 'normal' THEN k.v_normal WHEN 'mixed' THEN k.v_mixed WHEN 'sleeping' THEN k.v_sleeping WHEN 'both' THEN k.v_both
                ELSE k.v_unknown
            END, k.power_v) AS inherent,
            coalesce(h.unlicensed, 0) + coalesce(i.unlicensed, 0) AS unlicensed,
            coalesce(h.major, 0) AS major, coalesce(h.serious, 0) AS serious, coalesce(h.general, 0) AS general,
            coalesce(h.closed, 0) + coalesce(i.accepted, 0) AS closed,
            coalesce(i.confirmed, 0) AS confirmed, coalesce(i.unreviewed, 0) AS unreviewed,
            CASE
                WHEN h.major > 0 THEN 'major_hazard_open'
                WHEN h.unlicensed > 0 OR i.is_red THEN 'unlicensed_work'
            END AS red_because,
            coalesce(h.per_day, 0) + coalesce(i.per_day, 0) AS per_day,
            coalesce(v.check_at > moment - d.span, false) AS has_check,
            coalesce(v.self_check_at > moment - d.span, false) AS has_self_check,
            coalesce(c.all_good, false) AS has_certificates,
            s.id = ANY (seen) AS is_seen,
            coalesce(w.has_worker, false) AS has_worker,
            array_remove(ARRAY[
                CASE WHEN s.hazard_level IS NULL THEN 'hazard_level' END,
                CASE WHEN s.people IS NULL THEN 'people' END,
                CASE WHEN s.vulnerability IS NULL THEN 'vulnerability' END,
                CASE WHEN v.check_at IS NULL THEN 'check' END,
                CASE WHEN v.self_check_at IS NULL THEN 'self_check' END,
                CASE WHEN c.site_id IS NULL THEN 'certificates' END,
                CASE WHEN s.cell_code IS NULL THEN 'cell' END
            ], NULL) AS unknown_parts,
            greatest(v.check_at, v.self_check_at) AS checked_at,
            greatest(v.check_at, v.self_check_at, h.known_at, i.known_at) AS newest_data_at,
            least(
                v.next_at, h.next_at, i.next_at, w.next_at, l.next_at, a.next_at,
                CASE WHEN v.check_at > moment - d.span THEN v.check_at + d.span END,
                CASE WHEN v.self_check_at > moment - d.span THEN v.self_check_at + d.span END,
                CASE WHEN c.all_good THEN c.ends_at END,
                s.active_to::timestamp AT TIME ZONE zone
            ) AS next_at
        FROM registry.site AS s
        CROSS JOIN LATERAL (
            SELECT day * CASE s.hazard_level
                WHEN 'red' THEN k.check_days_red WHEN 'yellow' THEN k.check_days_yellow WHEN 'blue' THEN k.check_days_blue
                ELSE k.check_days_orange
            END AS span
        ) AS d
        LEFT JOIN hazard AS h ON h.site_id = s.id
        LEFT JOIN incident AS i ON i.site_id = s.id
        LEFT JOIN visit AS v ON v.site_id = s.id
        LEFT JOIN certificate AS c ON c.site_id = s.id
        LEFT JOIN later_certificate AS l ON l.site_id = s.id
        LEFT JOIN later_area AS a ON a.site_id = s.id
        LEFT JOIN worker AS w ON w.cell_code = s.cell_code
        WHERE (NOT one_of_them OR s.id = ANY (ids))
            AND s.active_from <= today AND (s.active_to IS NULL OR s.active_to > today)
        OFFSET 0
    ),
    formula AS (
        SELECT
            p.*,
            p.unlicensed + p.major + p.serious + p.general + p.closed + p.confirmed + p.unreviewed AS raw,
            exp(-least((p.unlicensed + p.major + p.serious + p.general + p.closed + p.confirmed + p.unreviewed) / k.raw_scale, most)) AS calm,
            exp(-least((p.unlicensed + p.major + p.serious + p.general + p.closed + p.confirmed) / k.raw_scale, most)) AS calm_confirmed,
            k.control_check * p.has_check::integer + k.control_self_check * p.has_self_check::integer
            + k.control_certificates * p.has_certificates::integer + k.control_camera * p.is_seen::integer
            + k.control_worker * p.has_worker::integer AS control
        FROM part AS p
        OFFSET 0
    ),
    scored AS (
        SELECT
            f.*,
            1 - f.calm AS dynamic,
            100 * (1 - (1 - f.inherent) * f.calm) * (1 - k.control_share * f.control) AS full_score,
            100 * (1 - (1 - f.inherent) * f.calm_confirmed) * (1 - k.control_share * f.control) AS confirmed_score,
            -- Points of the score for each point of raw, and what each missing part of control adds.
            CASE WHEN f.raw > 0 THEN 100 * (1 - f.inherent) * (1 - f.calm) * (1 - k.control_share) / f.raw END AS each,
            100 * (1 - (1 - f.inherent) * f.calm) * k.control_share AS control_points
        FROM formula AS f
        OFFSET 0
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
        FROM scored AS s
        OFFSET 0
    )
    SELECT
        c.id, c.town_code, c.cell_code, c.rule_code, c.inherent, c.raw, c.dynamic, c.control, c.score,
        CASE
            WHEN c.red_because IS NOT NULL OR c.score >= k.red_from THEN 'red'
            WHEN c.score >= k.orange_from THEN 'orange'
            WHEN c.score >= k.yellow_from THEN 'yellow'
            ELSE 'blue'
        END,
        coalesce(c.red_because, CASE WHEN c.score < c.full_score THEN 'unreviewed_capped' END),
        -- In the order of analysis.risk_term.
        ARRAY[
            100 * c.inherent * (1 - k.control_share),
            nullif(c.unlicensed, 0) * c.each, nullif(c.major, 0) * c.each, nullif(c.serious, 0) * c.each, nullif(c.general, 0) * c.each,
            nullif(c.closed, 0) * c.each, nullif(c.confirmed, 0) * c.each, nullif(c.unreviewed, 0) * c.each,
            CASE WHEN NOT c.has_check THEN c.control_points * k.control_check END,
            CASE WHEN NOT c.has_self_check THEN c.control_points * k.control_self_check END,
            CASE WHEN NOT c.has_certificates THEN c.control_points * k.control_certificates END,
            CASE WHEN NOT c.is_seen THEN c.control_points * k.control_camera END,
            CASE WHEN NOT c.has_worker THEN c.control_points * k.control_worker END
        ],
        c.unknown_parts, c.has_worker,
        coalesce(c.newest_data_at <= moment - stale_after, true),
        c.newest_data_at, c.is_seen,
        coalesce(
            least(
                c.next_at,
                CASE WHEN c.newest_data_at > moment - stale_after THEN c.newest_data_at + stale_after END,
                -- By then the clock alone has moved the score by drift_points at most: |dR/dt| is no more than this.
                CASE WHEN c.per_day > 1e-9 THEN
                    moment + day * least(3650, k.drift_points * k.raw_scale / c.per_day
                        / (100 * (1 - c.inherent) * (1 - k.control_share * c.control) * c.calm + k.drift_points))
                END
            ),
            moment + 3650 * day
        ),
        c.checked_at
    FROM capped AS c;
END $$;
COMMENT ON FUNCTION analysis.risk_site_of IS '现算：各在营场所（或指定场所）某时刻的风险分; scores of all active sites, or of these, worked out from the rows themselves, with the constants in force at `constants` (else at the moment). points: by term, in the order of analysis.risk_term. exact_until: until then the clock alone moves the score by no more than risk_drift_points and changes no step of it. checked_at: the newest visit, remote check or self-check whose outcome is known.';
