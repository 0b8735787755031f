-- Cells with their outline (WKB, EPSG:3857): all of them, or those that lack a simplified outline, those that touch one of these
-- (both wanted), and those that touch these in turn, for where borders meet.
WITH has AS MATERIALIZED (
    SELECT s.cell_no FROM territory.cell_simplified AS s GROUP BY s.cell_no HAVING count(*) = 3
),
missing AS MATERIALIZED (
    SELECT c.cell_no, c.geom_3857 FROM territory.grid_cell AS c
    WHERE NOT %(whole)s AND NOT EXISTS (SELECT FROM has AS h WHERE h.cell_no = c.cell_no)
),
wanted AS MATERIALIZED (
    SELECT DISTINCT ON (c.cell_no) c.cell_no, c.geom_3857
    FROM missing AS m JOIN territory.grid_cell AS c ON c.geom_3857 && m.geom_3857 AND ST_Intersects(c.geom_3857, m.geom_3857)
),
around AS (
    SELECT c.cell_no FROM territory.grid_cell AS c WHERE %(whole)s
    UNION
    SELECT c.cell_no
    FROM wanted AS w JOIN territory.grid_cell AS c ON c.geom_3857 && w.geom_3857 AND ST_Intersects(c.geom_3857, w.geom_3857)
)
SELECT
    c.cell_no, c.code, c.community_code, ST_AsBinary(c.geom_3857) AS shape,
    %(whole)s OR EXISTS (SELECT FROM wanted AS w WHERE w.cell_no = c.cell_no) AS is_wanted
FROM around AS a JOIN territory.grid_cell AS c ON c.cell_no = a.cell_no
ORDER BY c.cell_no
