-- needs: parameter
-- Days from first_day to before end_day as whole years, months and days: in a month or year of which less than half is
-- outside, what is outside is taken away (sign −1). At most 30 days and 12 months, and the years.
CREATE FUNCTION analysis.event_periods(first_day date, end_day date) RETURNS TABLE (period text, starts_on date, sign integer)
LANGUAGE sql IMMUTABLE AS $$
    WITH edge AS (
        SELECT
            e.day, e.sign, date_trunc('month', (e.day + 15)::timestamp)::date AS month,
            date_trunc('year', date_trunc('month', (e.day + 15)::timestamp) + interval '6 months')::date AS year
        FROM (VALUES (first_day, -1), (end_day, 1)) AS e (day, sign)
        WHERE first_day < end_day
    ),
    step AS (
        SELECT 'day' AS period, least(e.day, e.month) + k AS starts_on, CASE WHEN e.month <= e.day THEN e.sign ELSE -e.sign END AS sign
        FROM edge AS e CROSS JOIN LATERAL generate_series(0, abs(e.day - e.month) - 1) AS k
        UNION ALL
        SELECT 'month', k::date, CASE WHEN e.year <= e.month THEN e.sign ELSE -e.sign END
        FROM edge AS e
        CROSS JOIN LATERAL generate_series(
            least(e.month, e.year)::timestamp, greatest(e.month, e.year)::timestamp - interval '1 day', interval '1 month'
        ) AS k
        UNION ALL
        SELECT 'year', k::date, 1
        FROM edge AS a JOIN edge AS b ON a.sign = -1 AND b.sign = 1
        CROSS JOIN LATERAL generate_series(a.year::timestamp, b.year::timestamp - interval '1 day', interval '1 year') AS k
    )
    SELECT s.period, s.starts_on, sum(s.sign)::integer FROM step AS s GROUP BY 1, 2 HAVING sum(s.sign) <> 0
$$;
COMMENT ON FUNCTION analysis.event_periods IS '把一段日期拆成整年、整月和零散的天; days as signed whole years, months and days, for sums over watch.event_bin.';

-- Events of a window by bin of one tile: 64 × 64 bins, column from the west and row from the north, those without events left
-- out. Exact to the second: whole days from what is folded and what waits for it; what the window has more or less than the
-- days between the midnights nearest to its ends, from the incidents. Events before 1970 are not asked for. A firm's are so few that they are counted
-- as they are.
CREATE FUNCTION analysis.event_bins(
    zoom integer, tile_x integer, tile_y integer, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    only_class text DEFAULT NULL
) RETURNS TABLE (bin_x integer, bin_y integer, n bigint)
-- A sum over thousands of rows that the planner takes for ten: sorting them would take longer than all else.
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off SET enable_sort = off AS $$
DECLARE
    zone constant text := coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai');
    scope constant text := (SELECT m.scope FROM access.my_account AS m);
    -- A community's rows are those of zoom 14.
    kept constant integer := CASE WHEN scope = 'community' THEN 14 ELSE greatest(zoom, 8) END;
    finer constant integer := kept - zoom;
    west constant integer := tile_x << finer;
    north constant integer := tile_y << finer;
    east constant integer := ((tile_x + 1) << finer) - 1;
    south constant integer := ((tile_y + 1) << finer) - 1;
    ground constant geometry := ST_TileEnvelope(zoom, tile_x, tile_y);
    from_at constant timestamptz := greatest(coalesce(since, '1970-01-01'), '1970-01-01');
    to_at constant timestamptz := greatest(least(coalesce(until, '2100-01-01'), '2100-01-01'), from_at);
    first_day constant date := ((from_at + interval '12 hours') AT TIME ZONE zone)::date;
    end_day date := ((to_at + interval '12 hours') AT TIME ZONE zone)::date;
    morning constant timestamptz := first_day::timestamp AT TIME ZONE zone;
    evening timestamptz;
BEGIN
    IF zoom NOT BETWEEN 0 AND 14 THEN
        RAISE EXCEPTION '事件热力只到 14 级 / bins of events are for zooms 0 to 14' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF scope = 'site' THEN
        end_day := first_day;  -- no whole days: all from the incidents
    END IF;
    evening := end_day::timestamp AT TIME ZONE zone;
    RETURN QUERY
    WITH wanted AS MATERIALIZED (
        SELECT p.period, p.starts_on, p.sign FROM analysis.event_periods(first_day, end_day) AS p
    ),
    whole AS (
        -- Unpacked in the list of columns, where rows come one by one: in FROM each array would be stored first.
        SELECT
            (b.tile_x - west) * 64 AS x, (b.tile_y - north) * 64 AS y, w.sign, unnest(b.bin) AS bin,
            unnest(
                CASE
                    WHEN only_class IS NULL THEN b.n
                    WHEN only_class = 'fire' THEN b.fire WHEN only_class = 'smoke' THEN b.smoke
                    WHEN only_class = 'welding_arc' THEN b.welding_arc WHEN only_class = 'sparks' THEN b.sparks
                END
            ) AS n
        FROM wanted AS w
        JOIN watch.event_bin AS b
            ON b.period = w.period AND b.starts_on = w.starts_on AND b.zoom = kept
            AND b.tile_x BETWEEN west AND east AND b.tile_y BETWEEN north AND south
    ),
    part AS (
        SELECT least(e.a, e.b) AS starts_at, greatest(e.a, e.b) AS ends_at, CASE WHEN e.a <= e.b THEN 1 ELSE -1 END AS sign
        FROM (VALUES (from_at, morning), (evening, to_at)) AS e (a, b)
    ),
    -- By their time first: these are hours, whatever their number is over the years. Asked together, the ground's index was
    -- taken for a tile at the district's edge, which holds some hundred thousand of all time.
    seen AS MATERIALIZED (
        SELECT i.geom_3857 AS geom, p.sign
        FROM part AS p
        JOIN watch.incident AS i ON i.first_seen_at >= p.starts_at AND i.first_seen_at < p.ends_at
        WHERE watch.counts(i.state, i.opened_at, i.mode, i.review) AND (only_class IS NULL OR i.class = only_class)
    ),
    near AS (
        SELECT territory.bin_column(ST_X(s.geom)) AS x, territory.bin_row(ST_Y(s.geom)) AS y, s.sign
        FROM seen AS s WHERE s.geom && ground
        UNION ALL
        SELECT c.bin_x, c.bin_y, c.n
        FROM watch.event_change AS c
        WHERE c.day >= first_day AND c.day < end_day AND (only_class IS NULL OR c.class = only_class)
    ),
    counted AS (
        SELECT ((w.y + (w.bin >> 6)) >> finer) * 64 + ((w.x + (w.bin & 63)) >> finer) AS place, w.sign * w.n AS n
        FROM whole AS w
        UNION ALL
        SELECT ((c.y >> (14 - zoom)) & 63) * 64 + ((c.x >> (14 - zoom)) & 63), c.sign
        FROM near AS c
        WHERE c.x >> (20 - zoom) = event_bins.tile_x AND c.y >> (20 - zoom) = event_bins.tile_y
    )
    SELECT c.place & 63, c.place >> 6, sum(c.n)
    FROM counted AS c
    GROUP BY c.place
    HAVING sum(c.n) <> 0;
END $$;
COMMENT ON FUNCTION analysis.event_bins IS '一个瓦片内按格计的事件数（起止时间任意）; events by bin of a map tile (64 × 64), first seen from since to before until, of one class or all; NULL = no limit.';

-- Where the colours of a map of counts begin, from few to many. Found on the whole area at zoom 9 or less (a bin there holds
-- 4 of the zoom above), rounded up to 1, 2, 5, 10, … Steps say how to paint; the counts themselves are exact.
CREATE FUNCTION analysis.event_heat_scale(
    zoom integer, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, only_class text DEFAULT NULL
) RETURNS TABLE (step integer, from_n bigint)
LANGUAGE sql STABLE AS $$
    WITH ground AS (
        SELECT ST_Extent(u.geom_3857) AS box FROM territory.unit AS u WHERE u.valid_to IS NULL
    ),
    level AS (
        SELECT least(zoom, 9) AS z, 20 - least(zoom, 9) AS finer
    ),
    tile AS (
        SELECT l.z, x, y
        FROM ground AS g
        CROSS JOIN level AS l
        CROSS JOIN LATERAL generate_series(
            territory.bin_column(ST_XMin(g.box)) >> l.finer, territory.bin_column(ST_XMax(g.box)) >> l.finer
        ) AS x
        CROSS JOIN LATERAL generate_series(
            territory.bin_row(ST_YMax(g.box)) >> l.finer, territory.bin_row(ST_YMin(g.box)) >> l.finer
        ) AS y
        WHERE g.box IS NOT NULL
    ),
    bin AS (
        SELECT b.n FROM tile AS t CROSS JOIN LATERAL analysis.event_bins(t.z, t.x, t.y, since, until, only_class) AS b
    ),
    cut AS (
        SELECT greatest(c.n / power(4, greatest(zoom - 9, 0)), 1) AS n
        FROM (SELECT percentile_cont(ARRAY[0, 0.5, 0.75, 0.9, 0.97, 0.995]) WITHIN GROUP (ORDER BY b.n) AS counts FROM bin AS b) AS s
        CROSS JOIN LATERAL unnest(s.counts) AS c (n)
    ),
    rounded AS (
        SELECT DISTINCT r.from_n
        FROM cut AS c
        CROSS JOIN LATERAL (SELECT power(10, floor(log(c.n::numeric))) AS ten) AS m
        CROSS JOIN LATERAL (
            SELECT (m.ten * CASE WHEN c.n <= m.ten THEN 1 WHEN c.n <= 2 * m.ten THEN 2 WHEN c.n <= 5 * m.ten THEN 5 ELSE 10 END)::bigint AS from_n
        ) AS r
    )
    SELECT (row_number() OVER (ORDER BY r.from_n))::integer, CASE WHEN row_number() OVER (ORDER BY r.from_n) = 1 THEN 1 ELSE r.from_n END
    FROM rounded AS r
    ORDER BY 1
$$;
COMMENT ON FUNCTION analysis.event_heat_scale IS '事件热力的分级起点; from how many events of a bin on each colour is used at a zoom; no row = no event.';
