-- The next places for cameras, with their points and what they would see in degrees (EPSG:4326).
SELECT
    n.place_no, n.gain, n.closed_m2, n.gap_before, n.gap_after, n.azimuth_deg, n.origin, n.cell_code, n.sees,
    ST_X(p.at) AS lon, ST_Y(p.at) AS lat, ST_AsGeoJSON(ST_Transform(n.ground, 4326), 7)::jsonb AS ground
FROM analysis.next_cameras(%(wanted)s, %(moment)s, %(town)s, %(reach_m)s, %(hfov_deg)s) AS n
CROSS JOIN LATERAL (SELECT ST_Transform(n.geom, 4326) AS at) AS p
ORDER BY n.place_no
