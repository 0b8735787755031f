-- The city's own outlines, water and roads as GeoJSON (WGS84, simplified to 20 m): the ground under a report's map.
SELECT 'unit' AS kind, u.name_zh AS name, ST_AsGeoJSON(ST_Transform(ST_SimplifyPreserveTopology(u.geom, 20), 4326), 5) AS shape
FROM territory.unit AS u WHERE u.level IN ('county', 'town') AND u.geom IS NOT NULL AND u.valid_to IS NULL
UNION ALL
(
    SELECT f.kind, f.name_zh, ST_AsGeoJSON(ST_Transform(ST_SimplifyPreserveTopology(f.geom, 20), 4326), 5)
    FROM territory.base_feature AS f WHERE f.kind IN ('sea', 'water', 'river', 'motorway', 'main_road')
    ORDER BY f.id LIMIT 3000
);
