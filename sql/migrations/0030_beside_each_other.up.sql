-- What two writers at the same time left behind, days of the city where those of UTC stood, and tables that changed a map without
-- its version.

-- Sites that were written while the counts were made anew were never counted.
CREATE OR REPLACE FUNCTION registry.rebuild_site_bin(in_any_case boolean DEFAULT false) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET work_mem = '128MB' SET lock_timeout = '2s' AS $$
BEGIN
    IF NOT in_any_case AND (SELECT m.is_whole FROM registry.site_bin_made AS m) THEN
        RETURN false;
    END IF;
    -- A writer of sites that found the counts not whole has said nothing here, nor will one that finds them so while this runs:
    -- nobody may be at it, and nobody begin, until the counts are whole.
    LOCK TABLE registry.site IN SHARE MODE;
    LOCK TABLE registry.site_bin IN SHARE ROW EXCLUSIVE MODE;
    UPDATE registry.site_bin_made SET is_whole = true, made_at = clock_timestamp();
    DELETE FROM registry.site_bin;
    EXECUTE registry.site_bin_statement(
        'SELECT 1 AS sign, s.id, s.geom_3857, s.town_code, s.cell_code, s.hazard_level, s.active_from, s.active_to FROM registry.site AS s'
    )
    USING (now() AT TIME ZONE territory.zone())::date;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;

-- Of a camera and a cell or area that two transactions wrote beside each other, neither saw the other.
ALTER TABLE registry.sight_due ADD COLUMN grounds geometry[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN registry.sight_due.grounds IS 'Ground that cameras saw before or see now, metric zone: what lies under it at the commit is old, too.';
CREATE OR REPLACE FUNCTION registry.mark_sights_under(grounds geometry[]) RETURNS void
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
    -- The grounds, too: a cell or area that somebody else adds or renames meanwhile is seen by nobody before the commit. A load
    -- of many cameras leaves them out.
    INSERT INTO registry.sight_due (cells, areas, grounds)
    VALUES (cells, areas, CASE WHEN cardinality(mark_sights_under.grounds) <= 500 THEN mark_sights_under.grounds ELSE '{}' END);
END $$;

CREATE OR REPLACE FUNCTION registry.cell_is_seen() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    codes text[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM registry.cell_sight;
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        -- Near a camera or not: one that moves there meanwhile is not seen before the commit.
        codes := ARRAY(SELECT n.code FROM new_cell AS n WHERE EXISTS (SELECT FROM registry.camera AS c WHERE c.sector IS NOT NULL));
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

CREATE OR REPLACE FUNCTION registry.area_is_seen() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    ids bigint[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM registry.area_sight;
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        ids := ARRAY(SELECT n.id FROM new_area AS n WHERE EXISTS (SELECT FROM registry.camera AS c WHERE c.sector IS NOT NULL));
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

CREATE OR REPLACE FUNCTION registry.refresh_sights() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    old_cells text[];
    old_areas bigint[];
    under geometry[];
BEGIN
    IF NOT EXISTS (SELECT FROM registry.sight_due) THEN
        RETURN 0;
    END IF;
    -- One after the other: each begins with what the one before has committed.
    PERFORM pg_advisory_xact_lock(748116313);
    WITH gone AS (
        DELETE FROM registry.sight_due AS d RETURNING d.cells, d.areas, d.grounds
    )
    SELECT
        ARRAY(SELECT DISTINCT c.code FROM gone AS g CROSS JOIN LATERAL unnest(g.cells) AS c (code) ORDER BY c.code),
        ARRAY(SELECT DISTINCT a.id FROM gone AS g CROSS JOIN LATERAL unnest(g.areas) AS a (id) ORDER BY a.id),
        ARRAY(SELECT u.geom FROM gone AS g CROSS JOIN LATERAL unnest(g.grounds) AS u (geom))
    INTO old_cells, old_areas, under;
    -- What lies under these grounds by now, others' commits counted.
    old_cells := ARRAY(
        SELECT c.code FROM unnest(old_cells) AS c (code)
        UNION
        SELECT g.code FROM unnest(under) AS k (geom)
        CROSS JOIN LATERAL (SELECT c.code FROM territory.grid_cell AS c WHERE c.geom && k.geom AND ST_Intersects(c.geom, k.geom) OFFSET 0) AS g
        ORDER BY 1
    );
    old_areas := ARRAY(
        SELECT a.id FROM unnest(old_areas) AS a (id)
        UNION
        SELECT g.id FROM unnest(under) AS k (geom)
        CROSS JOIN LATERAL (SELECT a.id FROM registry.key_risk_area AS a WHERE a.geom && k.geom AND ST_Intersects(a.geom, k.geom) OFFSET 0) AS g
        ORDER BY 1
    );
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

-- A camera begins and ends on a day of the city, for the watch as for every map.
CREATE OR REPLACE FUNCTION watch.record_connections(moment timestamptz) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH connected AS (
        SELECT c.id, c.period_s, c.night_period_s
        FROM registry.camera AS c
        WHERE c.is_connected AND c.enabled AND coalesce(c.installed_on <= (moment AT TIME ZONE territory.zone())::date, true)
            AND coalesce(c.retired_on > (moment AT TIME ZONE territory.zone())::date, true)
    ),
    open AS (
        SELECT k.camera_id, k.period_s, k.night_period_s FROM watch.camera_connection AS k WHERE k.until IS NULL
    ),
    changed AS (
        SELECT coalesce(c.id, k.camera_id) AS id, c.period_s, c.night_period_s
        FROM connected AS c
        FULL JOIN open AS k ON k.camera_id = c.id
        WHERE (c.period_s, c.night_period_s) IS DISTINCT FROM (k.period_s, k.night_period_s)
    ),
    recorded AS MATERIALIZED (
        SELECT watch.record_connection(c.id, c.period_s, c.night_period_s, moment) FROM changed AS c ORDER BY c.id
    )
    SELECT count(*)::integer FROM recorded
$$;

CREATE OR REPLACE FUNCTION watch.camera_connected() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today constant date := (now() AT TIME ZONE territory.zone())::date;
    is_connected constant boolean :=
        NEW.snapshot_url IS NOT NULL AND NEW.enabled
        AND coalesce(NEW.installed_on <= today, true) AND coalesce(NEW.retired_on > today, true);
BEGIN
    IF is_connected OR TG_OP = 'UPDATE' THEN
        PERFORM watch.record_connection(
            NEW.id, CASE WHEN is_connected THEN NEW.period_s END, CASE WHEN is_connected THEN NEW.night_period_s END, now()
        );
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER camera_connection_follows ON registry.camera;
CREATE TRIGGER camera_connection_follows
AFTER INSERT OR UPDATE OF snapshot_url, enabled, installed_on, retired_on, period_s, night_period_s ON registry.camera
FOR EACH ROW EXECUTE FUNCTION watch.camera_connected();

-- Checks, hazards and certificates colour cells and sites; constants, rules and offices what is missing.
-- (A new constant comes with new definitions, which are part of every version.)
CREATE TRIGGER hazard_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON inspection.hazard
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('inspection');
CREATE TRIGGER visit_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON inspection.visit
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('inspection');
CREATE TRIGGER certificate_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON registry.certificate
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('inspection');
CREATE TRIGGER unit_staff_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON duty.unit_staff
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('duty');
CREATE TRIGGER rule_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON duty.rule
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('duty');
CREATE TRIGGER department_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON duty.department
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('duty');
CREATE TRIGGER parameter_bump AFTER UPDATE OR DELETE OR TRUNCATE ON analysis.parameter
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('parameter');

-- One slip of a finger must not take every map away, nor ask for all the memory there is.
ALTER TABLE analysis.parameter DROP CONSTRAINT parameter_can_be_used;
ALTER TABLE analysis.parameter ADD CONSTRAINT parameter_can_be_used CHECK (
    value >= 0 AND value < 1e12
    AND (value > 0 OR name NOT IN (
        'risk_raw_scale', 'risk_overdue_full_days', 'risk_half_life_hazard', 'risk_half_life_incident', 'risk_cell_top', 'review_age_minutes'
    ))
    AND (unit NOT IN ('day', 'hour', 'minute', 's', 'period') OR value <= 100000)
    AND (unit <> 'year' OR value <= 1000)
    AND (name NOT IN ('risk_power_h', 'risk_power_e', 'risk_power_v') OR value <= 10)
    AND (name <> 'place_step_m' OR value >= 1)
    AND (name <> 'risk_hex_m' OR value BETWEEN 50 AND 5000)
) NOT VALID;
