-- As before.
ALTER TABLE analysis.parameter DROP CONSTRAINT parameter_can_be_used;
ALTER TABLE analysis.parameter ADD CONSTRAINT parameter_can_be_used CHECK (
    value >= 0 AND value < 1e12
    AND (value > 0 OR name NOT IN (
        'risk_raw_scale', 'risk_overdue_full_days', 'risk_half_life_hazard', 'risk_half_life_incident', 'risk_cell_top'
    ))
);
DROP TRIGGER parameter_bump ON analysis.parameter;
DROP TRIGGER department_bump ON duty.department;
DROP TRIGGER rule_bump ON duty.rule;
DROP TRIGGER unit_staff_bump ON duty.unit_staff;
DROP TRIGGER certificate_bump ON registry.certificate;
DROP TRIGGER visit_bump ON inspection.visit;
DROP TRIGGER hazard_bump ON inspection.hazard;

DROP TRIGGER camera_connection_follows ON registry.camera;
CREATE TRIGGER camera_connection_follows
AFTER INSERT OR UPDATE OF snapshot_url, enabled, retired_on, period_s, night_period_s ON registry.camera
FOR EACH ROW EXECUTE FUNCTION watch.camera_connected();
CREATE OR REPLACE FUNCTION watch.camera_connected() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_connected constant boolean :=
        NEW.snapshot_url IS NOT NULL AND NEW.enabled AND (NEW.retired_on IS NULL OR NEW.retired_on > now());
BEGIN
    IF is_connected OR TG_OP = 'UPDATE' THEN
        PERFORM watch.record_connection(
            NEW.id, CASE WHEN is_connected THEN NEW.period_s END, CASE WHEN is_connected THEN NEW.night_period_s END, now()
        );
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION watch.record_connections(moment timestamptz) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH connected AS (
        SELECT c.id, c.period_s, c.night_period_s
        FROM registry.camera AS c
        WHERE c.is_connected AND c.enabled AND (c.retired_on IS NULL OR c.retired_on > moment)
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

CREATE OR REPLACE FUNCTION registry.refresh_sights() RETURNS bigint
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

CREATE OR REPLACE FUNCTION registry.area_is_seen() RETURNS trigger
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

CREATE OR REPLACE FUNCTION registry.cell_is_seen() RETURNS trigger
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
    IF cardinality(cells) + cardinality(areas) > 0 THEN
        INSERT INTO registry.sight_due (cells, areas) VALUES (cells, areas);
    END IF;
END $$;
ALTER TABLE registry.sight_due DROP COLUMN grounds;

CREATE OR REPLACE FUNCTION registry.rebuild_site_bin(in_any_case boolean DEFAULT false) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET work_mem = '128MB' SET lock_timeout = '2s' AS $$
BEGIN
    IF NOT in_any_case AND (SELECT m.is_whole FROM registry.site_bin_made AS m) THEN
        RETURN false;
    END IF;
    -- Then nobody has changed a site without having said so here.
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
