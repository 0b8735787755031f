-- The ground of one GeoJSON geometry (EPSG:4326) in the city's zone; NULL where it cannot be read: one bad proposal must not take
-- the others from the map.
CREATE FUNCTION analysis.readable_ground(shape jsonb) RETURNS geometry(Geometry, :srid)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found geometry;
BEGIN
    IF coalesce(jsonb_typeof(shape), '') <> 'object' THEN
        RETURN NULL;
    END IF;
    found := ST_CollectionExtract(ST_MakeValid(ST_Transform(ST_SetSRID(ST_GeomFromGeoJSON(shape), 4326), :srid)), 3);
    -- Outside the zone's own ground, numbers are no place.
    RETURN CASE WHEN NOT ST_IsEmpty(found) AND ST_XMax(found) < 1e7 AND ST_YMax(found) < 1e7 AND ST_XMin(found) > -1e7 THEN found END;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION analysis.readable_ground IS 'GeoJSON 面（不可读则为空）; the polygon of a GeoJSON geometry in the city''s zone, NULL where it cannot be read.';

-- Changes of the grid that wait: the cells that stand there now, and what is to stand there instead, one row a piece.
CREATE VIEW analysis.changeset_ground AS
WITH open AS MATERIALIZED (
    SELECT c.id, c.title, c.reason, c.town_code, c.state, c.planned_at, c.proposal
    FROM territory.changeset AS c
    WHERE c.state IN ('draft', 'submitted')
),
shape AS (
    SELECT o.id, f.n, CASE f.value ->> 'type' WHEN 'Feature' THEN f.value -> 'geometry' ELSE f.value END AS shape
    FROM open AS o
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE
            WHEN o.proposal ->> 'type' = 'FeatureCollection' AND jsonb_typeof(o.proposal -> 'features') = 'array' THEN o.proposal -> 'features'
            ELSE jsonb_build_array(o.proposal)
        END
    ) WITH ORDINALITY AS f (value, n)
),
after AS MATERIALIZED (
    SELECT s.id, s.n, analysis.readable_ground(s.shape) AS geom FROM shape AS s
),
-- Cells that lose ground to the proposal; touching it is not enough.
before AS (
    SELECT a.id, row_number() OVER (PARTITION BY a.id ORDER BY g.code) AS n, g.geom
    FROM (SELECT a.id, ST_Union(a.geom) AS geom FROM after AS a WHERE a.geom IS NOT NULL GROUP BY a.id) AS a
    JOIN territory.grid_cell AS g ON g.geom && a.geom AND ST_Area(ST_Intersection(g.geom, a.geom)) >= 1
),
part AS (
    SELECT b.id, 'before' AS part, b.n, b.geom FROM before AS b
    UNION ALL
    SELECT a.id, 'after', a.n, a.geom FROM after AS a
    UNION ALL
    -- A plan that says nothing yet, or holds no shape at all, is listed nevertheless.
    SELECT o.id, 'after', 0, NULL FROM open AS o WHERE NOT EXISTS (SELECT FROM after AS a WHERE a.id = o.id)
)
SELECT
    20000 * o.id + CASE p.part WHEN 'after' THEN 10000 ELSE 0 END + p.n AS part_no, o.id AS changeset_id, p.part, o.title, o.reason,
    o.town_code, o.state, o.planned_at, ST_Area(p.geom) AS area_m2, p.geom
FROM part AS p JOIN open AS o ON o.id = p.id;
COMMENT ON VIEW analysis.changeset_ground IS '未定的网格调整方案：调整前后的地面; open changesets of the grid: the cells there now that lose ground (before) and the cells proposed (after).';
COMMENT ON COLUMN analysis.changeset_ground.part IS 'before: a cell of today. after: a cell of the proposal; its geom is NULL where it cannot be read.';
