-- Risk that is kept: which constants held when, the newest score of every site and cell, what makes a kept score old, and
-- surfaces on hexagons and squares that the map draws.

-- Every value that a constant has had. A past day's score is worked out with the constants that were in force on that day.
CREATE TABLE analysis.parameter_version (
    name text NOT NULL,
    valid_from timestamptz NOT NULL,
    value double precision,
    set_by text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (name, valid_from)
);
COMMENT ON TABLE analysis.parameter_version IS '公式常数的历次取值; every value of a constant: it holds from valid_from (-infinity = since ever) until the next. value NULL = taken away. Written by a trigger on analysis.parameter.';

CREATE FUNCTION access.keep_parameter_version() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    why constant text := coalesce(current_setting('geoapp.reason', true), '');
BEGIN
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NEW.name <> OLD.name) THEN
        INSERT INTO analysis.parameter_version AS v (name, valid_from, value, set_by, reason)
        VALUES (OLD.name, now(), NULL, access.caller(), why)
        ON CONFLICT (name, valid_from) DO UPDATE SET value = excluded.value, set_by = excluded.set_by, reason = excluded.reason;
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NEW.name = OLD.name AND NEW.value = OLD.value) THEN
        RETURN NULL;
    END IF;
    -- A constant that nobody has known comes with its formula, and holds for the past as the formula does.
    INSERT INTO analysis.parameter_version AS v (name, valid_from, value, set_by, reason)
    VALUES (
        NEW.name,
        CASE WHEN EXISTS (SELECT FROM analysis.parameter_version AS k WHERE k.name = NEW.name) THEN now() ELSE '-infinity' END,
        NEW.value, access.caller(), why
    )
    ON CONFLICT (name, valid_from) DO UPDATE SET value = excluded.value, set_by = excluded.set_by, reason = excluded.reason;
    RETURN NULL;
END $$;
INSERT INTO analysis.parameter_version (name, valid_from, value) SELECT p.name, '-infinity', p.value FROM analysis.parameter AS p;
CREATE TRIGGER parameter_version_kept AFTER INSERT OR UPDATE OR DELETE ON analysis.parameter
FOR EACH ROW EXECUTE FUNCTION access.keep_parameter_version();
-- No value at all is better than one with which no score can be worked out (NaN is larger than any number).
ALTER TABLE analysis.parameter ADD CONSTRAINT parameter_can_be_used CHECK (
    value >= 0 AND value < 1e12
    AND (value > 0 OR name NOT IN (
        'risk_raw_scale', 'risk_overdue_full_days', 'risk_half_life_hazard', 'risk_half_life_incident', 'risk_cell_top'
    ))
);

-- The newest score of every site. A row is true until exact_until unless registry.risk_due names its site;
-- analysis.risk_site_at(now()) puts the two together.
CREATE TABLE registry.site_risk (
    site_id bigint PRIMARY KEY,
    town_code text,
    cell_code text,
    rule_code text,
    is_active boolean NOT NULL,
    inherent double precision,
    raw double precision,
    dynamic double precision,
    control double precision,
    score double precision,
    level text,
    override_reason text,
    points double precision[],
    unknown_parts text[],
    has_worker boolean,
    is_stale boolean,
    newest_data_at timestamptz,
    is_seen boolean,
    computed_at timestamptz NOT NULL,
    exact_until timestamptz NOT NULL
);
CREATE INDEX site_risk_cell_idx ON registry.site_risk (cell_code);
CREATE INDEX site_risk_town_idx ON registry.site_risk (town_code);
CREATE INDEX site_risk_until_idx ON registry.site_risk (exact_until);
COMMENT ON TABLE registry.site_risk IS 'Derived: score of each site as of computed_at, within risk_drift_points until exact_until, the next moment at which the clock alone changes more. A site named in registry.risk_due is worked out anew when it is asked for. Not active = in the register, not in operation.';
COMMENT ON COLUMN registry.site_risk.points IS 'Points of the score by term, in the order of analysis.risk_term; NULL = the term is not there.';

CREATE TABLE registry.cell_risk (
    cell_code text PRIMARY KEY,
    score double precision NOT NULL,
    level text NOT NULL,
    site_count bigint NOT NULL,
    top_site_id bigint NOT NULL,
    has_duty_gap boolean NOT NULL,
    top_has_duty_gap boolean NOT NULL,
    is_stale boolean NOT NULL,
    unknown_site_count bigint NOT NULL,
    computed_at timestamptz NOT NULL,
    exact_until timestamptz NOT NULL
);
COMMENT ON TABLE registry.cell_risk IS 'Derived: score of each cell that has sites, from registry.site_risk, as of computed_at. True while none of its sites is due.';

-- What was changed since. Appended by whoever changes something, so that nobody waits for anybody; emptied by analysis.keep_risk().
CREATE TABLE registry.risk_due (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id bigint,
    cell_code text,
    marked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX risk_due_site_idx ON registry.risk_due (site_id);
COMMENT ON TABLE registry.risk_due IS 'Sites whose kept score is old, and cells whose duties changed (site_id NULL); both NULL = every site.';

-- The kept scores took these cameras for online; another answer now makes the sites due that they see.
CREATE TABLE registry.risk_online (
    camera_id bigint PRIMARY KEY
);
COMMENT ON TABLE registry.risk_online IS 'Cameras that were online when the scores in registry.site_risk were worked out.';

CREATE TABLE registry.risk_made_from (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    versions text NOT NULL,
    made_at timestamptz NOT NULL
);
COMMENT ON TABLE registry.risk_made_from IS 'Formula, constants and units that the kept scores were worked out with; others make all of them old.';

-- More sites than this in one statement: working each out beside the kept ones would take longer than doing all again.
CREATE FUNCTION registry.mark_risk(sites bigint[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO registry.risk_due (site_id)
    SELECT DISTINCT s.id FROM unnest(sites) AS s (id) WHERE s.id IS NOT NULL AND cardinality(sites) <= 20000
    UNION ALL
    SELECT NULL WHERE cardinality(sites) > 20000
$$;
COMMENT ON FUNCTION registry.mark_risk IS 'Notes that the scores of these sites are to be worked out again; of more than 20,000, that all are.';

-- Statement trigger. Arguments: the site of a row r of the changed table, and the columns (of n and o, new and old) that matter.
CREATE FUNCTION registry.risk_touched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    rows text;
    touched bigint[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO registry.risk_due DEFAULT VALUES;
        RETURN NULL;
    END IF;
    rows := CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT r.* FROM new_row AS r'
        WHEN 'DELETE' THEN 'SELECT r.* FROM old_row AS r'
        ELSE format(
            'SELECT r.* FROM new_row AS n JOIN old_row AS o ON o.id = n.id'
            ' CROSS JOIN LATERAL (SELECT n.* UNION ALL SELECT o.*) AS r WHERE (%s) IS DISTINCT FROM (%s)',
            (SELECT string_agg('n.' || c, ', ') FROM unnest(string_to_array(TG_ARGV[1], ' ')) AS c),
            (SELECT string_agg('o.' || c, ', ') FROM unnest(string_to_array(TG_ARGV[1], ' ')) AS c)
        )
    END;
    EXECUTE format('SELECT array_agg(k.id) FROM (SELECT %s AS id FROM (%s) AS r WHERE %s LIMIT 20001) AS k', TG_ARGV[0], rows, TG_ARGV[2])
    INTO touched;
    IF touched IS NOT NULL THEN
        PERFORM registry.mark_risk(touched);
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE
    watched record;
BEGIN
    FOR watched IN
        SELECT * FROM (VALUES
            ('inspection.hazard', 'r.site_id', 'site_id class is_unlicensed_work found_at deadline closed_at', 'true'),
            ('inspection.visit', 'r.site_id', 'site_id kind done_at outcome', 'r.outcome <> ''unknown'''),
            ('registry.certificate', 'r.site_id', 'site_id holder_hash job_class issued_on valid_to verified_at verified_result', 'true'),
            ('registry.key_risk_area', 'r.site_id', 'site_id geom status onboarded_on retired_on', 'true'),
            -- A candidate is nobody's business yet, and one in the shadow never is.
            ('watch.incident',
                'coalesce(r.site_id, (SELECT a.site_id FROM registry.key_risk_area AS a WHERE a.id = r.key_risk_area_id))',
                'site_id key_risk_area_id class state review mode permit_id peak_score opened_at closed_at reviewed_at first_seen_at last_seen_at',
                'r.state <> ''candidate'' AND r.mode = ''alert'' AND coalesce(r.site_id, r.key_risk_area_id) IS NOT NULL')
        ) AS t (name, site, columns, condition)
    LOOP
        EXECUTE format('CREATE TRIGGER risk_touched_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_row'
            ' FOR EACH STATEMENT EXECUTE FUNCTION registry.risk_touched(%L, %L, %L)', watched.name, watched.site, watched.columns, watched.condition);
        EXECUTE format('CREATE TRIGGER risk_touched_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row'
            ' FOR EACH STATEMENT EXECUTE FUNCTION registry.risk_touched(%L, %L, %L)', watched.name, watched.site, watched.columns, watched.condition);
        EXECUTE format('CREATE TRIGGER risk_touched_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_row'
            ' FOR EACH STATEMENT EXECUTE FUNCTION registry.risk_touched(%L, %L, %L)', watched.name, watched.site, watched.columns, watched.condition);
        EXECUTE format('CREATE TRIGGER risk_touched_truncate AFTER TRUNCATE ON %s'
            ' FOR EACH STATEMENT EXECUTE FUNCTION registry.risk_touched()', watched.name);
    END LOOP;
END $$;

-- A site that goes to another town or cell takes its kept score along at once: nobody reads it any more by the old place.
CREATE FUNCTION registry.site_risk_touched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM registry.mark_risk(ARRAY(SELECT n.id FROM new_row AS n LIMIT 20001));
    ELSIF TG_OP = 'UPDATE' THEN
        PERFORM registry.mark_risk(ARRAY(
            SELECT n.id FROM new_row AS n JOIN old_row AS o ON o.id = n.id
            WHERE (n.town_code, n.cell_code, n.rule_code, n.hazard_level, n.people, n.vulnerability, n.active_from, n.active_to, n.geom)
                IS DISTINCT FROM
                (o.town_code, o.cell_code, o.rule_code, o.hazard_level, o.people, o.vulnerability, o.active_from, o.active_to, o.geom)
            LIMIT 20001
        ));
        INSERT INTO registry.risk_due (cell_code)
        SELECT DISTINCT o.cell_code FROM new_row AS n JOIN old_row AS o ON o.id = n.id
        WHERE o.cell_code IS NOT NULL AND n.cell_code IS DISTINCT FROM o.cell_code;
        DELETE FROM registry.site_risk AS r USING new_row AS n
        WHERE r.site_id = n.id AND (r.town_code, r.cell_code) IS DISTINCT FROM (n.town_code, n.cell_code);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO registry.risk_due (cell_code) SELECT DISTINCT o.cell_code FROM old_row AS o WHERE o.cell_code IS NOT NULL;
        DELETE FROM registry.site_risk AS r USING old_row AS o WHERE r.site_id = o.id;
    ELSE
        DELETE FROM registry.site_risk;
        DELETE FROM registry.cell_risk;
        INSERT INTO registry.risk_due DEFAULT VALUES;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER risk_touched_insert AFTER INSERT ON registry.site
REFERENCING NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION registry.site_risk_touched();
CREATE TRIGGER risk_touched_update AFTER UPDATE ON registry.site
REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION registry.site_risk_touched();
CREATE TRIGGER risk_touched_delete AFTER DELETE ON registry.site
REFERENCING OLD TABLE AS old_row FOR EACH STATEMENT EXECUTE FUNCTION registry.site_risk_touched();
CREATE TRIGGER risk_touched_truncate AFTER TRUNCATE ON registry.site
FOR EACH STATEMENT EXECUTE FUNCTION registry.site_risk_touched();

-- A grid worker counts for every site of the cell.
CREATE FUNCTION registry.staff_risk_touched() RETURNS trigger
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
CREATE TRIGGER risk_touched_insert AFTER INSERT ON duty.grid_staff
REFERENCING NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION registry.staff_risk_touched();
CREATE TRIGGER risk_touched_update AFTER UPDATE ON duty.grid_staff
REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION registry.staff_risk_touched();
CREATE TRIGGER risk_touched_delete AFTER DELETE ON duty.grid_staff
REFERENCING OLD TABLE AS old_row FOR EACH STATEMENT EXECUTE FUNCTION registry.staff_risk_touched();
CREATE TRIGGER risk_touched_truncate AFTER TRUNCATE ON duty.grid_staff
FOR EACH STATEMENT EXECUTE FUNCTION registry.staff_risk_touched();

-- Who leads changes no score: it is asked for with the score. Cells say whether a duty is missing, and are added up again.
CREATE FUNCTION registry.duty_risk_touched() RETURNS trigger
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
CREATE TRIGGER risk_touched_insert AFTER INSERT ON duty.assignment
REFERENCING NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION registry.duty_risk_touched();
CREATE TRIGGER risk_touched_update AFTER UPDATE ON duty.assignment
REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION registry.duty_risk_touched();
CREATE TRIGGER risk_touched_delete AFTER DELETE ON duty.assignment
REFERENCING OLD TABLE AS old_row FOR EACH STATEMENT EXECUTE FUNCTION registry.duty_risk_touched();
CREATE TRIGGER risk_touched_truncate AFTER TRUNCATE ON duty.assignment
FOR EACH STATEMENT EXECUTE FUNCTION registry.duty_risk_touched();

-- What an online camera sees, before and after it was drawn anew. Whether it is online is asked for with the score.
CREATE FUNCTION registry.camera_risk_touched() RETURNS trigger
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
CREATE TRIGGER risk_touched_update AFTER UPDATE ON registry.camera
REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION registry.camera_risk_touched();
CREATE TRIGGER risk_touched_delete AFTER DELETE ON registry.camera
REFERENCING OLD TABLE AS old_row FOR EACH STATEMENT EXECUTE FUNCTION registry.camera_risk_touched();
CREATE TRIGGER risk_touched_truncate AFTER TRUNCATE ON registry.camera
FOR EACH STATEMENT EXECUTE FUNCTION registry.camera_risk_touched();

-- Two surfaces of risk on hexagons: how bad it is on average around a place, and how much of it lies together.
CREATE TABLE registry.risk_hex (
    q integer NOT NULL,
    r integer NOT NULL,
    town_codes text[] NOT NULL,
    rate double precision,
    density double precision NOT NULL,
    weight double precision NOT NULL,
    inside_share double precision NOT NULL,
    bandwidth_m double precision NOT NULL,
    computed_at timestamptz NOT NULL,
    geom geometry(Polygon, :srid) NOT NULL,
    geom_3857 geometry(Polygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
    PRIMARY KEY (q, r)
);
CREATE INDEX risk_hex_geom_3857_idx ON registry.risk_hex USING gist (geom_3857);
COMMENT ON TABLE registry.risk_hex IS 'Derived copy of analysis.risk_surface_at() as of computed_at. town_codes: every town within a bandwidth; whoever does not see all of them does not see the hexagon.';

-- Where the next events are to be expected: squares of 250 m, from the city's own events before the cut day.
CREATE TABLE watch.expected_event (
    place integer PRIMARY KEY,
    town_code text,
    cell_code text,
    share double precision NOT NULL,
    expected double precision NOT NULL,
    tenth integer NOT NULL,
    geom geometry(Polygon, :srid) NOT NULL,
    geom_3857 geometry(Polygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED
);
CREATE INDEX expected_event_geom_3857_idx ON watch.expected_event USING gist (geom_3857);
COMMENT ON TABLE watch.expected_event IS 'Derived (geoapp layers refresh): share of the events of the coming 28 days in each square, and their expected number. Town and cell are those of the middle of the square.';

CREATE TABLE watch.expected_event_made (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    made_at timestamptz NOT NULL,
    cut_day date NOT NULL,
    events integer NOT NULL,
    first_day date,
    expected double precision,
    not_known_zh text NOT NULL DEFAULT '',
    not_known_en text NOT NULL DEFAULT ''
);
COMMENT ON TABLE watch.expected_event_made IS 'What watch.expected_event was made from: events before cut_day; not_known says why there is no surface, where there is none.';
