-- What happened in the city, dated and placed: incidents that were not false and not permitted work, and events that other
-- systems recorded. Metres of the city's zone; days since 1970 on the city's clock.
SELECT
    e.happened_at, e.x, e.y, e.cell_code, e.is_generated,
    extract(epoch FROM e.happened_at AT TIME ZONE c.timezone)::double precision / 86400 AS day
FROM (
    SELECT i.first_seen_at AS happened_at, ST_X(i.geom) AS x, ST_Y(i.geom) AS y, i.cell_code, i.is_generated
    FROM analysis.event AS i
    WHERE i.review NOT IN ('false', 'permitted')
    UNION ALL
    SELECT r.happened_at, ST_X(r.geom), ST_Y(r.geom), r.cell_code, r.is_generated
    FROM analysis.reported_event AS r
    WHERE r.kind NOT IN ('complaint', 'rescue', 'other')
) AS e
CROSS JOIN territory.city AS c
ORDER BY day
