-- Units with an outline (WKB, EPSG:3857): the digits that the codes of their cells begin with, and their ground in no cell.
SELECT
    u.code, left(u.code, d.digits) AS prefix, ST_AsBinary(u.geom_3857) AS shape,
    (
        SELECT ST_AsBinary(ST_Union(p.geom_3857)) FROM territory.no_cell_piece AS p
        WHERE u.level IN ('county', 'town') AND left(coalesce(p.town_code, u.code), d.digits) = left(u.code, d.digits)
            AND (u.level = 'county' OR p.town_code IS NOT NULL)
    ) AS bare
FROM territory.unit AS u
CROSS JOIN LATERAL (SELECT CASE u.level WHEN 'county' THEN 6 WHEN 'town' THEN 9 ELSE 12 END AS digits) AS d
WHERE u.valid_to IS NULL AND u.geom_3857 IS NOT NULL AND u.level IN ('county', 'town', 'community')
ORDER BY u.code
