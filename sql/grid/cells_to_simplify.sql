-- Every cell with its outline (WKB, EPSG:3857), and whether it lacks a simplified one of some level.
SELECT
    c.cell_no, c.code, c.community_code, ST_AsBinary(c.geom_3857) AS shape,
    (SELECT count(*) FROM territory.cell_simplified AS s WHERE s.cell_no = c.cell_no) < 3 AS is_missing
FROM territory.grid_cell AS c
ORDER BY c.cell_no
