-- needs: parameter
CREATE FUNCTION analysis.grid_cell_at(moment timestamptz) RETURNS TABLE (
    code text, cell_no integer, community_code text, community_zh text, town_code text, town_zh text, town_en text,
    name_zh text, kind text, area_m2 double precision, chief_name text, worker_count bigint,
    geom geometry(Polygon, :srid), geom_3857 geometry(Polygon, 3857)
) LANGUAGE sql STABLE AS $$
    -- Who holds an office in a cell on that day.
    WITH staff AS (
        SELECT
            s.cell_code,
            string_agg(p.name_zh, '、' ORDER BY s.assigned_from, p.id) FILTER (WHERE s.role = 'chief') AS chief_name,
            count(*) FILTER (WHERE s.role = 'worker') AS worker_count
        FROM duty.grid_staff AS s
        LEFT JOIN duty.person AS p ON p.id = s.person_id
        WHERE s.assigned_from <= (SELECT analysis.city_date(moment))
            AND (s.assigned_to IS NULL OR s.assigned_to > (SELECT analysis.city_date(moment)))
        GROUP BY s.cell_code
    )
    SELECT
        c.code, c.cell_no, c.community_code, m.name_zh, t.code, t.name_zh, t.name_en,
        c.name_zh, c.kind, ST_Area(c.geom), s.chief_name, coalesce(s.worker_count, 0),
        c.geom, c.geom_3857
    FROM territory.grid_cell AS c
    LEFT JOIN territory.unit AS m ON m.code = c.community_code
    LEFT JOIN territory.unit AS t ON t.code = m.parent_code
    LEFT JOIN staff AS s ON s.cell_code = c.code
$$;
CREATE VIEW analysis.grid_cell AS SELECT * FROM analysis.grid_cell_at(now());
COMMENT ON VIEW analysis.grid_cell IS '网格及其社区、乡镇、网格长与网格员人数; grid cells with community, town, chief and number of workers.';
COMMENT ON COLUMN analysis.grid_cell.kind IS 'Thirteenth digit of the code: kind of cell.';
COMMENT ON COLUMN analysis.grid_cell.area_m2 IS 'Square metres on the city''s metric zone.';
COMMENT ON COLUMN analysis.grid_cell.worker_count IS 'Grid workers in office now; 0 = nobody answers for the cell.';
