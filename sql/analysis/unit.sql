-- needs: parameter, own_area
CREATE VIEW analysis.unit AS
-- Cells by every prefix that a unit's code can have: 2 province, 4 city, 6 county, 9 town, 12 community digits.
WITH cell_count AS (
    SELECT left(c.community_code, digits.n) AS prefix, count(*) AS cells
    FROM territory.grid_cell AS c CROSS JOIN (VALUES (2), (4), (6), (9), (12)) AS digits (n)
    GROUP BY 1
)
SELECT
    u.code, u.level, u.parent_code, u.name_zh, u.name_en,
    ST_Area(u.geom) / 1e6 AS area_km2,
    -- Known only to those who see the whole unit.
    CASE WHEN u.code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w)) THEN coalesce(k.cells, 0) END AS cell_count,
    u.geom, u.geom_3857
FROM territory.unit AS u
LEFT JOIN cell_count AS k ON k.prefix = left(
    u.code,
    CASE u.level WHEN 'province' THEN 2 WHEN 'city' THEN 4 WHEN 'county' THEN 6 WHEN 'town' THEN 9 ELSE 12 END
)
WHERE u.valid_to IS NULL;
COMMENT ON VIEW analysis.unit IS '行政区划：各级单元、面积与网格数; administrative units with area and number of cells.';
COMMENT ON COLUMN analysis.unit.cell_count IS 'NULL = the reader does not see the whole unit.';
COMMENT ON COLUMN analysis.unit.area_km2 IS 'Square kilometres on the city''s metric zone; NULL = no outline is known.';
