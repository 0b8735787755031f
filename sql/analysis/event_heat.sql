-- needs: event_bins, parameter
-- A square (*bin*) by one number: level of the Web Mercator quadtree (6 to 20: the bins of a tile of zoom z are of level z + 6), row
-- from the north, column from the west.
CREATE FUNCTION analysis.event_bin_no(level integer, bin_x integer, bin_y integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (level::bigint << 40) | (bin_y::bigint << 20) | bin_x $$;
COMMENT ON FUNCTION analysis.event_bin_no IS '方格编号：级、行、列合成; number of a square of counted events: level << 40 | row << 20 | column.';

-- Events by square and day (the city's, of first_seen_at), of all classes and of each; false alarms left out, days and squares
-- without events too. Of all squares, or of one. Days from first_day to before end_day, NULL = no limit. A firm's are counted as they are.
CREATE FUNCTION analysis.event_bin_days(
    level integer, first_day date DEFAULT NULL, end_day date DEFAULT NULL, only_x integer DEFAULT NULL, only_y integer DEFAULT NULL
) RETURNS TABLE (
    day date, bin_x integer, bin_y integer, n bigint, fire bigint, smoke bigint, welding_arc bigint, sparks bigint
) LANGUAGE sql STABLE AS $$
    SELECT
        e.day, e.x, e.y, sum(e.n)::bigint, sum(e.fire)::bigint, sum(e.smoke)::bigint, sum(e.welding_arc)::bigint, sum(e.sparks)::bigint
    FROM (
        SELECT
            b.starts_on AS day, (b.tile_x * 64 + (u.bin & 63)) >> (k.zoom + 6 - level) AS x,
            (b.tile_y * 64 + (u.bin >> 6)) >> (k.zoom + 6 - level) AS y, u.n, u.fire, u.smoke, u.welding_arc, u.sparks
        -- A community's rows are those of zoom 14.
        FROM (
            SELECT CASE WHEN (SELECT m.scope FROM access.my_account AS m) = 'community' THEN 14 ELSE greatest(level - 6, 8) END AS zoom
        ) AS k
        JOIN watch.event_bin AS b ON b.zoom = k.zoom
        CROSS JOIN LATERAL unnest(b.bin, b.n, b.fire, b.smoke, b.welding_arc, b.sparks) AS u (bin, n, fire, smoke, welding_arc, sparks)
        WHERE b.period = 'day' AND (first_day IS NULL OR b.starts_on >= first_day) AND (end_day IS NULL OR b.starts_on < end_day)
            AND (only_x IS NULL OR (
                b.tile_x BETWEEN only_x << (k.zoom + 6 - level) >> 6 AND ((only_x + 1) << (k.zoom + 6 - level)) - 1 >> 6
                AND b.tile_y BETWEEN only_y << (k.zoom + 6 - level) >> 6 AND ((only_y + 1) << (k.zoom + 6 - level)) - 1 >> 6
            ))
        UNION ALL
        SELECT
            c.day, c.bin_x >> (20 - level), c.bin_y >> (20 - level), c.n, c.n * (c.class = 'fire')::integer,
            c.n * (c.class = 'smoke')::integer, c.n * (c.class = 'welding_arc')::integer, c.n * (c.class = 'sparks')::integer
        FROM watch.event_change AS c
        WHERE (first_day IS NULL OR c.day >= first_day) AND (end_day IS NULL OR c.day < end_day)
        UNION ALL
        SELECT
            analysis.city_date(i.first_seen_at), territory.bin_column(ST_X(i.geom_3857)) >> (20 - level),
            territory.bin_row(ST_Y(i.geom_3857)) >> (20 - level), 1, (i.class = 'fire')::integer, (i.class = 'smoke')::integer,
            (i.class = 'welding_arc')::integer, (i.class = 'sparks')::integer
        FROM watch.incident AS i
        WHERE (SELECT m.scope FROM access.my_account AS m) = 'site' AND watch.counts(i.state, i.opened_at, i.mode, i.review)
            AND (first_day IS NULL OR analysis.city_date(i.first_seen_at) >= first_day)
            AND (end_day IS NULL OR analysis.city_date(i.first_seen_at) < end_day)
    ) AS e
    WHERE level BETWEEN 6 AND 20 AND (only_x IS NULL OR (e.x = only_x AND e.y = only_y))
    GROUP BY e.day, e.x, e.y
    HAVING sum(e.n) <> 0
$$;
COMMENT ON FUNCTION analysis.event_bin_days IS '每日每格事件数; events by square of a level (6 to 20; 17 is about 260 m) and day, of all classes (n) and of each.';

CREATE VIEW analysis.event_bin_day AS
SELECT
    d.day, analysis.event_bin_no(17, d.bin_x, d.bin_y) AS bin_no, d.n, d.fire, d.smoke, d.welding_arc, d.sparks,
    ST_TileEnvelope(17, d.bin_x, d.bin_y) AS geom_3857
FROM analysis.event_bin_days(17) AS d;
COMMENT ON VIEW analysis.event_bin_day IS '每日每格（约 260 米）事件数; events by day (the city''s) and square of level 17, 305.7 m of EPSG:3857, about 260 m on the ground; false alarms left out, a day and square without events has no row.';

-- Events of a window [since, until) by square, exact to the second: whole days as counted, what the window has of other days from the
-- incidents themselves. NULL = no limit.
CREATE FUNCTION analysis.event_squares_between(
    level integer, since timestamptz, until timestamptz, only_x integer DEFAULT NULL, only_y integer DEFAULT NULL
) RETURNS TABLE (
    bin_x integer, bin_y integer, n bigint, fire bigint, smoke bigint, welding_arc bigint, sparks bigint, first_day date, last_day date
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    zone constant text := coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai');
    -- The first whole day, and the day that is no whole one any more.
    whole_from constant date := ((since AT TIME ZONE zone) - interval '1 microsecond')::date + 1;
    whole_to constant date := (until AT TIME ZONE zone)::date;
    has_days constant boolean := coalesce(whole_from < whole_to, true);
    morning constant timestamptz := CASE WHEN has_days THEN whole_from::timestamp AT TIME ZONE zone ELSE until END;
    evening constant timestamptz := CASE WHEN has_days THEN whole_to::timestamp AT TIME ZONE zone ELSE until END;
BEGIN
    RETURN QUERY
    WITH whole AS (
        SELECT d.day, d.bin_x, d.bin_y, d.n, d.fire, d.smoke, d.welding_arc, d.sparks
        FROM analysis.event_bin_days(level, whole_from, whole_to, only_x, only_y) AS d
        WHERE has_days
    ),
    near AS (
        SELECT
            (i.first_seen_at AT TIME ZONE zone)::date AS day, territory.bin_column(ST_X(i.geom_3857)) >> (20 - level) AS bin_x,
            territory.bin_row(ST_Y(i.geom_3857)) >> (20 - level) AS bin_y, i.class
        FROM (VALUES (since, morning), (evening, until)) AS p (starts_at, ends_at)
        JOIN watch.incident AS i ON i.first_seen_at >= p.starts_at AND i.first_seen_at < p.ends_at
        WHERE watch.counts(i.state, i.opened_at, i.mode, i.review)
    ),
    counted AS (
        SELECT w.* FROM whole AS w
        UNION ALL
        SELECT
            m.day, m.bin_x, m.bin_y, 1, (m.class = 'fire')::integer, (m.class = 'smoke')::integer, (m.class = 'welding_arc')::integer,
            (m.class = 'sparks')::integer
        FROM near AS m
        WHERE level BETWEEN 6 AND 20 AND (only_x IS NULL OR (m.bin_x = only_x AND m.bin_y = only_y))
    )
    SELECT
        c.bin_x, c.bin_y, sum(c.n)::bigint, sum(c.fire)::bigint, sum(c.smoke)::bigint, sum(c.welding_arc)::bigint, sum(c.sparks)::bigint,
        min(c.day), max(c.day)
    FROM counted AS c
    GROUP BY c.bin_x, c.bin_y;
END $$;
COMMENT ON FUNCTION analysis.event_squares_between IS '一段时间内各格事件数（任意起止）; events by square of a level (6 to 20), first seen from since to before until, of all classes and of each; NULL = no limit.';

-- The layer of the map: squares of level 17, or the one square that a number names, of whatever level.
CREATE FUNCTION analysis.event_heat_between(
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, only_bin bigint DEFAULT NULL
) RETURNS TABLE (
    bin_no bigint, side_m double precision, events bigint, amount text, fire bigint, smoke bigint, welding_arc bigint, sparks bigint,
    first_day date, last_day date, geom geometry(Polygon, :srid), geom_3857 geometry(Polygon, 3857)
) LANGUAGE sql STABLE AS $$
    WITH asked AS MATERIALIZED (
        SELECT
            coalesce(only_bin >> 40, 17)::integer AS level, (only_bin & 1048575)::integer AS x, (only_bin >> 20 & 1048575)::integer AS y
        WHERE only_bin IS NULL OR (
            only_bin >> 40 BETWEEN 6 AND 20 AND only_bin & 1048575 < 1 << (only_bin >> 40)::integer
            AND only_bin >> 20 & 1048575 < 1 << (only_bin >> 40)::integer
        )
    ),
    square AS (
        SELECT s.*, a.level, ST_TileEnvelope(a.level, s.bin_x, s.bin_y) AS at
        FROM asked AS a CROSS JOIN LATERAL analysis.event_squares_between(a.level, since, until, a.x, a.y) AS s
    ),
    placed AS (
        SELECT q.*, ST_Transform(q.at, :srid) AS ground FROM square AS q
    )
    SELECT
        analysis.event_bin_no(p.level, p.bin_x, p.bin_y), sqrt(ST_Area(p.ground)), p.n,
        CASE
            WHEN p.n >= 100 THEN 'from_100' WHEN p.n >= 30 THEN 'from_30' WHEN p.n >= 10 THEN 'from_10' WHEN p.n >= 5 THEN 'from_5'
            WHEN p.n >= 2 THEN 'from_2' ELSE 'one'
        END,
        p.fire, p.smoke, p.welding_arc, p.sparks, p.first_day, p.last_day, p.ground, p.at
    FROM placed AS p
$$;
COMMENT ON FUNCTION analysis.event_heat_between IS '事件热力：一段时间内各格（约 260 米）的事件数，或一个编号所指的格; events of a window [since, until) by square of level 17 (about 260 m), or in the square that only_bin names, of its own level.';
CREATE VIEW analysis.event_heat AS SELECT * FROM analysis.event_heat_between();
COMMENT ON VIEW analysis.event_heat IS '事件热力：各格（约 260 米）全部事件数，按类别; all events on record by square of about 260 m, of all classes (events) and of each; of a window: analysis.event_heat_between(since, until). False alarms left out, a square without events has no row.';
COMMENT ON COLUMN analysis.event_heat.side_m IS 'Side of the square on the ground, metres: root of its area in the city''s zone.';
COMMENT ON COLUMN analysis.event_heat.first_day IS 'Day of the first of its events in the window, on the city''s clock; last_day of the last.';

-- How many squares of a zoom each colour of event_heat_scale has in the reader's area, and how many events lie in them, of each class.
-- Step 0: squares without any of only_class.
CREATE FUNCTION analysis.event_heat_counted(
    zoom integer, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, only_class text DEFAULT NULL
) RETURNS TABLE (
    step integer, from_n bigint, squares bigint, fire bigint, smoke bigint, welding_arc bigint, sparks bigint
) LANGUAGE sql STABLE AS $$
    WITH step AS MATERIALIZED (
        SELECT s.step, s.from_n, lead(s.from_n) OVER (ORDER BY s.step) AS before_n
        FROM analysis.event_heat_scale(zoom, since, until, only_class) AS s
        UNION ALL
        SELECT 0, 0, 1
    ),
    square AS (
        SELECT
            q.fire, q.smoke, q.welding_arc, q.sparks,
            CASE only_class
                WHEN 'fire' THEN q.fire WHEN 'smoke' THEN q.smoke WHEN 'welding_arc' THEN q.welding_arc WHEN 'sparks' THEN q.sparks ELSE q.n
            END AS n
        FROM analysis.event_squares_between(zoom + 6, since, until) AS q
    )
    SELECT
        s.step, s.from_n, count(q.n), coalesce(sum(q.fire), 0)::bigint, coalesce(sum(q.smoke), 0)::bigint,
        coalesce(sum(q.welding_arc), 0)::bigint, coalesce(sum(q.sparks), 0)::bigint
    FROM step AS s
    LEFT JOIN square AS q ON q.n >= s.from_n AND (s.before_n IS NULL OR q.n < s.before_n)
    GROUP BY s.step, s.from_n
    ORDER BY s.step
$$;
COMMENT ON FUNCTION analysis.event_heat_counted IS '事件热力图例：各档方格数与各类事件数; squares of a zoom by step of analysis.event_heat_scale, and the events in them by class.';

-- Which incidents a square counts.
CREATE FUNCTION analysis.event_bin_incidents(bin_no bigint, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL) RETURNS TABLE (
    id uuid, incident_no bigint, class text, first_seen_at timestamptz, state text, review text
) LANGUAGE sql STABLE AS $$
    SELECT i.id, i.incident_no, i.class, i.first_seen_at, i.state, i.review
    FROM watch.incident AS i
    -- A little wider than the square: its own sides decide below.
    WHERE i.geom_3857 && ST_Expand(
            ST_TileEnvelope((bin_no >> 40)::integer, (bin_no & 1048575)::integer, (bin_no >> 20 & 1048575)::integer), 1
        )
        AND territory.bin_column(ST_X(i.geom_3857)) >> (20 - (bin_no >> 40)::integer) = bin_no & 1048575
        AND territory.bin_row(ST_Y(i.geom_3857)) >> (20 - (bin_no >> 40)::integer) = bin_no >> 20 & 1048575
        AND (since IS NULL OR i.first_seen_at >= since) AND (until IS NULL OR i.first_seen_at < until)
        AND watch.counts(i.state, i.opened_at, i.mode, i.review)
$$;
COMMENT ON FUNCTION analysis.event_bin_incidents IS '方格内的事件; the incidents that a square counts, first seen from since to before until; NULL = no limit.';
