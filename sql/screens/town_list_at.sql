-- Towns as they stood at a past moment, worst first, with their extent in degrees.
SELECT
    t.*, ST_XMin(b.box) AS west, ST_YMin(b.box) AS south, ST_XMax(b.box) AS east, ST_YMax(b.box) AS north
FROM analysis.town_summary_at(%(as_of)s) AS t
LEFT JOIN territory.unit AS u ON u.code = t.town_code
LEFT JOIN LATERAL (SELECT ST_Transform(u.geom, 4326)::box3d AS box) AS b ON true
ORDER BY t.red_cells + t.orange_cells DESC, t.coverage_gaps DESC, t.town_code
