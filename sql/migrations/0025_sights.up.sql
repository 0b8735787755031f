-- What cameras would see of each cell and key risk area, kept: the ground that exactly one set of cameras sees, as square metres.
-- Whichever cameras looked in an hour, or are online now, what they saw is a sum over these rows: no shape is cut any more.
CREATE TABLE registry.cell_sight (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cell_code text NOT NULL,
    community_code text NOT NULL GENERATED ALWAYS AS (left(cell_code, 12)) STORED,
    town_code text NOT NULL GENERATED ALWAYS AS (left(cell_code, 9) || '000') STORED,
    camera_ids bigint[] NOT NULL,
    m2 double precision NOT NULL
);
CREATE INDEX cell_sight_cell_idx ON registry.cell_sight (cell_code);
CREATE INDEX cell_sight_community_idx ON registry.cell_sight (community_code);
CREATE INDEX cell_sight_town_idx ON registry.cell_sight (town_code);
COMMENT ON TABLE registry.cell_sight IS '网格内恰由某组摄像机可见的地面（派生）; derived: square metres of a cell that exactly these cameras would see between the known buildings. Kept at commit by triggers on camera and grid_cell.';

CREATE TABLE registry.area_sight (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    area_id bigint NOT NULL,
    camera_ids bigint[] NOT NULL,
    m2 double precision NOT NULL
);
CREATE INDEX area_sight_area_idx ON registry.area_sight (area_id);
COMMENT ON TABLE registry.area_sight IS '重点风险源区域内恰由某组摄像机可见的地面（派生）; derived: square metres of a key risk area that exactly these cameras would see between the known buildings. Kept at commit by triggers on camera and key_risk_area.';

-- Places whose rows are old. A row lives from the statement that changed something to the commit; whoever reads in between
-- (analysis.cell_sights, area_sights) reckons these places anew.
CREATE TABLE registry.sight_due (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cells text[] NOT NULL,
    areas bigint[] NOT NULL
);
COMMENT ON TABLE registry.sight_due IS '可见地面待重算的网格与区域; cells and key risk areas whose kept sights are old, until the commit of what made them so.';

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

-- A fault here must not undo somebody's edit: what is due stays due, and is reckoned by whoever reads it.
CREATE FUNCTION registry.keep_sights() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM registry.refresh_sights();
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'registry.cell_sight, registry.area_sight: %', SQLERRM;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER sight_due_kept AFTER INSERT ON registry.sight_due
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION registry.keep_sights();

-- What lies under the ground that cameras saw before, or see now.
CREATE FUNCTION registry.mark_sights_under(grounds geometry[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    cells text[];
    areas bigint[];
BEGIN
    -- OFFSET 0 keeps them no joins of shapes: to plan one takes 15 ms, to do it for one camera 0.2.
    cells := ARRAY(
        SELECT DISTINCT g.code
        FROM unnest(grounds) AS k (geom)
        CROSS JOIN LATERAL (SELECT c.code FROM territory.grid_cell AS c WHERE c.geom && k.geom AND ST_Intersects(c.geom, k.geom) OFFSET 0) AS g
    );
    areas := ARRAY(
        SELECT DISTINCT g.id
        FROM unnest(grounds) AS k (geom)
        CROSS JOIN LATERAL (SELECT a.id FROM registry.key_risk_area AS a WHERE a.geom && k.geom AND ST_Intersects(a.geom, k.geom) OFFSET 0) AS g
    );
    IF cardinality(cells) + cardinality(areas) > 0 THEN
        INSERT INTO registry.sight_due (cells, areas) VALUES (cells, areas);
    END IF;
END $$;

CREATE FUNCTION registry.camera_sees() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    grounds geometry[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM registry.cell_sight;
        DELETE FROM registry.area_sight;
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        grounds := ARRAY(SELECT n.ground FROM new_camera AS n WHERE n.ground IS NOT NULL);
    ELSIF TG_OP = 'DELETE' THEN
        grounds := ARRAY(SELECT o.ground FROM old_camera AS o WHERE o.ground IS NOT NULL);
    ELSE
        grounds := ARRAY(
            SELECT g.ground
            FROM old_camera AS o JOIN new_camera AS n ON n.id = o.id
            CROSS JOIN LATERAL (VALUES (o.ground), (n.ground)) AS g (ground)
            WHERE o.ground IS DISTINCT FROM n.ground AND g.ground IS NOT NULL
        );
    END IF;
    IF cardinality(grounds) > 0 THEN
        PERFORM registry.mark_sights_under(grounds);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER camera_sees_insert AFTER INSERT ON registry.camera
REFERENCING NEW TABLE AS new_camera FOR EACH STATEMENT EXECUTE FUNCTION registry.camera_sees();
CREATE TRIGGER camera_sees_update AFTER UPDATE ON registry.camera
REFERENCING OLD TABLE AS old_camera NEW TABLE AS new_camera FOR EACH STATEMENT EXECUTE FUNCTION registry.camera_sees();
CREATE TRIGGER camera_sees_delete AFTER DELETE ON registry.camera
REFERENCING OLD TABLE AS old_camera FOR EACH STATEMENT EXECUTE FUNCTION registry.camera_sees();
CREATE TRIGGER camera_sees_truncate AFTER TRUNCATE ON registry.camera
FOR EACH STATEMENT EXECUTE FUNCTION registry.camera_sees();

CREATE FUNCTION registry.cell_is_seen() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    codes text[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM registry.cell_sight;
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        codes := ARRAY(SELECT n.code FROM new_cell AS n WHERE EXISTS (SELECT FROM registry.camera AS c WHERE c.sector && n.geom));
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM registry.cell_sight AS s USING old_cell AS o WHERE s.cell_code = o.code;
        RETURN NULL;
    ELSE
        codes := ARRAY(
            (SELECT n.code FROM new_cell AS n EXCEPT SELECT o.code FROM old_cell AS o)
            UNION (SELECT o.code FROM old_cell AS o EXCEPT SELECT n.code FROM new_cell AS n)
            UNION (
                SELECT n.code FROM new_cell AS n JOIN old_cell AS o ON o.code = n.code
                WHERE o.geom IS DISTINCT FROM n.geom
            )
        );
    END IF;
    IF cardinality(codes) > 0 THEN
        INSERT INTO registry.sight_due (cells, areas) VALUES (codes, '{}');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER cell_is_seen_insert AFTER INSERT ON territory.grid_cell
REFERENCING NEW TABLE AS new_cell FOR EACH STATEMENT EXECUTE FUNCTION registry.cell_is_seen();
CREATE TRIGGER cell_is_seen_update AFTER UPDATE ON territory.grid_cell
REFERENCING OLD TABLE AS old_cell NEW TABLE AS new_cell FOR EACH STATEMENT EXECUTE FUNCTION registry.cell_is_seen();
CREATE TRIGGER cell_is_seen_delete AFTER DELETE ON territory.grid_cell
REFERENCING OLD TABLE AS old_cell FOR EACH STATEMENT EXECUTE FUNCTION registry.cell_is_seen();
CREATE TRIGGER cell_is_seen_truncate AFTER TRUNCATE ON territory.grid_cell
FOR EACH STATEMENT EXECUTE FUNCTION registry.cell_is_seen();

CREATE FUNCTION registry.area_is_seen() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    ids bigint[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM registry.area_sight;
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        ids := ARRAY(SELECT n.id FROM new_area AS n WHERE EXISTS (SELECT FROM registry.camera AS c WHERE c.sector && n.geom));
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM registry.area_sight AS s USING old_area AS o WHERE s.area_id = o.id;
        RETURN NULL;
    ELSE
        ids := ARRAY(
            SELECT n.id FROM new_area AS n JOIN old_area AS o ON o.id = n.id
            WHERE o.geom IS DISTINCT FROM n.geom
        );
    END IF;
    IF cardinality(ids) > 0 THEN
        INSERT INTO registry.sight_due (cells, areas) VALUES ('{}', ids);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER area_is_seen_insert AFTER INSERT ON registry.key_risk_area
REFERENCING NEW TABLE AS new_area FOR EACH STATEMENT EXECUTE FUNCTION registry.area_is_seen();
CREATE TRIGGER area_is_seen_update AFTER UPDATE ON registry.key_risk_area
REFERENCING OLD TABLE AS old_area NEW TABLE AS new_area FOR EACH STATEMENT EXECUTE FUNCTION registry.area_is_seen();
CREATE TRIGGER area_is_seen_delete AFTER DELETE ON registry.key_risk_area
REFERENCING OLD TABLE AS old_area FOR EACH STATEMENT EXECUTE FUNCTION registry.area_is_seen();
CREATE TRIGGER area_is_seen_truncate AFTER TRUNCATE ON registry.key_risk_area
FOR EACH STATEMENT EXECUTE FUNCTION registry.area_is_seen();

SELECT registry.rebuild_sights();

-- As every audit: a load by the tables' owner that names its batch is one record, not one a row.
DROP TRIGGER audit_change ON registry.onboarding_target;
DO $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON registry.onboarding_target FOR EACH ROW'
        ' WHEN (coalesce(current_setting(''geoapp.batch'', true), '''') = '''' OR access.caller() <> %L)'
        ' EXECUTE FUNCTION access.audit_row(''id'')',
        current_user
    );
END $$;
