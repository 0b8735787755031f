-- needs: parameter, own_area, duty_state, duty_lead, duty_site, grid_cell
CREATE FUNCTION analysis.duty_matrix_at(moment timestamptz) RETURNS TABLE (
    unit_code text, unit_level text, unit_zh text, unit_en text, rule_code text, place_type_zh text, place_type_en text,
    category text, site_count bigint, lead_count bigint, lead_code text, lead_zh text, lead_en text,
    person_name text, person_phone text, status text
) LANGUAGE sql STABLE AS $$
    -- Active sites of a type, by town and by county. Only units that the reader sees whole have a row.
    WITH counted AS (
        SELECT s.town_code, s.rule_code, count(*) AS n
        FROM registry.site AS s
        WHERE s.rule_code IS NOT NULL AND s.town_code IS NOT NULL AND s.active_from <= (SELECT analysis.city_date(moment))
            AND (s.active_to IS NULL OR s.active_to > (SELECT analysis.city_date(moment)))
        GROUP BY 1, 2
    ),
    by_unit AS (
        SELECT k.town_code AS unit_code, k.rule_code, k.n FROM counted AS k
        UNION ALL
        SELECT left(k.town_code, 6) || '000000', k.rule_code, sum(k.n) FROM counted AS k GROUP BY 1, 2
    )
    SELECT
        d.unit_code, u.level, u.name_zh, u.name_en, d.rule_code, r.place_type_zh, r.place_type_en, r.category,
        coalesce(b.n, 0)::bigint, d.lead_count, d.lead_code, d.lead_zh, d.lead_en, d.person_name, d.person_phone, d.status
    FROM analysis.duty_lead_at(moment) AS d
    JOIN territory.unit AS u ON u.code = d.unit_code
    JOIN duty.rule AS r ON r.code = d.rule_code
    LEFT JOIN by_unit AS b ON b.unit_code = d.unit_code AND b.rule_code = d.rule_code
    WHERE d.unit_code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w))
$$;
CREATE VIEW analysis.duty_matrix AS SELECT * FROM analysis.duty_matrix_at(now());
COMMENT ON VIEW analysis.duty_matrix IS '责任矩阵：单元 × 场所类型，牵头部门与责任人; responsibility matrix, unit by place type, with lead and person.';
COMMENT ON COLUMN analysis.duty_matrix.lead_count IS 'Confirmed or designated lead departments; exactly one is right.';
COMMENT ON COLUMN analysis.duty_matrix.status IS 'confirmed | proposed | disputed | missing | two_leads | no_person.';

-- Missing duties, everywhere or in one cell (then without those of place types and units, which lie in no cell).
CREATE FUNCTION analysis.duty_gap_at(moment timestamptz, only_cell text DEFAULT NULL) RETURNS TABLE (
    kind text, subject text, subject_id text, name_zh text, name_en text, rule_code text, cell_code text,
    cell_no integer, town_code text, status text, geom geometry(Geometry, :srid)
) LANGUAGE sql STABLE AS $$
    WITH cell AS MATERIALIZED (
        SELECT g.code, g.cell_no, g.town_code, g.name_zh, g.worker_count, g.geom FROM analysis.grid_cell_at(moment) AS g
        WHERE only_cell IS NULL OR g.code = only_cell
    ),
    -- Sites that nobody leads, that two lead, or whose lead has no named person. A site of no known type has no lead.
    site_gap AS (
        SELECT
            s.status AS kind, 'site' AS subject, s.site_id::text, s.name_zh, s.name_zh AS name_en, s.rule_code, s.cell_code,
            c.cell_no, s.town_code, s.status, s.geom
        FROM analysis.duty_site_at(moment, only_cell) AS s
        LEFT JOIN cell AS c ON c.code = s.cell_code
        WHERE s.status <> 'confirmed'
    ),
    worker_gap AS (
        SELECT 'no_grid_worker', 'cell', c.code, c.name_zh, '', NULL::text, c.code, c.cell_no, c.town_code, 'missing', c.geom
        FROM cell AS c WHERE c.worker_count = 0
    ),
    -- Types that have no site yet and no clear lead either: the gap waits for the first site.
    rule_gap AS (
        SELECT
            m.status, 'rule', m.rule_code, m.place_type_zh, m.place_type_en, m.rule_code, NULL::text, NULL::integer, NULL::text, m.status,
            NULL::geometry
        FROM analysis.duty_matrix_at(moment) AS m
        WHERE only_cell IS NULL AND m.unit_level = 'county' AND m.site_count = 0 AND m.status <> 'confirmed'
    ),
    -- Towns and the county without a named leader or safety officer.
    unit_gap AS (
        SELECT 'no_town_person', 'unit', u.code, u.name_zh, u.name_en, NULL::text, NULL::text, NULL::integer, u.code, 'missing', u.geom
        FROM territory.unit AS u
        WHERE only_cell IS NULL AND u.level IN ('county', 'town') AND u.valid_to IS NULL
            AND u.code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w))
            AND NOT EXISTS (
                SELECT 1 FROM duty.unit_staff AS s
                WHERE s.unit_code = u.code AND s.assigned_from <= (SELECT analysis.city_date(moment))
                    AND (s.assigned_to IS NULL OR s.assigned_to > (SELECT analysis.city_date(moment)))
            )
    )
    SELECT * FROM site_gap
    UNION ALL SELECT * FROM worker_gap
    UNION ALL SELECT * FROM rule_gap
    UNION ALL SELECT * FROM unit_gap
$$;
CREATE VIEW analysis.duty_gap AS SELECT * FROM analysis.duty_gap_at(now());
COMMENT ON VIEW analysis.duty_gap IS '责任缺口：缺失、重复、争议、待确认、无责任人、无网格员、乡镇无人; missing duties, one row a gap.';
COMMENT ON COLUMN analysis.duty_gap.kind IS 'A word of analysis.duty_state.';
COMMENT ON COLUMN analysis.duty_gap.subject IS 'site | cell | rule | unit: what subject_id names. rule = a place type without any site yet.';
COMMENT ON COLUMN analysis.duty_gap.status IS 'Standing of the lead: missing, proposed, disputed, two_leads, no_person.';

CREATE FUNCTION analysis.duty_cell_at(moment timestamptz) RETURNS TABLE (
    cell_code text, cell_no integer, town_code text, site_count bigint, gap_site_count bigint, gap_share double precision,
    has_worker boolean, has_chief boolean, level integer, state text,
    missing_count bigint, two_leads_count bigint, disputed_count bigint, proposed_count bigint, no_person_count bigint
) LANGUAGE sql STABLE AS $$
    WITH by_cell AS (
        SELECT
            s.cell_code, count(*) AS sites,
            count(*) FILTER (WHERE s.status = 'missing') AS missing,
            count(*) FILTER (WHERE s.status = 'two_leads') AS two_leads,
            count(*) FILTER (WHERE s.status = 'disputed') AS disputed,
            count(*) FILTER (WHERE s.status = 'proposed') AS proposed,
            count(*) FILTER (WHERE s.status = 'no_person') AS no_person
        FROM analysis.duty_site_at(moment) AS s GROUP BY s.cell_code
    ),
    -- Duties of a cell: one lead a site, a worker and a chief.
    shared AS (
        SELECT
            g.code, g.cell_no, g.town_code, g.worker_count > 0 AS has_worker, g.chief_name IS NOT NULL AS has_chief,
            coalesce(b.sites, 0) AS sites, coalesce(b.missing, 0) AS missing, coalesce(b.two_leads, 0) AS two_leads,
            coalesce(b.disputed, 0) AS disputed, coalesce(b.proposed, 0) AS proposed, coalesce(b.no_person, 0) AS no_person,
            coalesce(b.missing + b.two_leads + b.disputed + b.proposed + b.no_person, 0) AS gap_sites
        FROM analysis.grid_cell_at(moment) AS g
        LEFT JOIN by_cell AS b ON b.cell_code = g.code
        WHERE (SELECT analysis.sees_all()) OR g.community_code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w))
    )
    SELECT
        s.code, s.cell_no, s.town_code, s.sites, s.gap_sites, s.gap_sites / nullif(s.sites, 0)::double precision,
        s.has_worker, s.has_chief,
        CASE WHEN d.share = 0 THEN 0 WHEN d.share <= 0.25 THEN 1 WHEN d.share <= 0.5 THEN 2 WHEN d.share <= 0.75 THEN 3 ELSE 4 END,
        CASE
            WHEN s.missing > 0 THEN 'missing' WHEN s.two_leads > 0 THEN 'two_leads' WHEN s.disputed > 0 THEN 'disputed'
            WHEN s.proposed > 0 THEN 'proposed' WHEN s.no_person > 0 THEN 'no_person' WHEN NOT s.has_worker THEN 'no_grid_worker'
            ELSE 'confirmed'
        END,
        s.missing, s.two_leads, s.disputed, s.proposed, s.no_person
    FROM shared AS s
    CROSS JOIN LATERAL (
        SELECT (s.gap_sites + (NOT s.has_worker)::integer + (NOT s.has_chief)::integer) / (s.sites + 2)::double precision AS share
    ) AS d
$$;
CREATE VIEW analysis.duty_cell AS SELECT * FROM analysis.duty_cell_at(now());
COMMENT ON VIEW analysis.duty_cell IS '网格责任缺口程度 0–4 与最重状态; share of missing duties of each cell, level 0 none to 4 above three quarters, and its gravest state.';
COMMENT ON COLUMN analysis.duty_cell.level IS 'Share of missing duties (lead of each site, a worker, a chief): 0 none, 1 to a quarter, 2 to a half, 3 to three quarters, 4 more.';
COMMENT ON COLUMN analysis.duty_cell.gap_share IS 'Sites without exactly one confirmed lead and a named person; NULL = no site.';
COMMENT ON COLUMN analysis.duty_cell.state IS 'The gravest state of its sites'' leads, else no_grid_worker, else confirmed (analysis.duty_state).';
