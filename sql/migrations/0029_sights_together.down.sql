DROP FUNCTION registry.rebuild_sights;
DROP FUNCTION registry.refresh_sights;
DROP FUNCTION registry.area_sights_of;
DROP FUNCTION registry.cell_sights_of;
DROP FUNCTION registry.sights_of;
DROP FUNCTION registry.sights_apart;
DROP TYPE registry.sight;

-- The ground under several sectors, by who sees it, on the metric zone. One that meets no other stays whole, of two that meet
-- only each other what they share is taken off each; where three meet, all edges are cut where they cross, and each piece belongs
-- to the cameras whose ground holds it.
CREATE FUNCTION registry.sights_apart(ids bigint[], clips geometry[]) RETURNS TABLE (camera_ids bigint[], m2 double precision)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH clip AS MATERIALIZED (
        SELECT c.id, c.geom FROM unnest(ids, clips) AS c (id, geom)
    ),
    met AS MATERIALIZED (
        SELECT c.id, c.geom, o.n, o.other
        FROM clip AS c
        CROSS JOIN LATERAL (
            SELECT count(*) AS n, min(o.id) AS other
            FROM clip AS o WHERE o.id <> c.id AND o.geom && c.geom AND ST_Intersects(o.geom, c.geom)
        ) AS o
    ),
    couple AS (
        SELECT a.id AS a, b.id AS b, ST_Area(a.geom) AS a_m2, ST_Area(b.geom) AS b_m2, ST_Area(ST_Intersection(a.geom, b.geom)) AS both_m2
        FROM met AS a JOIN met AS b ON b.id = a.other
        WHERE a.n = 1 AND b.n = 1 AND a.id < b.id
    ),
    crowd AS MATERIALIZED (
        SELECT m.id, m.geom FROM met AS m
        WHERE m.n > 1 OR (m.n = 1 AND EXISTS (SELECT FROM met AS o WHERE o.id = m.other AND o.n > 1))
    ),
    edge AS MATERIALIZED (
        SELECT ST_UnaryUnion(ST_Collect(ST_Boundary(c.geom))) AS geom FROM crowd AS c
    ),
    face AS MATERIALIZED (
        SELECT d.geom, ST_PointOnSurface(d.geom) AS at
        FROM (SELECT ST_Polygonize(e.geom) AS geom FROM edge AS e WHERE e.geom IS NOT NULL) AS p
        CROSS JOIN LATERAL ST_Dump(p.geom) AS d
    )
    SELECT ARRAY[m.id], ST_Area(m.geom) FROM met AS m WHERE m.n = 0
    UNION ALL
    SELECT k.ids, k.m2
    FROM couple AS c
    CROSS JOIN LATERAL (
        VALUES (ARRAY[c.a], c.a_m2 - c.both_m2), (ARRAY[c.b], c.b_m2 - c.both_m2), (ARRAY[c.a, c.b], c.both_m2)
    ) AS k (ids, m2)
    UNION ALL
    SELECT k.ids, sum(ST_Area(f.geom))
    FROM face AS f
    CROSS JOIN LATERAL (
        SELECT array_agg(c.id ORDER BY c.id) AS ids FROM crowd AS c WHERE c.geom && f.at AND ST_Intersects(c.geom, f.at)
    ) AS k
    WHERE k.ids IS NOT NULL
    GROUP BY k.ids
$$;

CREATE FUNCTION registry.sights_of(places text[], grounds geometry[]) RETURNS TABLE (
    place text, camera_ids bigint[], m2 double precision
) LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    WITH seen AS MATERIALIZED (
        SELECT p.place, k.ids, k.clips
        FROM unnest(places, grounds) AS p (place, geom)
        -- Clip to the place first: never one overlay of everything.
        CROSS JOIN LATERAL (
            SELECT array_agg(i.id ORDER BY i.id) AS ids, array_agg(i.clip ORDER BY i.id) AS clips
            FROM (
                SELECT
                    c.id,
                    CASE WHEN ST_Covers(p.geom, c.ground) THEN c.ground ELSE ST_CollectionExtract(ST_Intersection(p.geom, c.ground), 3) END AS clip
                FROM registry.camera AS c WHERE c.sector && p.geom OFFSET 0
            ) AS i
            WHERE NOT ST_IsEmpty(i.clip)
        ) AS k
        WHERE k.ids IS NOT NULL
    )
    SELECT s.place, s.ids, ST_Area(s.clips[1]) FROM seen AS s WHERE cardinality(s.ids) = 1
    UNION ALL
    SELECT s.place, a.camera_ids, a.m2
    FROM seen AS s CROSS JOIN LATERAL registry.sights_apart(s.ids, s.clips) AS a
    WHERE cardinality(s.ids) > 1 AND a.m2 > 0
$$;
COMMENT ON FUNCTION registry.sights_of IS '各处恰由某组摄像机可见的地面，现算; of each place (polygons of the metric zone) the square metres that exactly one set of cameras would see, reckoned now, of all cameras that ever stood.';

CREATE FUNCTION registry.refresh_sights() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    old_cells text[];
    old_areas bigint[];
BEGIN
    IF NOT EXISTS (SELECT FROM registry.sight_due) THEN
        RETURN 0;
    END IF;
    -- One after the other: each begins with what the one before has committed.
    PERFORM pg_advisory_xact_lock(748116313);
    WITH gone AS (
        DELETE FROM registry.sight_due AS d RETURNING d.cells, d.areas
    )
    SELECT
        ARRAY(SELECT DISTINCT c.code FROM gone AS g CROSS JOIN LATERAL unnest(g.cells) AS c (code) ORDER BY c.code),
        ARRAY(SELECT DISTINCT a.id FROM gone AS g CROSS JOIN LATERAL unnest(g.areas) AS a (id) ORDER BY a.id)
    INTO old_cells, old_areas;
    IF cardinality(old_cells) > 0 THEN
        DELETE FROM registry.cell_sight AS s WHERE s.cell_code = ANY (old_cells);
        INSERT INTO registry.cell_sight (cell_code, camera_ids, m2)
        SELECT s.place, s.camera_ids, s.m2
        FROM (
            SELECT array_agg(g.code ORDER BY g.code) AS codes, array_agg(g.geom ORDER BY g.code) AS geoms
            FROM territory.grid_cell AS g WHERE g.code = ANY (old_cells)
        ) AS k
        CROSS JOIN LATERAL registry.sights_of(k.codes, k.geoms) AS s;
    END IF;
    IF cardinality(old_areas) > 0 THEN
        DELETE FROM registry.area_sight AS s WHERE s.area_id = ANY (old_areas);
        INSERT INTO registry.area_sight (area_id, camera_ids, m2)
        SELECT s.place::bigint, s.camera_ids, s.m2
        FROM (
            SELECT array_agg(a.id::text ORDER BY a.id) AS ids, array_agg(a.geom ORDER BY a.id) AS geoms
            FROM registry.key_risk_area AS a WHERE a.id = ANY (old_areas)
        ) AS k
        CROSS JOIN LATERAL registry.sights_of(k.ids, k.geoms) AS s;
    END IF;
    RETURN cardinality(old_cells) + cardinality(old_areas);
END $$;
COMMENT ON FUNCTION registry.refresh_sights IS '重算待更新的可见地面; reckons the kept sights anew that are due; how many places that were.';

-- All of them: after rows were written with triggers off.
CREATE FUNCTION registry.rebuild_sights() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM registry.cell_sight;
    DELETE FROM registry.area_sight;
    INSERT INTO registry.sight_due (cells, areas)
    SELECT ARRAY(SELECT g.code FROM territory.grid_cell AS g), ARRAY(SELECT a.id FROM registry.key_risk_area AS a);
    RETURN registry.refresh_sights();
END $$;
COMMENT ON FUNCTION registry.rebuild_sights IS '全部重算可见地面; reckons every kept sight anew, as after a bulk load with triggers off.';
