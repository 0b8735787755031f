-- needs: parameter, own_area, coverage_gap, site_check, sight
CREATE FUNCTION analysis.coverage_cell_at(moment timestamptz) RETURNS TABLE (
    cell_code text, cell_no integer, town_code text, area_m2 double precision, seen_m2 double precision,
    seen_fraction double precision, camera_count bigint, online_camera_count bigint, key_risk_area_count bigint,
    worst_level text, gap_kinds text[], as_of timestamptz
) LANGUAGE sql STABLE AS $$
    WITH camera AS MATERIALIZED (
        SELECT c.id, c.cell_code, c.is_online, c.sector FROM analysis.camera_at(moment) AS c
    ),
    -- What online cameras see, together.
    seen AS MATERIALIZED (
        SELECT s.cell_code AS code, s.m2 AS seen_m2
        FROM analysis.cells_seen_by(ARRAY(SELECT c.id FROM camera AS c WHERE c.is_online AND c.sector IS NOT NULL)) AS s
    ),
    standing AS (
        SELECT c.cell_code, count(*) AS cameras, count(*) FILTER (WHERE c.is_online) AS online
        FROM camera AS c GROUP BY c.cell_code
    ),
    area AS (
        SELECT g.code, count(*) AS areas
        FROM (SELECT ST_PointOnSurface(a.geom) AS at FROM registry.key_risk_area AS a WHERE a.status = 'active'
            AND coalesce(a.onboarded_on <= (SELECT analysis.city_date(moment)), true) AND coalesce(a.retired_on > (SELECT analysis.city_date(moment)), true)) AS p
        JOIN territory.grid_cell AS g ON g.geom && p.at AND ST_Intersects(g.geom, p.at)
        GROUP BY g.code
    ),
    gap AS MATERIALIZED (
        SELECT g.cell_code, array_agg(DISTINCT g.kind ORDER BY g.kind) AS kinds
        FROM (
            SELECT g.cell_code, g.kind FROM analysis.coverage_gap_at(moment, NULL, false) AS g
            UNION ALL
            SELECT k.cell_code, 'not_checked' FROM analysis.risk_cell_state(moment) AS k WHERE k.overdue_count > 0
        ) AS g
        WHERE g.cell_code IS NOT NULL GROUP BY g.cell_code
    )
    SELECT
        c.code, c.cell_no, u.parent_code, ST_Area(c.geom), CASE WHEN n.code IS NULL THEN coalesce(s.seen_m2, 0) END,
        CASE WHEN n.code IS NULL THEN coalesce(s.seen_m2, 0) / nullif(ST_Area(c.geom), 0) END,
        coalesce(t.cameras, 0), coalesce(t.online, 0), coalesce(a.areas, 0),
        k.level, coalesce(g.kinds, '{}'), moment
    FROM territory.grid_cell AS c
    LEFT JOIN territory.unit AS u ON u.code = c.community_code
    LEFT JOIN seen AS s ON s.code = c.code
    LEFT JOIN unnest(analysis.cells_not_known()) AS n (code) ON n.code = c.code
    LEFT JOIN standing AS t ON t.cell_code = c.code
    LEFT JOIN area AS a ON a.code = c.code
    LEFT JOIN gap AS g ON g.cell_code = c.code
    -- Left out by the planner where nobody asks for it.
    LEFT JOIN (
        SELECT
            r.cell_code,
            (ARRAY['red', 'orange', 'yellow', 'blue'])[min(array_position(ARRAY['red', 'orange', 'yellow', 'blue'], r.level))] AS level
        FROM analysis.risk_state(moment) AS r GROUP BY r.cell_code
    ) AS k ON k.cell_code = c.code
    WHERE (SELECT analysis.sees_all()) OR c.community_code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w))
$$;
CREATE VIEW analysis.coverage_cell AS SELECT * FROM analysis.coverage_cell_at(now());
COMMENT ON VIEW analysis.coverage_cell IS '网格覆盖：在线摄像机可见面积与盲区类别; coverage of each cell by online cameras, and its kinds of gap.';
COMMENT ON COLUMN analysis.coverage_cell.seen_m2 IS 'Square metres that online cameras see; NULL = not known: the cell or a sector near it is no valid shape (analysis.shape_left_out).';
COMMENT ON COLUMN analysis.coverage_cell.camera_count IS 'Cameras standing in the cell.';
COMMENT ON COLUMN analysis.coverage_cell.gap_kinds IS 'Kinds of analysis.coverage_gap in the cell; empty = none. A cell without a camera and without anything to watch has none.';
COMMENT ON COLUMN analysis.coverage_cell.worst_level IS 'Worst colour of its sites; NULL = no site.';
