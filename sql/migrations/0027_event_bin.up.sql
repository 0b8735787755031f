-- Counts that a map of millions of events or sites is drawn from. A square is a *bin*: a tile of the map has 64 × 64 of them,
-- so that the bins of a tile of zoom z are the tiles of zoom z + 6 (Web Mercator; at zoom 14 they are 38 m wide, 33 m on the
-- ground at 31° N, about as fine as incidents are placed).

CREATE FUNCTION territory.bin_column(x double precision) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(least(floor((x + 20037508.342789244) / 40075016.685578488 * 1048576), 1048575), 0)::integer
$$;
CREATE FUNCTION territory.bin_row(y double precision) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(least(floor((20037508.342789244 - y) / 40075016.685578488 * 1048576), 1048575), 0)::integer
$$;
COMMENT ON FUNCTION territory.bin_column IS '第 20 级瓦片列号; column of the tile of level 20 that holds an easting of EPSG:3857, metres.';
COMMENT ON FUNCTION territory.bin_row IS '第 20 级瓦片行号; row, from the north, of the tile of level 20 that holds a northing of EPSG:3857, metres.';
CREATE FUNCTION territory.zone() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai') $$;
COMMENT ON FUNCTION territory.zone IS '城市时区; the city''s time zone.';

-- As analysis.event, less what a review found to be a false alarm.
CREATE FUNCTION watch.counts(state text, opened_at timestamptz, mode text, review text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT mode = 'alert' AND review <> 'false' AND state <> 'candidate' AND NOT (state = 'closed' AND opened_at IS NULL)
$$;
COMMENT ON FUNCTION watch.counts IS '是否计入事件数：告警模式、已成立、未判为误报; whether an incident is counted as an event: told, opened, and not a false alarm.';

-- Written with the incident, in its transaction: only rows are added here, so that writers never wait for each other. A fold
-- takes them into the counts below, a few thousand at a time; until then whoever counts adds them up (analysis.event_bins).
CREATE TABLE watch.event_change (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    n integer NOT NULL,
    day date NOT NULL,
    class text NOT NULL,
    bin_x integer NOT NULL,
    bin_y integer NOT NULL,
    cell_code text NOT NULL,
    town_code text NOT NULL,
    site_town_code text NOT NULL,
    community_code text NOT NULL,
    site_community_code text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE watch.event_change IS 'Events that came (n > 0) or went (n < 0) since the last fold into watch.event_bin and watch.event_day. bin_x, bin_y: tile of level 20. The other columns as in those tables.';

-- One row is what one area has in one tile in one day, month or year. Below zoom 14 by town, at zoom 14 by community.
CREATE TABLE watch.event_bin (
    period text NOT NULL CHECK (period IN ('day', 'month', 'year')),
    starts_on date NOT NULL,
    zoom smallint NOT NULL CHECK (zoom BETWEEN 8 AND 14),
    tile_x integer NOT NULL,
    tile_y integer NOT NULL,
    town_code text NOT NULL,
    site_town_code text NOT NULL,
    community_code text NOT NULL,
    site_community_code text NOT NULL,
    bin smallint[] NOT NULL,
    n integer[] NOT NULL,
    fire integer[] NOT NULL,
    smoke integer[] NOT NULL,
    welding_arc integer[] NOT NULL,
    sparks integer[] NOT NULL,
    PRIMARY KEY (period, starts_on, zoom, tile_x, tile_y, town_code, site_town_code, community_code, site_community_code),
    CHECK ((community_code = '' AND site_community_code = '') OR zoom = 14)
);
CREATE INDEX event_bin_community_idx ON watch.event_bin (community_code, starts_on) WHERE community_code <> '';
CREATE INDEX event_bin_site_community_idx ON watch.event_bin (site_community_code, starts_on) WHERE site_community_code <> '';
COMMENT ON TABLE watch.event_bin IS 'Events by bin, folded: numbers of bins with events (column + 64 × row in the tile), how many in each, of all classes (n) and of each. Days are the city''s, of first_seen_at. Read it through analysis.event_bins: what is not folded yet is in watch.event_change.';
COMMENT ON COLUMN watch.event_bin.site_town_code IS 'As watch.incident.site_town_code; an empty text where there is none, as in the other codes.';

-- For figures and charts: by official cell, day and class. A row for each cell would be as many as there are events.
CREATE TABLE watch.event_day (
    day date NOT NULL,
    class text NOT NULL,
    town_code text NOT NULL,
    site_town_code text NOT NULL,
    community_code text NOT NULL,
    site_community_code text NOT NULL,
    n integer NOT NULL,
    cell_code text[] NOT NULL,
    cell_n integer[] NOT NULL,
    PRIMARY KEY (day, class, town_code, site_town_code, community_code, site_community_code)
);
CREATE INDEX event_day_town_idx ON watch.event_day (town_code, day);
CREATE INDEX event_day_community_idx ON watch.event_day (community_code, day);
COMMENT ON TABLE watch.event_day IS 'Events by day and class of a community, folded, and how many in each of its cells. Read it through analysis.event_day and analysis.event_cell_day.';

CREATE TABLE watch.event_fold (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    folded bigint NOT NULL DEFAULT 0,
    folded_at timestamptz
);
INSERT INTO watch.event_fold DEFAULT VALUES;
COMMENT ON TABLE watch.event_fold IS 'How often the counts of events were folded. With the number of changes that wait it is their version: between two folds changes are only added.';

-- A window may begin and end at any second: the parts of days at its ends are counted from the incidents themselves.
CREATE INDEX incident_first_seen_idx ON watch.incident (first_seen_at);

CREATE FUNCTION watch.event_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    EXECUTE format(
        $q$
        INSERT INTO watch.event_change (
            n, day, class, bin_x, bin_y, cell_code, town_code, site_town_code, community_code, site_community_code
        )
        SELECT
            %s * count(*), (i.first_seen_at AT TIME ZONE $1)::date, i.class,
            territory.bin_column(ST_X(i.geom_3857)), territory.bin_row(ST_Y(i.geom_3857)),
            coalesce(i.cell_code, ''), coalesce(i.town_code, ''), coalesce(i.site_town_code, ''),
            coalesce(left(i.cell_code, 12), ''), coalesce(i.site_community_code, '')
        FROM %I AS i
        WHERE watch.counts(i.state, i.opened_at, i.mode, i.review)
        GROUP BY 2, 3, 4, 5, 6, 7, 8, 9, 10
        $q$,
        CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END, CASE TG_OP WHEN 'INSERT' THEN 'new_incident' ELSE 'old_incident' END
    )
    USING territory.zone();
    RETURN NULL;
END $$;
CREATE TRIGGER event_written_insert AFTER INSERT ON watch.incident
REFERENCING NEW TABLE AS new_incident FOR EACH STATEMENT EXECUTE FUNCTION watch.event_written();
CREATE TRIGGER event_written_delete AFTER DELETE ON watch.incident
REFERENCING OLD TABLE AS old_incident FOR EACH STATEMENT EXECUTE FUNCTION watch.event_written();

-- Most looks at an incident change nothing that is counted: they end at the condition.
CREATE FUNCTION watch.event_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    zone constant text := territory.zone();
BEGIN
    INSERT INTO watch.event_change (
        n, day, class, bin_x, bin_y, cell_code, town_code, site_town_code, community_code, site_community_code
    )
    SELECT
        i.n, (i.first_seen_at AT TIME ZONE zone)::date, i.class,
        territory.bin_column(i.x), territory.bin_row(i.y),
        coalesce(i.cell_code, ''), coalesce(i.town_code, ''), coalesce(i.site_town_code, ''),
        coalesce(left(i.cell_code, 12), ''), coalesce(i.site_community_code, '')
    FROM (
        VALUES
            (-1, watch.counts(OLD.state, OLD.opened_at, OLD.mode, OLD.review), OLD.first_seen_at, OLD.class,
                ST_X(OLD.geom_3857), ST_Y(OLD.geom_3857), OLD.cell_code, OLD.town_code, OLD.site_town_code, OLD.site_community_code),
            (1, watch.counts(NEW.state, NEW.opened_at, NEW.mode, NEW.review), NEW.first_seen_at, NEW.class,
                ST_X(NEW.geom_3857), ST_Y(NEW.geom_3857), NEW.cell_code, NEW.town_code, NEW.site_town_code, NEW.site_community_code)
    ) AS i (n, is_counted, first_seen_at, class, x, y, cell_code, town_code, site_town_code, site_community_code)
    WHERE i.is_counted;
    RETURN NULL;
END $$;
-- As bytes: a dump writes the condition without naming the schema of geometry's operators, and could not be restored.
CREATE TRIGGER event_moved AFTER UPDATE ON watch.incident
FOR EACH ROW WHEN (
    (OLD.opened_at IS NULL) <> (NEW.opened_at IS NULL)
    OR (OLD.state <> NEW.state AND (OLD.state = 'candidate' OR NEW.state = 'candidate' OR NEW.opened_at IS NULL))
    OR OLD.mode <> NEW.mode
    OR (OLD.review = 'false') <> (NEW.review = 'false')
    OR OLD.class <> NEW.class
    OR OLD.first_seen_at <> NEW.first_seen_at
    OR OLD.cell_code IS DISTINCT FROM NEW.cell_code
    OR OLD.town_code IS DISTINCT FROM NEW.town_code
    OR OLD.site_town_code IS DISTINCT FROM NEW.site_town_code
    OR OLD.site_community_code IS DISTINCT FROM NEW.site_community_code
    OR ST_AsBinary(OLD.geom) <> ST_AsBinary(NEW.geom)
)
EXECUTE FUNCTION watch.event_moved();

CREATE FUNCTION watch.events_truncated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    TRUNCATE watch.event_change, watch.event_bin, watch.event_day;
    UPDATE watch.event_fold SET folded = folded + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER event_written_truncate AFTER TRUNCATE ON watch.incident
FOR EACH STATEMENT EXECUTE FUNCTION watch.events_truncated();

-- All counts anew from the incidents. The first statement sees one moment: incidents and the changes that told of them.
CREATE FUNCTION watch.rebuild_events() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET work_mem = '128MB' AS $$
DECLARE
    zone constant text := territory.zone();
    counted bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(748116315);
    DELETE FROM watch.event_bin;
    DELETE FROM watch.event_day;
    WITH gone AS (
        DELETE FROM watch.event_change RETURNING id
    ),
    event AS MATERIALIZED (
        SELECT
            (i.first_seen_at AT TIME ZONE zone)::date AS day, i.class,
            territory.bin_column(ST_X(i.geom_3857)) AS bin_x, territory.bin_row(ST_Y(i.geom_3857)) AS bin_y,
            coalesce(i.cell_code, '') AS cell_code, coalesce(i.town_code, '') AS town_code,
            coalesce(i.site_town_code, '') AS site_town_code, coalesce(left(i.cell_code, 12), '') AS community_code,
            coalesce(i.site_community_code, '') AS site_community_code
        FROM watch.incident AS i
        WHERE watch.counts(i.state, i.opened_at, i.mode, i.review)
    ),
    binned AS (
        SELECT
            e.day, e.bin_x >> 6 AS tile_x, e.bin_y >> 6 AS tile_y, e.town_code, e.site_town_code, e.community_code,
            e.site_community_code, ((e.bin_y & 63) * 64 + (e.bin_x & 63))::smallint AS bin,
            count(*)::integer AS n,
            count(*) FILTER (WHERE e.class = 'fire')::integer AS fire,
            count(*) FILTER (WHERE e.class = 'smoke')::integer AS smoke,
            count(*) FILTER (WHERE e.class = 'welding_arc')::integer AS welding_arc,
            count(*) FILTER (WHERE e.class = 'sparks')::integer AS sparks
        FROM event AS e
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ),
    by_bin AS (
        INSERT INTO watch.event_bin
        SELECT
            'day', b.day, 14, b.tile_x, b.tile_y, b.town_code, b.site_town_code, b.community_code, b.site_community_code,
            array_agg(b.bin), array_agg(b.n), array_agg(b.fire), array_agg(b.smoke), array_agg(b.welding_arc), array_agg(b.sparks)
        FROM binned AS b
        GROUP BY b.day, b.tile_x, b.tile_y, b.town_code, b.site_town_code, b.community_code, b.site_community_code
    ),
    in_cell AS (
        SELECT
            e.day, e.class, e.town_code, e.site_town_code, e.community_code, e.site_community_code, e.cell_code,
            count(*)::integer AS n
        FROM event AS e
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ),
    by_day AS (
        INSERT INTO watch.event_day
        SELECT
            c.day, c.class, c.town_code, c.site_town_code, c.community_code, c.site_community_code,
            sum(c.n), array_agg(c.cell_code), array_agg(c.n)
        FROM in_cell AS c
        GROUP BY 1, 2, 3, 4, 5, 6
        RETURNING n
    )
    SELECT coalesce(sum(d.n), 0) INTO counted FROM by_day AS d;
    -- From here on from what was just written, which nobody else changes meanwhile: four bins make one of the zoom below.
    FOR finer IN REVERSE 14..9 LOOP
        INSERT INTO watch.event_bin
        SELECT
            'day', m.starts_on, finer - 1, m.tile_x, m.tile_y, m.town_code, m.site_town_code, '', '',
            array_agg(m.bin), array_agg(m.n), array_agg(m.fire), array_agg(m.smoke), array_agg(m.welding_arc), array_agg(m.sparks)
        FROM (
            SELECT
                b.starts_on, b.tile_x >> 1 AS tile_x, b.tile_y >> 1 AS tile_y, b.town_code, b.site_town_code,
                ((((b.tile_y & 1) * 64 + (u.bin >> 6)) >> 1) * 64 + (((b.tile_x & 1) * 64 + (u.bin & 63)) >> 1))::smallint AS bin,
                sum(u.n)::integer AS n, sum(u.fire)::integer AS fire, sum(u.smoke)::integer AS smoke,
                sum(u.welding_arc)::integer AS welding_arc, sum(u.sparks)::integer AS sparks
            FROM watch.event_bin AS b
            CROSS JOIN LATERAL unnest(b.bin, b.n, b.fire, b.smoke, b.welding_arc, b.sparks) AS u (bin, n, fire, smoke, welding_arc, sparks)
            WHERE b.period = 'day' AND b.zoom = finer
            GROUP BY 1, 2, 3, 4, 5, 6
        ) AS m
        GROUP BY m.starts_on, m.tile_x, m.tile_y, m.town_code, m.site_town_code;
    END LOOP;
    FOR longer IN 1..2 LOOP
        INSERT INTO watch.event_bin
        SELECT
            (ARRAY['month', 'year'])[longer], m.starts_on, m.zoom, m.tile_x, m.tile_y, m.town_code, m.site_town_code,
            m.community_code, m.site_community_code,
            array_agg(m.bin), array_agg(m.n), array_agg(m.fire), array_agg(m.smoke), array_agg(m.welding_arc), array_agg(m.sparks)
        FROM (
            SELECT
                date_trunc((ARRAY['month', 'year'])[longer], b.starts_on::timestamp)::date AS starts_on, b.zoom, b.tile_x, b.tile_y,
                b.town_code, b.site_town_code, b.community_code, b.site_community_code, u.bin,
                sum(u.n)::integer AS n, sum(u.fire)::integer AS fire, sum(u.smoke)::integer AS smoke,
                sum(u.welding_arc)::integer AS welding_arc, sum(u.sparks)::integer AS sparks
            FROM watch.event_bin AS b
            CROSS JOIN LATERAL unnest(b.bin, b.n, b.fire, b.smoke, b.welding_arc, b.sparks) AS u (bin, n, fire, smoke, welding_arc, sparks)
            WHERE b.period = (ARRAY['day', 'month'])[longer]
            GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        ) AS m
        GROUP BY m.starts_on, m.zoom, m.tile_x, m.tile_y, m.town_code, m.site_town_code, m.community_code, m.site_community_code;
    END LOOP;
    UPDATE watch.event_fold SET folded = folded + 1, folded_at = clock_timestamp();
    RETURN counted;
END $$;
COMMENT ON FUNCTION watch.rebuild_events() IS 'Counts all events anew from watch.incident; how many there are. Who writes incidents meanwhile waits for nothing, and is counted.';

-- Takes what waits into the counts, at most so many changes; how many were taken. Readers see it before or after, never half.
-- Fewer than `at_least` wait on, until the oldest of them is older than `longest`.
CREATE FUNCTION watch.fold_events(at_most integer DEFAULT 50000, at_least integer DEFAULT 1, longest interval DEFAULT '0')
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' AS $$
DECLARE
    taken_n integer;
BEGIN
    IF (SELECT count(*) < at_least FROM (SELECT FROM watch.event_change LIMIT at_least) AS c)
        AND coalesce((SELECT c.written_at FROM watch.event_change AS c ORDER BY c.id LIMIT 1) > now() - longest, true)
        OR NOT pg_try_advisory_xact_lock(748116315) THEN
        RETURN 0;  -- somebody is at it
    END IF;
    WITH taken AS (
        DELETE FROM watch.event_change AS c
        WHERE c.id IN (SELECT k.id FROM watch.event_change AS k ORDER BY k.id LIMIT at_most)
        RETURNING c.*
    ),
    change AS (
        SELECT
            t.day, t.class, t.bin_x, t.bin_y, t.cell_code, t.town_code, t.site_town_code, t.community_code, t.site_community_code,
            sum(t.n)::integer AS n
        FROM taken AS t
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        HAVING sum(t.n) <> 0
    ),
    added AS (
        SELECT
            p.period, date_trunc(p.period, c.day::timestamp)::date AS starts_on, z.zoom::smallint AS zoom,
            c.bin_x >> (20 - z.zoom) AS tile_x, c.bin_y >> (20 - z.zoom) AS tile_y, c.town_code, c.site_town_code,
            CASE WHEN z.zoom = 14 THEN c.community_code ELSE '' END AS community_code,
            CASE WHEN z.zoom = 14 THEN c.site_community_code ELSE '' END AS site_community_code,
            (((c.bin_y >> (14 - z.zoom)) & 63) * 64 + ((c.bin_x >> (14 - z.zoom)) & 63))::smallint AS bin,
            sum(c.n) AS n,
            coalesce(sum(c.n) FILTER (WHERE c.class = 'fire'), 0) AS fire,
            coalesce(sum(c.n) FILTER (WHERE c.class = 'smoke'), 0) AS smoke,
            coalesce(sum(c.n) FILTER (WHERE c.class = 'welding_arc'), 0) AS welding_arc,
            coalesce(sum(c.n) FILTER (WHERE c.class = 'sparks'), 0) AS sparks
        FROM change AS c
        CROSS JOIN generate_series(8, 14) AS z (zoom)
        CROSS JOIN (VALUES ('day'), ('month'), ('year')) AS p (period)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    ),
    touched AS (
        SELECT DISTINCT
            a.period, a.starts_on, a.zoom, a.tile_x, a.tile_y, a.town_code, a.site_town_code, a.community_code, a.site_community_code
        FROM added AS a
    ),
    held AS (
        SELECT t.*, u.*
        FROM touched AS t
        JOIN watch.event_bin AS b
            USING (period, starts_on, zoom, tile_x, tile_y, town_code, site_town_code, community_code, site_community_code)
        CROSS JOIN LATERAL unnest(b.bin, b.n, b.fire, b.smoke, b.welding_arc, b.sparks) AS u (bin, n, fire, smoke, welding_arc, sparks)
    ),
    summed AS (
        SELECT
            s.period, s.starts_on, s.zoom, s.tile_x, s.tile_y, s.town_code, s.site_town_code, s.community_code,
            s.site_community_code, s.bin, sum(s.n)::integer AS n, sum(s.fire)::integer AS fire, sum(s.smoke)::integer AS smoke,
            sum(s.welding_arc)::integer AS welding_arc, sum(s.sparks)::integer AS sparks
        FROM (SELECT * FROM added UNION ALL SELECT * FROM held) AS s
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
        HAVING sum(s.n) <> 0
    ),
    packed AS (
        SELECT
            s.period, s.starts_on, s.zoom, s.tile_x, s.tile_y, s.town_code, s.site_town_code, s.community_code,
            s.site_community_code, array_agg(s.bin) AS bin, array_agg(s.n) AS n, array_agg(s.fire) AS fire,
            array_agg(s.smoke) AS smoke, array_agg(s.welding_arc) AS welding_arc, array_agg(s.sparks) AS sparks
        FROM summed AS s
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ),
    written AS (
        INSERT INTO watch.event_bin
        SELECT * FROM packed
        ON CONFLICT (period, starts_on, zoom, tile_x, tile_y, town_code, site_town_code, community_code, site_community_code)
        DO UPDATE SET
            bin = EXCLUDED.bin, n = EXCLUDED.n, fire = EXCLUDED.fire, smoke = EXCLUDED.smoke,
            welding_arc = EXCLUDED.welding_arc, sparks = EXCLUDED.sparks
    ),
    emptied AS (
        DELETE FROM watch.event_bin AS b USING touched AS t
        WHERE (b.period, b.starts_on, b.zoom, b.tile_x, b.tile_y, b.town_code, b.site_town_code, b.community_code, b.site_community_code)
            = (t.period, t.starts_on, t.zoom, t.tile_x, t.tile_y, t.town_code, t.site_town_code, t.community_code, t.site_community_code)
            AND NOT EXISTS (
                SELECT FROM packed AS p
                WHERE (p.period, p.starts_on, p.zoom, p.tile_x, p.tile_y, p.town_code, p.site_town_code, p.community_code, p.site_community_code)
                    = (t.period, t.starts_on, t.zoom, t.tile_x, t.tile_y, t.town_code, t.site_town_code, t.community_code, t.site_community_code)
            )
    ),
    day_touched AS (
        SELECT DISTINCT c.day, c.class, c.town_code, c.site_town_code, c.community_code, c.site_community_code FROM change AS c
    ),
    in_cell AS (
        SELECT s.day, s.class, s.town_code, s.site_town_code, s.community_code, s.site_community_code, s.cell_code, sum(s.n)::integer AS n
        FROM (
            SELECT c.day, c.class, c.town_code, c.site_town_code, c.community_code, c.site_community_code, c.cell_code, c.n FROM change AS c
            UNION ALL
            SELECT t.*, u.*
            FROM day_touched AS t
            JOIN watch.event_day AS d USING (day, class, town_code, site_town_code, community_code, site_community_code)
            CROSS JOIN LATERAL unnest(d.cell_code, d.cell_n) AS u (cell_code, n)
        ) AS s
        GROUP BY 1, 2, 3, 4, 5, 6, 7
        HAVING sum(s.n) <> 0
    ),
    day_packed AS (
        SELECT
            c.day, c.class, c.town_code, c.site_town_code, c.community_code, c.site_community_code,
            sum(c.n)::integer AS n, array_agg(c.cell_code) AS cell_code, array_agg(c.n) AS cell_n
        FROM in_cell AS c
        GROUP BY 1, 2, 3, 4, 5, 6
    ),
    day_written AS (
        INSERT INTO watch.event_day
        SELECT * FROM day_packed
        ON CONFLICT (day, class, town_code, site_town_code, community_code, site_community_code)
        DO UPDATE SET n = EXCLUDED.n, cell_code = EXCLUDED.cell_code, cell_n = EXCLUDED.cell_n
    ),
    day_emptied AS (
        DELETE FROM watch.event_day AS d USING day_touched AS t
        WHERE (d.day, d.class, d.town_code, d.site_town_code, d.community_code, d.site_community_code)
            = (t.day, t.class, t.town_code, t.site_town_code, t.community_code, t.site_community_code)
            AND NOT EXISTS (
                SELECT FROM day_packed AS p
                WHERE (p.day, p.class, p.town_code, p.site_town_code, p.community_code, p.site_community_code)
                    = (t.day, t.class, t.town_code, t.site_town_code, t.community_code, t.site_community_code)
            )
    )
    SELECT count(*) INTO taken_n FROM taken;
    IF taken_n > 0 THEN
        UPDATE watch.event_fold SET folded = folded + 1, folded_at = clock_timestamp();
    END IF;
    RETURN taken_n;
END $$;
COMMENT ON FUNCTION watch.fold_events IS 'Takes waiting changes of events into watch.event_bin and watch.event_day; how many. 0 also while another fold runs.';

-- Days are the city's: another zone makes other days.
CREATE FUNCTION watch.days_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM watch.rebuild_events();
    RETURN NULL;
END $$;
CREATE TRIGGER event_days_moved AFTER UPDATE OF timezone ON territory.city
FOR EACH ROW WHEN (OLD.timezone <> NEW.timezone) EXECUTE FUNCTION watch.days_moved();

-- Sites: how many of each grade stand in each bin, for the maps of a whole city. Kept by the statement that changes a site;
-- a statement that changes thousands leaves it to a rebuild, and until then the map counts the sites themselves.
CREATE TABLE registry.site_bin (
    level smallint NOT NULL CHECK (level IN (16, 19)),
    bin_x integer NOT NULL,
    bin_y integer NOT NULL,
    town_code text NOT NULL,
    cell_town_code text NOT NULL,
    community_code text NOT NULL,
    hazard_level text NOT NULL,
    since date NOT NULL,
    until date NOT NULL,
    n integer NOT NULL,
    sum_x double precision NOT NULL,
    sum_y double precision NOT NULL,
    sum_id numeric NOT NULL,
    PRIMARY KEY (level, bin_x, bin_y, town_code, cell_town_code, community_code, hazard_level, since, until)
);
COMMENT ON TABLE registry.site_bin IS 'Sites by tile of level 16 (32 to a side of a tile of zoom 11) and 19 (64, zoom 13) and grade; an empty text = not graded, no code. Of the rows of one bin only the sum means something: a site that was counted before its first day is taken out under another one.';
COMMENT ON COLUMN registry.site_bin.since IS '-infinity where the sites were there on the day of writing; else their first day. until: first day without them.';
COMMENT ON COLUMN registry.site_bin.cell_town_code IS 'Town of the cell that they stand in, where it is not town_code.';
COMMENT ON COLUMN registry.site_bin.sum_x IS 'Of their places in EPSG:3857, metres: over n it is where the point is drawn. sum_id: of their ids; of a single site its id.';
CREATE TABLE registry.site_bin_made (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    is_whole boolean NOT NULL DEFAULT true,
    made_at timestamptz
);
INSERT INTO registry.site_bin_made DEFAULT VALUES;
COMMENT ON TABLE registry.site_bin_made IS 'Whether registry.site_bin holds every site; false after a statement that changed thousands, until the next rebuild.';

-- The statement that counts sites into registry.site_bin; sites: a query with a column sign; $1: today in the city. As text,
-- because the rows that a statement changed are known to its trigger alone.
CREATE FUNCTION registry.site_bin_statement(sites text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format(
        $q$
        INSERT INTO registry.site_bin AS b
        SELECT
            l.level, territory.bin_column(ST_X(s.geom_3857)) >> (20 - l.level), territory.bin_row(ST_Y(s.geom_3857)) >> (20 - l.level),
            coalesce(s.town_code, ''),
            CASE WHEN s.town_code IS DISTINCT FROM left(s.cell_code, 9) || '000' THEN coalesce(left(s.cell_code, 9) || '000', '') ELSE '' END,
            coalesce(left(s.cell_code, 12), ''), coalesce(s.hazard_level, ''),
            CASE WHEN s.active_from <= $1 THEN '-infinity' ELSE s.active_from END, coalesce(s.active_to, 'infinity'),
            sum(s.sign), sum(s.sign * ST_X(s.geom_3857)), sum(s.sign * ST_Y(s.geom_3857)), sum(s.sign * s.id)
        FROM (%s) AS s CROSS JOIN (VALUES (16), (19)) AS l (level)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        HAVING sum(s.sign) <> 0 OR sum(s.sign * s.id) <> 0 OR sum(s.sign * ST_X(s.geom_3857)) <> 0 OR sum(s.sign * ST_Y(s.geom_3857)) <> 0
        -- In one order for all, so that two writers wait and do not stop each other.
        ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        ON CONFLICT (level, bin_x, bin_y, town_code, cell_town_code, community_code, hazard_level, since, until) DO UPDATE SET
            n = b.n + EXCLUDED.n, sum_x = b.sum_x + EXCLUDED.sum_x, sum_y = b.sum_y + EXCLUDED.sum_y, sum_id = b.sum_id + EXCLUDED.sum_id
        $q$,
        sites
    )
$$;

CREATE FUNCTION registry.site_bin_follows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    day constant date := (now() AT TIME ZONE territory.zone())::date;
    fields constant text := 's.id, s.geom_3857, s.town_code, s.cell_code, s.hazard_level, s.active_from, s.active_to';
    many boolean := false;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE registry.site_bin;
        UPDATE registry.site_bin_made SET is_whole = true;
        RETURN NULL;
    END IF;
    IF NOT (SELECT m.is_whole FROM registry.site_bin_made AS m) THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        many := (SELECT count(*) > 5000 FROM (SELECT FROM old_site LIMIT 5001) AS s);
    ELSE
        many := (SELECT count(*) > 5000 FROM (SELECT FROM new_site LIMIT 5001) AS s);
    END IF;
    IF many THEN
        UPDATE registry.site_bin_made SET is_whole = false;
        RETURN NULL;
    END IF;
    EXECUTE registry.site_bin_statement(
        CASE TG_OP
            WHEN 'INSERT' THEN format('SELECT 1 AS sign, %s FROM new_site AS s', fields)
            WHEN 'DELETE' THEN format('SELECT -1 AS sign, %s FROM old_site AS s', fields)
            ELSE format('SELECT -1 AS sign, %1$s FROM old_site AS s UNION ALL SELECT 1, %1$s FROM new_site AS s', fields)
        END
    )
    USING day;
    RETURN NULL;
END $$;
CREATE TRIGGER site_bin_insert AFTER INSERT ON registry.site
REFERENCING NEW TABLE AS new_site FOR EACH STATEMENT EXECUTE FUNCTION registry.site_bin_follows();
CREATE TRIGGER site_bin_update AFTER UPDATE ON registry.site
REFERENCING OLD TABLE AS old_site NEW TABLE AS new_site FOR EACH STATEMENT EXECUTE FUNCTION registry.site_bin_follows();
CREATE TRIGGER site_bin_delete AFTER DELETE ON registry.site
REFERENCING OLD TABLE AS old_site FOR EACH STATEMENT EXECUTE FUNCTION registry.site_bin_follows();
CREATE TRIGGER site_bin_truncate AFTER TRUNCATE ON registry.site
FOR EACH STATEMENT EXECUTE FUNCTION registry.site_bin_follows();

-- Whole again, where it is not; whether anything was done. It waits 2 s for writers of sites, then gives up for now.
CREATE FUNCTION registry.rebuild_site_bin(in_any_case boolean DEFAULT false) RETURNS boolean
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
COMMENT ON FUNCTION registry.rebuild_site_bin IS 'Counts the sites of registry.site_bin anew where a large change left them; whether it did.';

-- What a tile's content follows from, in one text: versions of layers, the views' definitions, the city; of counted events the
-- fold and what waits for the next. It holds no row of anybody's area: the web process asks it before it takes a role.
CREATE FUNCTION territory.versions_of(layers text[]) RETURNS text
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
COMMENT ON FUNCTION territory.versions_of IS '图层版本; what tiles of these layers follow from, as a text that changes with it.';

SELECT watch.rebuild_events();
SELECT registry.rebuild_site_bin(true);
