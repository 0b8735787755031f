-- needs: parameter, own_area, duty_lead, risk_site, risk_cell
CREATE FUNCTION analysis.staffed_cells(moment timestamptz) RETURNS TABLE (cell_code text)
LANGUAGE sql STABLE AS $$
    SELECT DISTINCT g.cell_code FROM duty.grid_staff AS g
    WHERE g.role = 'worker' AND g.assigned_from <= (SELECT analysis.city_date(moment))
        AND (g.assigned_to IS NULL OR g.assigned_to > (SELECT analysis.city_date(moment)))
$$;
COMMENT ON FUNCTION analysis.staffed_cells IS '有在任网格员的网格; cells that have a grid worker in office.';

CREATE FUNCTION analysis.staffed_units(moment timestamptz) RETURNS TABLE (unit_code text)
LANGUAGE sql STABLE AS $$
    SELECT DISTINCT s.unit_code FROM duty.unit_staff AS s
    WHERE s.assigned_from <= (SELECT analysis.city_date(moment)) AND (s.assigned_to IS NULL OR s.assigned_to > (SELECT analysis.city_date(moment)))
$$;
COMMENT ON FUNCTION analysis.staffed_units IS '有在任负责人的单元; units with a leader or officer in office.';

-- Of each active site (or of these): the standing of its lead, whether somebody answers for it (a lead with a named person, a grid
-- worker of its cell, somebody in office in its town), and whether its check is overdue.
CREATE FUNCTION analysis.site_standing(moment timestamptz, only_sites bigint[] DEFAULT NULL) RETURNS TABLE (
    site_id bigint, town_code text, cell_code text, status text, has_worker boolean, has_staff boolean, is_overdue boolean
) LANGUAGE sql STABLE AS $$
    WITH due (colour, span) AS MATERIALIZED (
        SELECT c.colour, make_interval(secs => 86400 * analysis.check_days(c.colour))
        FROM (VALUES ('red'), ('orange'), ('yellow'), ('blue')) AS c (colour)
    )
    SELECT
        r.site_id, r.town_code, r.cell_code, coalesce(l.status, 'missing'), r.has_worker, t.unit_code IS NOT NULL,
        coalesce(r.checked_at <= moment - d.span, true)
    FROM analysis.risk_state(moment, only_sites => only_sites) AS r
    JOIN due AS d ON d.colour = r.level
    LEFT JOIN analysis.duty_lead_at(moment) AS l ON l.unit_code = r.town_code AND l.rule_code = r.rule_code
    LEFT JOIN analysis.staffed_units(moment) AS t ON t.unit_code = r.town_code
$$;
COMMENT ON FUNCTION analysis.site_standing IS '各在营场所（或指定场所）的责任与检查状态; active sites, or these: standing of the lead, whether the cell has a grid worker and the town anybody in office, whether the check is overdue.';

-- Active sites by the town that answers for them. Of the present, where scores are kept: cells are added up, and only sites that no
-- cell's count holds for their town, or whose cell the reader does not see whole, are looked at one by one.
CREATE FUNCTION analysis.town_tally_at(moment timestamptz) RETURNS TABLE (
    town_code text, site_count bigint, no_lead_count bigint, lead_gap_count bigint, unanswered_count bigint, overdue_count bigint
) LANGUAGE plpgsql STABLE ROWS 30 SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
#variable_conflict use_column
DECLARE
    due text[];
    whole constant text[] := CASE WHEN NOT analysis.sees_all() THEN analysis.whole_units() END;
    elsewhere bigint[];
BEGIN
    IF moment = now() THEN
        due := analysis.risk_due_cells();
    END IF;
    IF due IS NOT NULL THEN
        elsewhere := CASE
            WHEN whole IS NULL
                THEN ARRAY(SELECT s.id FROM registry.site AS s WHERE s.town_code IS DISTINCT FROM left(s.cell_code, 9) || '000')
            ELSE ARRAY(
                SELECT s.id FROM registry.site AS s
                WHERE s.town_code IS DISTINCT FROM left(s.cell_code, 9) || '000' OR left(s.cell_code, 12) <> ALL (whole)
            )
        END;
    END IF;
    RETURN QUERY
    WITH one AS MATERIALIZED (
        SELECT
            s.town_code, s.cell_code,
            (s.status NOT IN ('confirmed', 'no_person'))::integer AS no_lead, (s.status <> 'confirmed')::integer AS lead_gap,
            (NOT (s.status = 'confirmed' AND s.has_worker AND s.has_staff))::integer AS unanswered,
            (NOT (s.status = 'confirmed' AND s.has_worker))::integer AS unanswered_in_cell,
            s.is_overdue::integer AS overdue
        FROM analysis.site_standing(moment, elsewhere) AS s
        WHERE due IS NULL OR cardinality(elsewhere) > 0
    ),
    cell AS (
        SELECT
            left(c.cell_code, 9) || '000' AS town_code, c.site_count AS n,
            c.missing_count + c.two_leads_count + c.disputed_count + c.proposed_count AS no_lead,
            c.missing_count + c.two_leads_count + c.disputed_count + c.proposed_count + c.no_person_count AS lead_gap,
            CASE WHEN w.cell_code IS NULL THEN c.site_count
            ELSE c.missing_count + c.two_leads_count + c.disputed_count + c.proposed_count + c.no_person_count END AS unanswered,
            c.overdue_count AS overdue
        FROM analysis.risk_cell_now(due) AS c
        LEFT JOIN analysis.staffed_cells(moment) AS w ON w.cell_code = c.cell_code
        WHERE due IS NOT NULL AND (whole IS NULL OR left(c.cell_code, 12) = ANY (whole))
    ),
    by_cell AS (
        SELECT c.town_code, sum(c.n) AS n, sum(c.no_lead) AS no_lead, sum(c.lead_gap) AS lead_gap, sum(c.unanswered) AS unanswered, sum(c.overdue) AS overdue
        FROM cell AS c GROUP BY c.town_code
        UNION ALL
        -- What such a count holds of another town's sites is not this town's.
        SELECT left(o.cell_code, 9) || '000', -count(*), -sum(o.no_lead), -sum(o.lead_gap), -sum(o.unanswered_in_cell), -sum(o.overdue)
        FROM one AS o
        WHERE due IS NOT NULL AND o.cell_code IS NOT NULL AND (whole IS NULL OR left(o.cell_code, 12) = ANY (whole))
        GROUP BY 1
    ),
    part AS (
        SELECT
            c.town_code, sum(c.n) AS n, sum(c.no_lead) AS no_lead, sum(c.lead_gap) AS lead_gap,
            CASE WHEN t.unit_code IS NULL THEN sum(c.n) ELSE sum(c.unanswered) END AS unanswered, sum(c.overdue) AS overdue
        FROM by_cell AS c LEFT JOIN analysis.staffed_units(moment) AS t ON t.unit_code = c.town_code
        GROUP BY c.town_code, t.unit_code
        UNION ALL
        SELECT o.town_code, count(*), sum(o.no_lead), sum(o.lead_gap), sum(o.unanswered), sum(o.overdue) FROM one AS o GROUP BY o.town_code
    )
    SELECT p.town_code, sum(p.n)::bigint, sum(p.no_lead)::bigint, sum(p.lead_gap)::bigint, sum(p.unanswered)::bigint, sum(p.overdue)::bigint
    FROM part AS p GROUP BY p.town_code HAVING sum(p.n) <> 0;
END $$;
CREATE VIEW analysis.town_tally AS SELECT * FROM analysis.town_tally_at(now());
COMMENT ON VIEW analysis.town_tally IS '各乡镇在营场所数及其责任与检查缺口; active sites by the town that answers for them, and those without what they need.';
COMMENT ON COLUMN analysis.town_tally.town_code IS 'NULL = sites of no town.';
COMMENT ON COLUMN analysis.town_tally.no_lead_count IS 'Sites that no department leads alone.';
COMMENT ON COLUMN analysis.town_tally.lead_gap_count IS 'The same, and those whose lead has no named person.';
COMMENT ON COLUMN analysis.town_tally.unanswered_count IS 'Sites without a clear lead and person, or a grid worker, or anybody in office in the town.';
COMMENT ON COLUMN analysis.town_tally.overdue_count IS 'Sites whose next check is overdue (analysis.site_check).';
