-- What two writers beside each other left old: scores of a site that somebody else had not committed yet when a worker was
-- assigned to its cell, a lead to its place type, or a camera turned towards it.

ALTER TABLE registry.risk_due
ADD COLUMN is_whole_cell boolean NOT NULL DEFAULT false,
ADD COLUMN rule_code text;
COMMENT ON TABLE registry.risk_due IS 'Sites whose kept score is old, and cells whose duties changed (site_id NULL): with is_whole_cell every site that stands in the cell by now, with rule_code every cell with a site of that place type by now; all NULL = every site.';

CREATE FUNCTION registry.mark_risk_of_cells(cells text[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO registry.risk_due (cell_code, is_whole_cell)
    SELECT DISTINCT c.code, true FROM unnest(cells) AS c (code) WHERE c.code IS NOT NULL AND cardinality(cells) <= 5000
    UNION ALL
    SELECT NULL, false WHERE cardinality(cells) > 5000
$$;
COMMENT ON FUNCTION registry.mark_risk_of_cells IS 'Notes that the scores of all sites in these cells are to be worked out again, also of those that others are just writing; of more than 5,000 cells, that all are.';

-- A grid worker counts for every site of the cell.
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
    -- The sites, too: one of another town that stands in the cell is that town's to read, the cell is not.
    PERFORM registry.mark_risk(ARRAY(SELECT s.id FROM registry.site AS s WHERE s.cell_code = ANY (cells) LIMIT 20001));
    PERFORM registry.mark_risk_of_cells(cells);
    RETURN NULL;
END $$;

-- Who leads changes no score: it is asked for with the score. Cells say whether a duty is missing, and are added up again.
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
    INSERT INTO registry.risk_due (rule_code) SELECT DISTINCT r.code FROM unnest(rules) AS r (code) WHERE r.code IS NOT NULL;
    RETURN NULL;
END $$;

-- What an online camera sees, before and after it was drawn anew. Whether it is online is asked for with the score.
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
        -- A site that somebody writes there meanwhile.
        PERFORM registry.mark_risk_of_cells(ARRAY(
            SELECT DISTINCT k.code FROM unnest(grounds) AS g (ground)
            CROSS JOIN LATERAL (
                SELECT c.code FROM territory.grid_cell AS c WHERE c.geom && g.ground AND ST_Intersects(c.geom, g.ground) OFFSET 0
            ) AS k
        ));
    END IF;
    RETURN NULL;
END $$;

-- A sector, cell, key risk area or building that is no valid shape: one of them failed the kept sights of all, and every view
-- of coverage with them. What a camera sees whose sector is none is not known: it has no ground. A building that is none hides
-- all within its hull: never more is seen than in truth.
CREATE INDEX camera_left_out_idx ON registry.camera (id) WHERE sector IS NOT NULL AND ground IS NULL;
CREATE INDEX key_risk_area_left_out_idx ON registry.key_risk_area (id) WHERE NOT ST_IsValid(geom);
CREATE INDEX grid_cell_left_out_idx ON territory.grid_cell (code) WHERE NOT ST_IsValid(geom);
CREATE INDEX building_left_out_idx ON territory.building (id) WHERE NOT ST_IsValid(geom);
CREATE OR REPLACE FUNCTION registry.ground_seen(place geometry, sector geometry)
RETURNS geometry LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
    WITH near AS MATERIALIZED (
        SELECT b.geom, ST_Contains(b.geom, place) AS is_under
        FROM (
            SELECT CASE WHEN ST_IsValid(o.geom) THEN o.geom ELSE ST_ConvexHull(o.geom) END AS geom
            FROM territory.building AS o WHERE o.geom && sector
        ) AS b
        WHERE ST_Intersects(b.geom, sector)
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
    SELECT CASE WHEN ST_IsValid(sector) THEN coalesce(ST_CollectionExtract(ST_Difference(sector, h.geom, 0.001), 3), sector) END FROM hidden AS h
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
    NEW.ground := CASE WHEN ST_IsValid(NEW.sector) THEN NEW.sector END;
    IF NEW.ground IS NOT NULL AND EXISTS (SELECT FROM territory.building AS b WHERE b.geom && NEW.sector) THEN
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
        UPDATE registry.camera AS c SET ground = c.sector WHERE c.ground IS DISTINCT FROM c.sector AND ST_IsValid(c.sector);
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
    -- What is no valid shape is left out (analysis.shape_left_out): one of them would fail all.
    WITH clip AS (
        SELECT p.place, i.id, i.clip
        FROM (SELECT p.place, p.geom FROM unnest(places, grounds) AS p (place, geom) WHERE ST_IsValid(p.geom) OFFSET 0) AS p
        -- Clip to the place first: never one overlay of everything.
        CROSS JOIN LATERAL (
            SELECT
                c.id,
                CASE WHEN ST_Covers(p.geom, c.ground) THEN c.ground ELSE ST_CollectionExtract(ST_Intersection(p.geom, c.ground), 3) END AS clip
            FROM registry.camera AS c WHERE c.sector && p.geom AND c.ground IS NOT NULL OFFSET 0
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
    bad record;
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
    FOR bad IN SELECT b.kind, b.subject_id, b.why FROM analysis.shape_left_out AS b ORDER BY b.kind, b.subject_id LIMIT 100 LOOP
        RAISE WARNING '形状不合规，未计入 / not a valid shape, left out: % % (%)', bad.kind, bad.subject_id, bad.why;
    END LOOP;
    RETURN n;
END $$;

ALTER TABLE registry.camera DISABLE TRIGGER USER;
UPDATE registry.camera AS c SET ground = NULL WHERE NOT ST_IsValid(c.sector);
ALTER TABLE registry.camera ENABLE TRIGGER USER;
-- What could not be reckoned so far.
SELECT registry.refresh_sights();

-- Whether every site of a cell lacks data, by the same rule as a site (analysis.risk_lacks_data).
ALTER TABLE registry.cell_risk ADD COLUMN lacks_data boolean NOT NULL DEFAULT false;
DELETE FROM registry.cell_risk;
INSERT INTO registry.risk_due DEFAULT VALUES;

-- Rows that a map is drawn from and that somebody empties: the map is another one, and what was kept is to be made again.
DO $$
DECLARE
    emptied record;
BEGIN
    FOR emptied IN
        SELECT * FROM (VALUES
            ('registry.risk_hex', 'risk_surface'), ('watch.expected_event', 'expected_event'), ('watch.expected_event_made', 'expected_event'),
            ('watch.camera_health', 'camera_health'), ('territory.no_cell_piece', 'no_cell'), ('territory.cell_simplified', 'simplified'),
            ('territory.unit_simplified', 'simplified'), ('registry.site_risk', 'inspection'), ('registry.cell_risk', 'inspection'),
            ('registry.site_bin', 'site'), ('registry.cell_sight', 'camera'), ('registry.area_sight', 'camera')
        ) AS t (name, layer)
    LOOP
        EXECUTE format('CREATE TRIGGER emptied_bump AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer(%L)',
            emptied.name, emptied.layer);
    END LOOP;
END $$;

CREATE FUNCTION registry.kept_emptied() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    CASE TG_TABLE_NAME
        WHEN 'site_risk', 'cell_risk' THEN INSERT INTO registry.risk_due DEFAULT VALUES;
        WHEN 'site_bin' THEN UPDATE registry.site_bin_made SET is_whole = false;
        WHEN 'cell_sight' THEN INSERT INTO registry.sight_due (cells, areas) SELECT array_agg(g.code), '{}' FROM territory.grid_cell AS g HAVING count(*) > 0;
        WHEN 'area_sight' THEN INSERT INTO registry.sight_due (cells, areas) SELECT '{}', array_agg(a.id) FROM registry.key_risk_area AS a HAVING count(*) > 0;
        ELSE UPDATE watch.event_fold SET folded = folded + 1;
    END CASE;
    RETURN NULL;
END $$;
CREATE TRIGGER kept_emptied AFTER TRUNCATE ON registry.site_risk FOR EACH STATEMENT EXECUTE FUNCTION registry.kept_emptied();
CREATE TRIGGER kept_emptied AFTER TRUNCATE ON registry.cell_risk FOR EACH STATEMENT EXECUTE FUNCTION registry.kept_emptied();
CREATE TRIGGER kept_emptied AFTER TRUNCATE ON registry.site_bin FOR EACH STATEMENT EXECUTE FUNCTION registry.kept_emptied();
CREATE TRIGGER kept_emptied AFTER TRUNCATE ON registry.cell_sight FOR EACH STATEMENT EXECUTE FUNCTION registry.kept_emptied();
CREATE TRIGGER kept_emptied AFTER TRUNCATE ON registry.area_sight FOR EACH STATEMENT EXECUTE FUNCTION registry.kept_emptied();
CREATE TRIGGER kept_emptied AFTER TRUNCATE ON watch.event_bin FOR EACH STATEMENT EXECUTE FUNCTION registry.kept_emptied();
CREATE TRIGGER kept_emptied AFTER TRUNCATE ON watch.event_day FOR EACH STATEMENT EXECUTE FUNCTION registry.kept_emptied();

-- How many changes of incidents wait to be folded is the whole district's to know: of the version only that it is another.
ALTER TABLE watch.event_fold ADD COLUMN salt text NOT NULL DEFAULT gen_random_uuid()::text;
COMMENT ON COLUMN watch.event_fold.salt IS 'Nobody reads it but territory.versions_of, whose text would tell counts without it.';
CREATE OR REPLACE FUNCTION territory.versions_of(layers text[]) RETURNS text
-- Not in SQL: planned once a connection, not at each call.
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_events text := '';
BEGIN
    IF 'event_bin' = ANY (layers) THEN
        -- Salted: whoever asks learns that something was written, not how much of it in the whole district.
        of_events := ',event_bin=' || (
            SELECT md5(f.salt || ' ' || f.folded || ' ' || (SELECT count(*) FROM watch.event_change)) FROM watch.event_fold AS f
        );
    END IF;
    RETURN coalesce((
            SELECT string_agg(v.layer || '=' || v.version, ',' ORDER BY v.layer)
            FROM territory.layer_version AS v WHERE v.layer = ANY (layers)
        ), '')
        || of_events
        || '|' || coalesce(obj_description('tiles'::regnamespace, 'pg_namespace'), '')
        || '|' || current_database() || coalesce((SELECT c.code || c.loaded_at FROM territory.city AS c), '');
END $$;

-- Hours are those of the city's clock (analysis.city_hour), not of the session's.
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
        SELECT h FROM generate_series(date_trunc('hour', since, territory.zone()), until - interval '1 hour', interval '1 hour') AS h WHERE h >= since
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
