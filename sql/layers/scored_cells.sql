-- The full score of every cell as it stood at midnight of a day (days since 1970 on the city's clock), its ground and sites.
SELECT r.cell_code, r.score, r.site_count, ST_Area(g.geom) AS area_m2
FROM territory.city AS c
CROSS JOIN LATERAL analysis.risk_cell_at(
    (DATE '1970-01-01' + %(day)s::integer)::timestamp AT TIME ZONE c.timezone
) AS r
JOIN territory.grid_cell AS g ON g.code = r.cell_code
ORDER BY r.cell_code
