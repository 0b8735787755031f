-- Squares of the event surface with the town and the cell of their middle.
INSERT INTO watch.expected_event (place, town_code, cell_code, share, expected, tenth, geom)
SELECT
    s.place, t.code, c.code, s.share, s.share * %(total)s, s.tenth, s.geom
FROM (
    SELECT u.place, u.share, ntile(10) OVER (ORDER BY u.share DESC, u.place) AS tenth, ST_SetSRID(ST_GeomFromWKB(u.square), z.metric_srid) AS geom
    FROM unnest(%(places)s::integer[], %(shares)s::double precision[], %(squares)s::bytea[]) AS u (place, share, square)
    CROSS JOIN territory.city AS z
) AS s
LEFT JOIN LATERAL (
    SELECT u.code FROM territory.unit AS u
    WHERE u.level = 'town' AND u.valid_to IS NULL AND u.geom && ST_Centroid(s.geom) AND ST_Intersects(u.geom, ST_Centroid(s.geom))
    ORDER BY u.code LIMIT 1
) AS t ON true
LEFT JOIN LATERAL (
    SELECT g.code FROM territory.grid_cell AS g
    WHERE g.geom && ST_Centroid(s.geom) AND ST_Intersects(g.geom, ST_Centroid(s.geom))
    ORDER BY g.code LIMIT 1
) AS c ON true
