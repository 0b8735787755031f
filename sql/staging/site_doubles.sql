-- Sites of a batch that have the name and address of another stored site within 30 m: proposals for a person. Two credit
-- codes are two firms, whatever their names; a pair that somebody decided on is not proposed again.
WITH
-- one of the two has no credit code, so the pair cannot be told apart by it
nameless AS (
    SELECT s.id, s.uscc, s.name_zh, s.address, s.geom, s.batch_id
    FROM registry.site AS s
    WHERE s.uscc IS NULL AND s.address <> ''
),
pair AS (
    SELECT DISTINCT least(a.id, b.id) AS site_id, greatest(a.id, b.id) AS other_id, ST_Distance(a.geom, b.geom) AS distance_m
    FROM nameless AS a
    JOIN registry.site AS b ON b.name_zh = a.name_zh AND b.address = a.address AND b.id <> a.id AND ST_DWithin(a.geom, b.geom, 30)
    WHERE %(batch_id)s IN (a.batch_id, b.batch_id)
)
INSERT INTO registry.site_merge (site_id, other_id, distance_m, batch_id)
SELECT p.site_id, p.other_id, p.distance_m, %(batch_id)s FROM pair AS p
ON CONFLICT (site_id, other_id) DO NOTHING
RETURNING site_id, other_id;
