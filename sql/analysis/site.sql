-- needs: parameter, duty_lead
-- Active sites, everywhere or in one cell: for one cell only its own visits and hazards are added up, by their indexes.
CREATE FUNCTION analysis.site_at(moment timestamptz, only_cell text DEFAULT NULL) RETURNS TABLE (
    id bigint, uscc text, local_id text, name_zh text, address text,
    rule_code text, place_type_zh text, place_type_en text, category text, nine_small text,
    hazard_level text, people integer, vulnerability text,
    cell_code text, town_code text, town_zh text, town_en text,
    lead_code text, lead_zh text, lead_en text, duty_status text,
    last_patrol_at timestamptz, last_self_check_at timestamptz, last_remote_check_at timestamptz,
    last_admin_inspection_at timestamptz, last_check_at timestamptz, last_visit_at timestamptz,
    open_hazard_count bigint, is_generated boolean,
    geom geometry(Point, :srid), geom_3857 geometry(Point, 3857)
) LANGUAGE sql STABLE AS $$
    -- Last visit of each kind. A visit that could not look (unknown) is no check.
    WITH last_visit AS (
        SELECT
            v.site_id,
            max(v.done_at) FILTER (WHERE v.kind = 'patrol') AS patrol,
            max(v.done_at) FILTER (WHERE v.kind = 'self_check') AS self_check,
            max(v.done_at) FILTER (WHERE v.kind = 'remote_check') AS remote_check,
            max(v.done_at) FILTER (WHERE v.kind = 'admin_inspection') AS admin_inspection
        FROM inspection.visit AS v
        WHERE v.done_at <= moment AND v.outcome <> 'unknown'
            AND (only_cell IS NULL OR v.site_id = ANY (ARRAY(SELECT c.id FROM registry.site AS c WHERE c.cell_code = only_cell)))
        GROUP BY v.site_id
    ),
    open_hazard AS (
        SELECT h.site_id, count(*) AS n
        FROM inspection.hazard AS h
        WHERE h.found_at <= moment AND (h.closed_at IS NULL OR h.closed_at > moment)
            AND (only_cell IS NULL OR h.site_id = ANY (ARRAY(SELECT c.id FROM registry.site AS c WHERE c.cell_code = only_cell)))
        GROUP BY h.site_id
    )
    SELECT
        s.id, s.uscc, s.local_id, s.name_zh, s.address,
        s.rule_code, r.place_type_zh, r.place_type_en, r.category, s.nine_small,
        s.hazard_level, s.people, s.vulnerability,
        s.cell_code, s.town_code, t.name_zh, t.name_en,
        d.lead_code, d.lead_zh, d.lead_en, coalesce(d.status, 'missing'),
        v.patrol, v.self_check, v.remote_check, v.admin_inspection,
        greatest(v.patrol, v.remote_check, v.admin_inspection),
        greatest(v.patrol, v.remote_check, v.admin_inspection, v.self_check),
        coalesce(h.n, 0), s.is_generated, s.geom, s.geom_3857
    FROM registry.site AS s
    LEFT JOIN duty.rule AS r ON r.code = s.rule_code
    LEFT JOIN territory.unit AS t ON t.code = s.town_code
    LEFT JOIN analysis.duty_lead_at(moment) AS d ON d.unit_code = s.town_code AND d.rule_code = s.rule_code
    LEFT JOIN last_visit AS v ON v.site_id = s.id
    LEFT JOIN open_hazard AS h ON h.site_id = s.id
    WHERE (only_cell IS NULL OR s.cell_code = only_cell)
        AND s.active_from <= (SELECT analysis.city_date(moment))
        AND (s.active_to IS NULL OR s.active_to > (SELECT analysis.city_date(moment)))
$$;
CREATE VIEW analysis.site AS SELECT * FROM analysis.site_at(now());
COMMENT ON VIEW analysis.site IS '在营场所（一企一档）：牵头部门、最近检查与未销号隐患; active sites with lead department, last visits and open hazards.';
COMMENT ON COLUMN analysis.site.lead_code IS 'The one confirmed or designated lead department; NULL = none, or two (see duty_status).';
COMMENT ON COLUMN analysis.site.last_check_at IS 'Newest patrol, remote check or administrative inspection with a known outcome.';
COMMENT ON COLUMN analysis.site.last_visit_at IS 'As last_check_at, self-checks included.';
COMMENT ON COLUMN analysis.site.category IS 'Category of its type (duty.rule); NULL = the type is not known, or no rule covers it.';
