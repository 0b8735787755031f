-- Units with an outline (WKB, EPSG:3857), counties last: the digits that the codes of what is in them begin with, and their ground
-- in no cell. All of them, or those that hold some of the cells, or held one that has changed or gone since.
WITH held AS MATERIALIZED (
    SELECT c.code FROM unnest(%(communities)s::text[]) AS c (code)
    UNION
    SELECT h.community_code FROM territory.grid_cell_history AS h
    WHERE h.valid_to > (SELECT m.made_at - interval '1 hour' FROM territory.simplified_made_from AS m)
)
SELECT
    u.code, u.level, left(u.code, d.digits) AS prefix, ST_AsBinary(u.geom_3857) AS shape,
    (
        SELECT ST_AsBinary(ST_Union(p.geom_3857)) FROM territory.no_cell_piece AS p
        WHERE CASE u.level WHEN 'town' THEN p.town_code = u.code WHEN 'county' THEN p.town_code IS NULL ELSE false END
    ) AS bare
FROM territory.unit AS u
CROSS JOIN LATERAL (SELECT CASE u.level WHEN 'county' THEN 6 WHEN 'town' THEN 9 ELSE 12 END AS digits) AS d
WHERE u.valid_to IS NULL AND u.geom_3857 IS NOT NULL AND u.level IN ('county', 'town', 'community')
    AND (%(all)s OR EXISTS (SELECT FROM held AS h WHERE left(h.code, d.digits) = left(u.code, d.digits)))
ORDER BY u.level = 'county', u.code
