-- Kept sights reckoned for many places in one statement (before: a query per place), and all of them by several processes.
DROP FUNCTION registry.rebuild_sights;
DROP FUNCTION registry.refresh_sights;
DROP FUNCTION registry.sights_of;
DROP FUNCTION registry.sights_apart;

CREATE TYPE registry.sight AS (place text, camera_ids bigint[], m2 double precision);
COMMENT ON TYPE registry.sight IS '一处恰由某组摄像机可见的地面; ground of a place that exactly these cameras would see, square metres.';

-- The ground under several sectors of each place, by who sees it, on the metric zone: places[n] is what clips[n] lies in, ids[n]
-- whose it is. One that meets no other stays whole, of two that meet only each other what they share is taken off each; where
-- three meet, all edges are cut where they cross, and each piece belongs to the cameras whose ground holds it.
CREATE FUNCTION registry.sights_apart(places text[], ids bigint[], clips geometry[]) RETURNS SETOF registry.sight
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp
-- Nothing is known of how many rows an array holds: joins are by hash, never row by row. Planned once a session (an SQL function
-- would be planned at every call, which takes as long as a camera's own few cells).
SET enable_nestloop = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    WITH clip AS MATERIALIZED (
        SELECT c.place, c.id, c.geom, count(*) OVER (PARTITION BY c.place) AS n
        FROM unnest(places, ids, clips) AS c (place, id, geom)
    ),
    -- Whose ground meets whose. Where only two see the place, what they share says it.
    pair AS MATERIALIZED (
        SELECT a.place, a.id AS a, b.id AS b
        FROM clip AS a JOIN clip AS b ON b.place = a.place AND b.id > a.id
        WHERE a.n > 1 AND b.n > 1 AND a.geom && b.geom AND (a.n = 2 OR ST_Intersects(a.geom, b.geom))
    ),
    met AS MATERIALIZED (
        SELECT m.place, m.id, count(*) AS n
        FROM (SELECT p.place, p.a AS id FROM pair AS p UNION ALL SELECT p.place, p.b FROM pair AS p) AS m
        GROUP BY m.place, m.id
    ),
    couple AS MATERIALIZED (
        SELECT p.place, p.a, p.b
        FROM pair AS p
        JOIN met AS a ON a.place = p.place AND a.id = p.a
        JOIN met AS b ON b.place = p.place AND b.id = p.b
        WHERE a.n = 1 AND b.n = 1
    ),
    shared AS MATERIALIZED (
        SELECT k.place, k.a, k.b, ST_Area(a.geom) AS a_m2, ST_Area(b.geom) AS b_m2, ST_Area(ST_Intersection(a.geom, b.geom)) AS both_m2
        FROM couple AS k
        JOIN clip AS a ON a.place = k.place AND a.id = k.a
        JOIN clip AS b ON b.place = k.place AND b.id = k.b
    ),
    crowd AS MATERIALIZED (
        SELECT c.place, c.id, c.geom
        FROM clip AS c
        JOIN met AS m ON m.place = c.place AND m.id = c.id
        WHERE NOT EXISTS (SELECT FROM couple AS k WHERE k.place = c.place AND k.a = c.id)
            AND NOT EXISTS (SELECT FROM couple AS k WHERE k.place = c.place AND k.b = c.id)
    ),
    edge AS (
        SELECT c.place, ST_UnaryUnion(ST_Collect(ST_Boundary(c.geom))) AS geom FROM crowd AS c GROUP BY c.place
    ),
    face AS MATERIALIZED (
        SELECT row_number() OVER () AS n, f.place, f.m2, f.at
        FROM (
            SELECT p.place, ST_Area(d.geom) AS m2, ST_PointOnSurface(d.geom) AS at
            FROM (SELECT e.place, ST_Polygonize(e.geom) AS geom FROM edge AS e GROUP BY e.place) AS p
            CROSS JOIN LATERAL ST_Dump(p.geom) AS d
        ) AS f
    ),
    held AS (
        SELECT f.n, f.place, f.m2, array_agg(c.id ORDER BY c.id) AS ids
        FROM face AS f JOIN crowd AS c ON c.place = f.place AND c.geom && f.at AND ST_Intersects(c.geom, f.at)
        GROUP BY f.n, f.place, f.m2
    )
    SELECT c.place, ARRAY[c.id], ST_Area(c.geom)
    FROM clip AS c LEFT JOIN met AS m ON m.place = c.place AND m.id = c.id WHERE m.id IS NULL
    UNION ALL
    SELECT s.place, k.ids, k.m2
    FROM shared AS s
    CROSS JOIN LATERAL (
        VALUES (ARRAY[s.a], s.a_m2 - s.both_m2), (ARRAY[s.b], s.b_m2 - s.both_m2), (ARRAY[s.a, s.b], s.both_m2)
    ) AS k (ids, m2)
    WHERE k.m2 > 0
    UNION ALL
    SELECT h.place, h.ids, sum(h.m2) FROM held AS h GROUP BY h.place, h.ids;
END $$;

CREATE FUNCTION registry.sights_of(places text[], grounds geometry[]) RETURNS SETOF registry.sight
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    WITH clip AS (
        SELECT p.place, i.id, i.clip
        FROM unnest(places, grounds) AS p (place, geom)
        -- Clip to the place first: never one overlay of everything.
        CROSS JOIN LATERAL (
            SELECT
                c.id,
                CASE WHEN ST_Covers(p.geom, c.ground) THEN c.ground ELSE ST_CollectionExtract(ST_Intersection(p.geom, c.ground), 3) END AS clip
            FROM registry.camera AS c WHERE c.sector && p.geom OFFSET 0
        ) AS i
        WHERE NOT ST_IsEmpty(i.clip)
    ),
    seen AS (
        SELECT array_agg(c.place) AS places, array_agg(c.id) AS ids, array_agg(c.clip) AS clips FROM clip AS c
    )
    SELECT s.* FROM seen AS k CROSS JOIN LATERAL registry.sights_apart(k.places, k.ids, k.clips) AS s;
END $$;
COMMENT ON FUNCTION registry.sights_of IS '各处恰由某组摄像机可见的地面，现算; of each place (polygons of the metric zone) the square metres that exactly one set of cameras would see, reckoned now, of all cameras that ever stood.';

-- Costs are told as high as they are: a plan of several processes is worth it.
CREATE FUNCTION registry.cell_sights_of(cells text[]) RETURNS SETOF registry.sight
LANGUAGE sql STABLE PARALLEL SAFE COST 1000000 SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT s.*
    FROM (SELECT array_agg(g.code ORDER BY g.code) AS codes, array_agg(g.geom ORDER BY g.code) AS geoms
        FROM territory.grid_cell AS g WHERE g.code = ANY (cells)) AS k
    CROSS JOIN LATERAL registry.sights_of(k.codes, k.geoms) AS s
$$;
COMMENT ON FUNCTION registry.cell_sights_of IS '各网格恰由某组摄像机可见的地面，现算; the same of cells by their codes.';

CREATE FUNCTION registry.area_sights_of(areas bigint[]) RETURNS SETOF registry.sight
LANGUAGE sql STABLE PARALLEL SAFE COST 1000000 SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT s.*
    FROM (SELECT array_agg(a.id::text ORDER BY a.id) AS ids, array_agg(a.geom ORDER BY a.id) AS geoms
        FROM registry.key_risk_area AS a WHERE a.id = ANY (areas)) AS k
    CROSS JOIN LATERAL registry.sights_of(k.ids, k.geoms) AS s
$$;
COMMENT ON FUNCTION registry.area_sights_of IS '各重点风险源区域恰由某组摄像机可见的地面，现算; the same of key risk areas by their ids.';

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
        SELECT s.place, s.camera_ids, s.m2 FROM registry.cell_sights_of(old_cells) AS s;
    END IF;
    IF cardinality(old_areas) > 0 THEN
        DELETE FROM registry.area_sight AS s WHERE s.area_id = ANY (old_areas);
        INSERT INTO registry.area_sight (area_id, camera_ids, m2)
        SELECT s.place::bigint, s.camera_ids, s.m2 FROM registry.area_sights_of(old_areas) AS s;
    END IF;
    RETURN cardinality(old_cells) + cardinality(old_areas);
END $$;
COMMENT ON FUNCTION registry.refresh_sights IS '重算待更新的可见地面; reckons the kept sights anew that are due; how many places that were.';

-- All of them: after rows were written with triggers off. A query that writes a kept table is never one of several processes;
-- one that makes a table of its own is, and it takes its work from registry.sight_due a hundred places at a time.
CREATE FUNCTION registry.rebuild_sights() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET min_parallel_table_scan_size = 0 AS $$
DECLARE
    n bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(748116313);
    DELETE FROM registry.sight_due;
    INSERT INTO registry.sight_due (cells, areas)
    SELECT array_agg(g.code), '{}'
    FROM (SELECT g.code, row_number() OVER (ORDER BY g.code) / 100 AS batch FROM territory.grid_cell AS g) AS g GROUP BY g.batch
    UNION ALL
    SELECT '{}', array_agg(a.id)
    FROM (SELECT a.id, row_number() OVER (ORDER BY a.id) / 100 AS batch FROM registry.key_risk_area AS a) AS a GROUP BY a.batch;
    CREATE TEMP TABLE cell_sight_now ON COMMIT DROP AS
    SELECT registry.cell_sights_of(d.cells) AS sight FROM registry.sight_due AS d WHERE d.cells <> '{}';
    CREATE TEMP TABLE area_sight_now ON COMMIT DROP AS
    SELECT registry.area_sights_of(d.areas) AS sight FROM registry.sight_due AS d WHERE d.areas <> '{}';
    DELETE FROM registry.cell_sight;
    DELETE FROM registry.area_sight;
    INSERT INTO registry.cell_sight (cell_code, camera_ids, m2)
    SELECT (s.sight).place, (s.sight).camera_ids, (s.sight).m2 FROM pg_temp.cell_sight_now AS s;
    INSERT INTO registry.area_sight (area_id, camera_ids, m2)
    SELECT (s.sight).place::bigint, (s.sight).camera_ids, (s.sight).m2 FROM pg_temp.area_sight_now AS s;
    DROP TABLE pg_temp.cell_sight_now, pg_temp.area_sight_now;
    SELECT coalesce(sum(cardinality(d.cells) + cardinality(d.areas)), 0) INTO n FROM registry.sight_due AS d;
    DELETE FROM registry.sight_due;
    RETURN n;
END $$;
COMMENT ON FUNCTION registry.rebuild_sights IS '全部重算可见地面; reckons every kept sight anew, as after a bulk load with triggers off; how many places that were.';
