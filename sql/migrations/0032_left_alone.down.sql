CREATE OR REPLACE FUNCTION watch.recount_hours(since timestamptz, until timestamptz) RETURNS TABLE (
    hour timestamptz, is_known boolean, cameras integer, changed integer, changes jsonb
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    at timestamptz;
BEGIN
    IF since IS NULL OR until IS NULL OR until < since THEN
        RAISE EXCEPTION '时段不合规：起 %，止 % / no span of time: from %, to %', since, until, since, until
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOCK TABLE watch.observation_hour IN SHARE ROW EXCLUSIVE MODE;
    FOR at IN
        SELECT h FROM generate_series(date_trunc('hour', since), until - interval '1 hour', interval '1 hour') AS h WHERE h >= since
    LOOP
        hour := at;
        changes := '[]';
        is_known := to_regclass('watch.observation_' || to_char(at AT TIME ZONE 'UTC', 'YYYYMMDD')) IS NOT NULL;
        IF NOT is_known THEN
            SELECT count(*) INTO cameras FROM watch.observation_hour AS o WHERE o.hour = at;
            changed := 0;
            RETURN NEXT;
            CONTINUE;
        END IF;
        WITH look AS (
            SELECT o.camera_id, o.reason, count(*)::integer AS n
            FROM watch.observation AS o
            WHERE o.captured_at >= at AND o.captured_at < at + interval '1 hour'
            GROUP BY o.camera_id, o.reason
        ),
        looked AS (
            SELECT
                l.camera_id,
                coalesce(sum(l.n) FILTER (WHERE l.reason IS NULL), 0)::integer AS observed,
                coalesce(sum(l.n) FILTER (WHERE l.reason IS NOT NULL), 0)::integer AS unobserved,
                coalesce(jsonb_object_agg(l.reason, l.n) FILTER (WHERE l.reason IS NOT NULL), '{}') AS reasons
            FROM look AS l
            GROUP BY l.camera_id
        ),
        before AS (
            SELECT o.*, coalesce((o.reasons ->> 'not_scanned')::integer, 0) AS not_scanned
            FROM watch.observation_hour AS o
            WHERE o.hour = at
        ),
        recounted AS (
            SELECT
                coalesce(l.camera_id, b.camera_id) AS camera_id,
                coalesce(l.observed, 0) AS observed,
                coalesce(l.unobserved, 0) + coalesce(b.not_scanned, 0) AS unobserved,
                coalesce(l.reasons, '{}')
                || CASE WHEN b.not_scanned > 0 THEN jsonb_build_object('not_scanned', b.not_scanned) ELSE '{}' END AS reasons,
                CASE
                    WHEN b.camera_id IS NOT NULL
                        THEN jsonb_build_object('observed', b.observed, 'unobserved', b.unobserved, 'reasons', b.reasons)
                END AS was
            FROM looked AS l
            FULL JOIN before AS b ON b.camera_id = l.camera_id
        ),
        differing AS (
            SELECT r.* FROM recounted AS r
            WHERE r.was IS DISTINCT FROM
                jsonb_build_object('observed', r.observed, 'unobserved', r.unobserved, 'reasons', r.reasons)
        ),
        written AS (
            INSERT INTO watch.observation_hour AS o (camera_id, hour, due, observed, unobserved, reasons)
            SELECT d.camera_id, at, d.observed + d.unobserved, d.observed, d.unobserved, d.reasons FROM differing AS d
            ON CONFLICT (camera_id, hour) DO UPDATE SET
                due = EXCLUDED.due, observed = EXCLUDED.observed, unobserved = EXCLUDED.unobserved, reasons = EXCLUDED.reasons
            RETURNING o.camera_id
        )
        SELECT
            (SELECT count(*) FROM recounted),
            (SELECT count(*) FROM written),
            coalesce(
                (
                    SELECT jsonb_agg(
                        jsonb_build_object(
                            'camera_id', d.camera_id,
                            'was', d.was,
                            'is', jsonb_build_object('observed', d.observed, 'unobserved', d.unobserved, 'reasons', d.reasons)
                        ) ORDER BY d.camera_id
                    )
                    FROM differing AS d
                ),
                '[]'
            )
        INTO cameras, changed, changes;
        RETURN NEXT;
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION territory.versions_of(layers text[]) RETURNS text
-- Not in SQL: planned once a connection, not at each call.
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_events text := '';
BEGIN
    IF 'event_bin' = ANY (layers) THEN
        of_events := ',event_bin=' || (SELECT f.folded FROM watch.event_fold AS f) || '+' || (SELECT count(*) FROM watch.event_change);
    END IF;
    RETURN coalesce((
            SELECT string_agg(v.layer || '=' || v.version, ',' ORDER BY v.layer)
            FROM territory.layer_version AS v WHERE v.layer = ANY (layers)
        ), '')
        || of_events
        || '|' || coalesce(obj_description('tiles'::regnamespace, 'pg_namespace'), '')
        || '|' || current_database() || coalesce((SELECT c.code || c.loaded_at FROM territory.city AS c), '');
END $$;
ALTER TABLE watch.event_fold DROP COLUMN salt;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'registry.risk_hex', 'watch.expected_event', 'watch.expected_event_made', 'watch.camera_health', 'territory.no_cell_piece',
        'territory.cell_simplified', 'territory.unit_simplified', 'registry.site_risk', 'registry.cell_risk', 'registry.site_bin',
        'registry.cell_sight', 'registry.area_sight'
    ] LOOP
        EXECUTE format('DROP TRIGGER emptied_bump ON %s', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY[
        'registry.site_risk', 'registry.cell_risk', 'registry.site_bin', 'registry.cell_sight', 'registry.area_sight', 'watch.event_bin',
        'watch.event_day'
    ] LOOP
        EXECUTE format('DROP TRIGGER kept_emptied ON %s', name);
    END LOOP;
END $$;
DROP FUNCTION registry.kept_emptied;
ALTER TABLE registry.cell_risk DROP COLUMN lacks_data;
-- Back to what 0024 made.
CREATE OR REPLACE FUNCTION registry.staff_risk_touched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cells text[] := '{}';
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO registry.risk_due DEFAULT VALUES;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        cells := cells || ARRAY(SELECT DISTINCT n.cell_code FROM new_row AS n WHERE n.role = 'worker');
    END IF;
    IF TG_OP <> 'INSERT' THEN
        cells := cells || ARRAY(SELECT DISTINCT o.cell_code FROM old_row AS o WHERE o.role = 'worker');
    END IF;
    PERFORM registry.mark_risk(ARRAY(SELECT s.id FROM registry.site AS s WHERE s.cell_code = ANY (cells) LIMIT 20001));
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION registry.duty_risk_touched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rules text[] := '{}';
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO registry.risk_due DEFAULT VALUES;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        rules := rules || ARRAY(SELECT DISTINCT n.rule_code FROM new_row AS n WHERE n.role = 'lead');
    END IF;
    IF TG_OP <> 'INSERT' THEN
        rules := rules || ARRAY(SELECT DISTINCT o.rule_code FROM old_row AS o WHERE o.role = 'lead');
    END IF;
    INSERT INTO registry.risk_due (cell_code)
    SELECT DISTINCT s.cell_code FROM registry.site AS s WHERE s.rule_code = ANY (rules) AND s.cell_code IS NOT NULL;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION registry.camera_risk_touched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    grounds geometry[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        grounds := ARRAY(
            SELECT g.ground FROM new_row AS n JOIN old_row AS o ON o.id = n.id
            CROSS JOIN LATERAL (VALUES (n.ground), (o.ground)) AS g (ground)
            WHERE n.ground IS DISTINCT FROM o.ground AND g.ground IS NOT NULL LIMIT 501
        );
    ELSIF TG_OP = 'DELETE' THEN
        grounds := ARRAY(SELECT o.ground FROM old_row AS o WHERE o.ground IS NOT NULL LIMIT 501);
        DELETE FROM registry.risk_online AS k USING old_row AS o WHERE k.camera_id = o.id;
    END IF;
    IF TG_OP = 'TRUNCATE' OR cardinality(grounds) > 500 THEN
        INSERT INTO registry.risk_due DEFAULT VALUES;
    ELSIF cardinality(grounds) > 0 THEN
        PERFORM registry.mark_risk(ARRAY(
            SELECT k.id FROM unnest(grounds) AS g (ground)
            CROSS JOIN LATERAL (
                SELECT s.id FROM registry.site AS s WHERE s.geom && g.ground AND ST_Intersects(g.ground, s.geom)
                UNION ALL
                SELECT a.site_id FROM registry.key_risk_area AS a WHERE a.geom && g.ground AND ST_Intersects(g.ground, a.geom)
                OFFSET 0
            ) AS k
            LIMIT 20001
        ));
    END IF;
    RETURN NULL;
END $$;
DROP FUNCTION registry.mark_risk_of_cells;
-- What names no site and no cell alone says that all is to be worked out again.
UPDATE registry.risk_due SET cell_code = NULL WHERE is_whole_cell;
ALTER TABLE registry.risk_due DROP COLUMN is_whole_cell, DROP COLUMN rule_code;
COMMENT ON TABLE registry.risk_due IS 'Sites whose kept score is old, and cells whose duties changed (site_id NULL); both NULL = every site.';

DROP INDEX registry.camera_left_out_idx, registry.key_risk_area_left_out_idx, territory.grid_cell_left_out_idx, territory.building_left_out_idx;
CREATE OR REPLACE FUNCTION registry.ground_seen(place geometry, sector geometry)
RETURNS geometry LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
    WITH near AS MATERIALIZED (
        SELECT b.geom, ST_Contains(b.geom, place) AS is_under
        FROM territory.building AS b
        WHERE b.geom && sector AND ST_Intersects(b.geom, sector)
    ),
    side AS (
        SELECT
            ST_StartPoint(d.geom) AS p, ST_EndPoint(d.geom) AS q,
            ST_X(ST_StartPoint(d.geom)) - ST_X(place) AS px, ST_Y(ST_StartPoint(d.geom)) - ST_Y(place) AS py,
            ST_X(ST_EndPoint(d.geom)) - ST_X(place) AS qx, ST_Y(ST_EndPoint(d.geom)) - ST_Y(place) AS qy,
            50 * ST_MaxDistance(place, sector) AS far_m
        FROM near AS n CROSS JOIN LATERAL ST_DumpSegments(n.geom) AS d
        WHERE NOT n.is_under
    ),
    -- Behind each side: to where its ends, seen from the camera, are far outside the sector. A side that is seen edge on hides nothing.
    shadow AS (
        SELECT ST_MakePolygon(ST_MakeLine(ARRAY[
            s.p, s.q,
            ST_SetSRID(ST_MakePoint(ST_X(place) + s.qx * k.q, ST_Y(place) + s.qy * k.q), ST_SRID(place)),
            ST_SetSRID(ST_MakePoint(ST_X(place) + s.px * k.p, ST_Y(place) + s.py * k.p), ST_SRID(place)),
            s.p
        ])) AS geom
        FROM side AS s
        CROSS JOIN LATERAL (
            SELECT
                greatest(s.far_m / nullif(sqrt(s.px * s.px + s.py * s.py), 0), 2) AS p,
                greatest(s.far_m / nullif(sqrt(s.qx * s.qx + s.qy * s.qy), 0), 2) AS q
        ) AS k
        WHERE abs(s.px * s.qy - s.py * s.qx) > 1e-6
    ),
    hidden AS (
        SELECT ST_Union(h.geom, 0.001) AS geom
        FROM (SELECT n.geom FROM near AS n UNION ALL SELECT s.geom FROM shadow AS s) AS h
    )
    SELECT coalesce(ST_CollectionExtract(ST_Difference(sector, h.geom, 0.001), 3), sector) FROM hidden AS h
$$;
CREATE OR REPLACE FUNCTION registry.camera_ground() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.sector := coalesce(NEW.sector, registry.wedge(NEW.geom, NEW.azimuth_deg, NEW.hfov_deg, NEW.max_range_m));
    ELSE
        IF NEW.sector IS NOT DISTINCT FROM OLD.sector
            AND (OLD.sector IS NULL OR OLD.sector = registry.wedge(OLD.geom, OLD.azimuth_deg, OLD.hfov_deg, OLD.max_range_m)) THEN
            NEW.sector := registry.wedge(NEW.geom, NEW.azimuth_deg, NEW.hfov_deg, NEW.max_range_m);
        END IF;
        IF OLD.sector IS NOT NULL AND OLD.sector IS DISTINCT FROM NEW.sector THEN
            NEW.sector_since := now();
        END IF;
    END IF;
    NEW.ground := NEW.sector;
    IF EXISTS (SELECT FROM territory.building AS b WHERE b.geom && NEW.sector) THEN
        NEW.ground := registry.ground_seen(NEW.geom, NEW.sector);
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION registry.building_hides() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET geoapp.batch = 'derived' AS $$
DECLARE
    near bigint[] := '{}';
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE registry.camera AS c SET ground = c.sector WHERE c.ground IS DISTINCT FROM c.sector;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        near := ARRAY(SELECT DISTINCT k.id FROM new_building AS b JOIN registry.camera AS k ON k.sector && b.geom);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        near := near || ARRAY(SELECT DISTINCT k.id FROM old_building AS b JOIN registry.camera AS k ON k.sector && b.geom);
    END IF;
    IF cardinality(near) > 0 THEN
        UPDATE registry.camera AS c SET ground = s.ground
        FROM (SELECT k.id, registry.ground_seen(k.geom, k.sector) AS ground FROM registry.camera AS k WHERE k.id = ANY (near)) AS s
        WHERE c.id = s.id AND c.ground IS DISTINCT FROM s.ground;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION registry.sights_of(places text[], grounds geometry[]) RETURNS SETOF registry.sight
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
CREATE OR REPLACE FUNCTION registry.rebuild_sights() RETURNS bigint
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
ALTER TABLE registry.camera DISABLE TRIGGER USER;
UPDATE registry.camera AS c SET ground = c.sector WHERE c.ground IS NULL;
ALTER TABLE registry.camera ENABLE TRIGGER USER;
