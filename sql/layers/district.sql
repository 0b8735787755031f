-- The ground of the district as one shape (WKB, metres of the city's zone) and that zone.
SELECT c.metric_srid, ST_AsBinary(ST_Union(u.geom)) AS outline
FROM territory.city AS c
LEFT JOIN territory.unit AS u ON u.level = 'county'
GROUP BY c.metric_srid
