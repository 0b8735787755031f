-- needs: parameter, own_area, observation_hour
-- Cells that a camera's sector touches: all that can change when it moves (asked before and after).
-- OFFSET 0 keeps it no join of shapes: to plan one takes 15 ms, to do it 0.2.
CREATE FUNCTION analysis.cells_under(cameras bigint[]) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(DISTINCT g.code), '{}')
    FROM unnest(cameras) AS k (id)
    JOIN registry.camera AS c ON c.id = k.id
    CROSS JOIN LATERAL (
        SELECT g.code FROM territory.grid_cell AS g WHERE g.geom && c.sector AND ST_Intersects(g.geom, c.sector) OFFSET 0
    ) AS g
$$;
COMMENT ON FUNCTION analysis.cells_under IS '摄像机视域触及的网格; codes of the cells that the sectors of these cameras touch.';

-- The ground of each cell that cameras installed on a day would see if all of them were looked through.
CREATE FUNCTION analysis.drawn_cell_on(day date, only_cells text[] DEFAULT NULL) RETURNS TABLE (
    cell_code text, area_m2 double precision, drawn_m2 double precision, drawn_fraction double precision, camera_count bigint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    all_of_it constant boolean := analysis.sees_all();
    whole constant text[] := ARRAY(SELECT w.code FROM analysis.whole_unit AS w);
BEGIN
    RETURN QUERY
    SELECT d.code, d.area_m2, d.m2, d.m2 / nullif(d.area_m2, 0), d.cameras
    FROM (
        SELECT
            g.code, ST_Area(g.geom) AS area_m2, k.cameras,
            CASE
                -- One, or two apart: nothing to unite.
                WHEN k.cameras <= 1 OR (k.cameras = 2 AND NOT k.clips[1] && k.clips[2]) THEN coalesce(k.m2, 0)
                ELSE ST_Area(ST_UnaryUnion(ST_Collect(k.clips)))
            END AS m2
        FROM territory.grid_cell AS g
        -- Clip to the cell first, then unite the few clips: never one union of everything.
        CROSS JOIN LATERAL (
            SELECT count(*) AS cameras, sum(ST_Area(i.clip)) AS m2, array_agg(i.clip) AS clips
            FROM (
                SELECT CASE WHEN ST_Covers(g.geom, c.ground) THEN c.ground ELSE ST_Intersection(g.geom, c.ground) END AS clip
                FROM registry.camera AS c
                WHERE c.sector && g.geom AND coalesce(c.installed_on <= day, true) AND coalesce(c.retired_on > day, true)
                OFFSET 0
            ) AS i
            WHERE NOT ST_IsEmpty(i.clip)
        ) AS k
        WHERE (only_cells IS NULL OR g.code = ANY (only_cells)) AND (all_of_it OR g.community_code = ANY (whole))
        OFFSET 0
    ) AS d;
END $$;
COMMENT ON FUNCTION analysis.drawn_cell_on IS '某日已装摄像机视域覆盖的网格面积（不问当时是否看到）; area of each cell inside what cameras installed on a day would see, looked through or not. Some cells only: only_cells.';

-- Hour by hour: what was drawn, what was really observed, and what nobody knows. Areas in square metres.
CREATE FUNCTION analysis.covered(
    place_kind text, since timestamptz, until timestamptz, moment timestamptz, only_places text[] DEFAULT NULL
) RETURNS TABLE (
    place text, hour timestamptz, area_m2 double precision, drawn_m2 double precision, observed_m2 double precision,
    not_known_m2 double precision, drawn_fraction double precision, observed_fraction double precision,
    not_known_fraction double precision, cameras bigint, observed_cameras bigint, not_known_cameras bigint
) LANGUAGE plpgsql STABLE SET work_mem = '128MB' AS $$
#variable_conflict use_column
BEGIN
    IF place_kind IS NULL OR place_kind NOT IN ('key_risk_area', 'cell', 'town', 'district') THEN
        RAISE EXCEPTION '不能按 % 计算覆盖 / no coverage by %: key_risk_area, cell, town or district', place_kind, place_kind
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF since IS NULL OR until IS NULL OR moment IS NULL OR until <= since OR until > since + interval '31 days' THEN
        RAISE EXCEPTION '时段不合规：起 %，止 %（最多 31 天）/ no span of time: from %, to % (31 days at most)', since, until, since, until
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT h.hour, analysis.city_date(h.hour) AS day
        FROM generate_series(date_trunc('hour', since), least(until, moment), interval '1 hour') AS h (hour)
        WHERE h.hour < until AND h.hour < moment
    ),
    -- A town is its cells. An area that left on a day that nobody wrote down is not counted for any hour.
    part AS MATERIALIZED (
        SELECT
            a.id::text COLLATE "C" AS part, a.id::text COLLATE "C" AS place, a.geom,
            coalesce(a.onboarded_on, '-infinity') AS first_day,
            coalesce(a.retired_on, CASE WHEN a.status = 'retired' THEN '-infinity' ELSE 'infinity' END::date) AS end_day
        FROM registry.key_risk_area AS a
        WHERE place_kind = 'key_risk_area' AND a.status IN ('active', 'retired')
            AND (only_places IS NULL OR a.id::text = ANY (only_places))
        UNION ALL
        SELECT
            g.code, CASE place_kind WHEN 'cell' THEN g.code WHEN 'town' THEN coalesce(u.parent_code, '') ELSE '' END, g.geom,
            '-infinity', 'infinity'
        FROM territory.grid_cell AS g LEFT JOIN territory.unit AS u ON u.code = g.community_code
        WHERE place_kind <> 'key_risk_area'
            AND (place_kind <> 'district' OR (SELECT analysis.sees_all()))
            AND (
                (SELECT analysis.sees_all())
                OR CASE place_kind WHEN 'cell' THEN g.community_code ELSE u.parent_code END
                = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w))
            )
            AND (
                only_places IS NULL
                OR CASE place_kind WHEN 'cell' THEN g.code WHEN 'town' THEN coalesce(u.parent_code, '') ELSE '' END = ANY (only_places)
            )
    ),
    clip AS MATERIALIZED (
        SELECT
            p.part, c.id AS camera_id, c.installed_on, c.retired_on, c.sector_since,
            CASE WHEN ST_Covers(p.geom, c.ground) THEN c.ground ELSE ST_Intersection(p.geom, c.ground) END AS geom
        FROM part AS p JOIN registry.camera AS c ON c.sector && p.geom AND ST_Intersects(p.geom, c.ground)
    ),
    -- A camera whose sector was drawn anew after the hour began looked somewhere in it: nobody knows where.
    member AS (
        SELECT
            k.part, a.hour, k.camera_id,
            h.observed > 0 AND coalesce(k.sector_since <= a.hour, true) AS is_observed,
            h.state = 'not_known' OR (h.observed > 0 AND k.sector_since > a.hour) AS is_not_known
        FROM analysis.observation_hours(since, until, moment) AS h
        JOIN asked AS a ON a.hour = h.hour
        JOIN clip AS k ON k.camera_id = h.camera_id
        WHERE (coalesce(k.installed_on <= a.day, true) AND coalesce(k.retired_on > a.day, true)) OR h.observed > 0
    ),
    sight AS MATERIALIZED (
        SELECT
            m.part, m.hour,
            count(*) AS cameras, count(*) FILTER (WHERE m.is_observed) AS observed_cameras,
            count(*) FILTER (WHERE m.is_not_known) AS not_known_cameras,
            array_agg(m.camera_id) AS drawn,
            array_agg(m.camera_id) FILTER (WHERE m.is_observed) AS observed,
            array_agg(m.camera_id) FILTER (WHERE m.is_observed OR m.is_not_known) AS possible
        -- Sorted once, not in each of the three.
        FROM (SELECT m.* FROM member AS m ORDER BY m.part, m.hour, m.camera_id) AS m
        GROUP BY m.part, m.hour
    ),
    -- The same cameras see the same ground in every hour: each set of them is united once.
    wanted AS (
        SELECT s.part, s.drawn AS cameras FROM sight AS s
        UNION SELECT s.part, s.observed FROM sight AS s WHERE s.observed IS NOT NULL
        UNION SELECT s.part, s.possible FROM sight AS s WHERE s.possible IS NOT NULL
    ),
    united AS MATERIALIZED (
        SELECT
            u.part, u.cameras,
            CASE WHEN cardinality(u.cameras) = 1 THEN ST_Area(u.clips[1]) ELSE ST_Area(ST_UnaryUnion(ST_Collect(u.clips))) END AS m2
        FROM (
            SELECT w.part, w.cameras, array_agg(k.geom) AS clips
            FROM wanted AS w
            CROSS JOIN LATERAL unnest(w.cameras) AS c (id)
            JOIN clip AS k ON k.part = w.part AND k.camera_id = c.id
            GROUP BY w.part, w.cameras
        ) AS u
    ),
    figure AS (
        SELECT
            p.place, a.hour, ST_Area(p.geom) AS area_m2,
            coalesce(d.m2, 0) AS drawn_m2, coalesce(o.m2, 0) AS observed_m2,
            greatest(coalesce(q.m2, 0) - coalesce(o.m2, 0), 0) AS not_known_m2,
            s.drawn, s.observed, s.possible
        FROM part AS p
        JOIN asked AS a ON p.first_day <= a.day AND p.end_day > a.day
        LEFT JOIN sight AS s ON s.part = p.part AND s.hour = a.hour
        LEFT JOIN united AS d ON d.part = s.part AND d.cameras = s.drawn
        LEFT JOIN united AS o ON o.part = s.part AND o.cameras = s.observed
        LEFT JOIN united AS q ON q.part = s.part AND q.cameras = s.possible
    ),
    -- A camera that looks into many cells counts once in a town.
    counted AS (
        SELECT
            p.place, m.hour, count(DISTINCT m.camera_id) AS cameras,
            count(DISTINCT m.camera_id) FILTER (WHERE m.is_observed) AS observed_cameras,
            count(DISTINCT m.camera_id) FILTER (WHERE m.is_not_known) AS not_known_cameras
        FROM member AS m JOIN part AS p ON p.part = m.part
        WHERE place_kind IN ('town', 'district')
        GROUP BY p.place, m.hour
        UNION ALL
        SELECT s.part, s.hour, s.cameras, s.observed_cameras, s.not_known_cameras
        FROM sight AS s WHERE place_kind NOT IN ('town', 'district')
    ),
    total AS (
        SELECT
            f.place, f.hour, sum(f.area_m2) AS area_m2, sum(f.drawn_m2) AS drawn_m2, sum(f.observed_m2) AS observed_m2,
            sum(f.not_known_m2) AS not_known_m2
        FROM figure AS f
        GROUP BY f.place, f.hour
    )
    SELECT
        t.place, t.hour, t.area_m2, t.drawn_m2, t.observed_m2, t.not_known_m2,
        t.drawn_m2 / nullif(t.area_m2, 0), t.observed_m2 / nullif(t.area_m2, 0), t.not_known_m2 / nullif(t.area_m2, 0),
        coalesce(c.cameras, 0), coalesce(c.observed_cameras, 0), coalesce(c.not_known_cameras, 0)
    FROM total AS t LEFT JOIN counted AS c ON c.place = t.place AND c.hour = t.hour;
END $$;
COMMENT ON FUNCTION analysis.covered IS '每小时的覆盖：视域所及、确实看到、不知（重点风险源区域、网格、街镇、全区）; per place (key_risk_area, cell, town, district) and hour as known at a moment, square metres: drawn (inside what installed cameras would see), observed (through a camera of which at least one picture was seen in the hour), not_known (may have been observed: no record yet, or the sector was drawn anew since). Never more than the ledger says.';

-- The rule of key risk areas, hour by hour.
CREATE FUNCTION analysis.area_hours(since timestamptz, until timestamptz, moment timestamptz, only_areas text[] DEFAULT NULL) RETURNS TABLE (
    area_id bigint, code text, name_zh text, name_en text, town_code text, level text, hour timestamptz, verdict text,
    drawn_fraction double precision, observed_fraction double precision, not_known_fraction double precision,
    area_m2 double precision, cameras bigint, observed_cameras bigint, not_known_cameras bigint
) LANGUAGE sql STABLE AS $$
    WITH rule AS (
        SELECT analysis.parameter_value('seen_fraction_min') AS share
    )
    SELECT
        a.id, a.code, a.name_zh, a.name_en, a.town_code, a.level, c.hour,
        CASE
            WHEN c.observed_fraction >= r.share THEN 'seen'
            WHEN c.observed_fraction + c.not_known_fraction >= r.share THEN 'not_known'
            WHEN c.drawn_fraction >= r.share THEN 'blind'
            ELSE 'not_covered'
        END,
        c.drawn_fraction, c.observed_fraction, c.not_known_fraction, c.area_m2, c.cameras, c.observed_cameras, c.not_known_cameras
    FROM analysis.covered('key_risk_area', since, until, moment, only_areas) AS c
    JOIN registry.key_risk_area AS a ON a.id::text = c.place
    CROSS JOIN rule AS r
$$;
COMMENT ON FUNCTION analysis.area_hours IS '重点风险源区域每小时的判定（60% 规则）; each key risk area and hour: seen (at least seen_fraction_min of it observed) | not_known (may have been) | blind (cameras stand that would see enough of it, and did not) | not_covered (no cameras that would).';
CREATE VIEW analysis.area_hour AS
SELECT * FROM analysis.area_hours(date_trunc('hour', now()) - interval '23 hours', now(), now());
COMMENT ON VIEW analysis.area_hour IS '最近 24 小时各重点风险源区域每小时是否被看到; the last 24 hours of analysis.area_hours; the running hour counts up to now.';

-- The same over a window: one hour in which it was not seen is enough to say so.
CREATE FUNCTION analysis.area_watched(since timestamptz, until timestamptz, moment timestamptz) RETURNS TABLE (
    area_id bigint, code text, name_zh text, name_en text, town_code text, level text, hours bigint, seen_hours bigint,
    not_known_hours bigint, blind_hours bigint, not_covered_hours bigint, seen_share double precision,
    mean_observed_fraction double precision, least_observed_fraction double precision, verdict text
) LANGUAGE sql STABLE AS $$
    WITH counted AS (
        SELECT
            h.area_id, h.code, h.name_zh, h.name_en, h.town_code, h.level, count(*) AS hours,
            count(*) FILTER (WHERE h.verdict = 'seen') AS seen,
            count(*) FILTER (WHERE h.verdict = 'not_known') AS not_known,
            count(*) FILTER (WHERE h.verdict = 'blind') AS blind,
            count(*) FILTER (WHERE h.verdict = 'not_covered') AS not_covered,
            avg(h.observed_fraction) AS mean_fraction, min(h.observed_fraction) AS least_fraction
        FROM analysis.area_hours(since, until, moment) AS h
        GROUP BY h.area_id, h.code, h.name_zh, h.name_en, h.town_code, h.level
    )
    SELECT
        c.area_id, c.code, c.name_zh, c.name_en, c.town_code, c.level, c.hours, c.seen, c.not_known, c.blind, c.not_covered,
        c.seen::double precision / c.hours, c.mean_fraction, c.least_fraction,
        CASE
            WHEN c.not_covered > 0 THEN 'not_covered'
            WHEN c.blind > 0 THEN 'blind'
            WHEN c.not_known > 0 THEN 'not_known'
            ELSE 'seen'
        END
    FROM counted AS c
$$;
COMMENT ON FUNCTION analysis.area_watched IS '时段内各重点风险源区域看到的小时数; hours of a window by verdict and key risk area; verdict is the gravest of them: seen only where every hour was. mean_ and least_observed_fraction count what is not known as not observed.';

-- "Who was blind at 03:00": key risk areas that were not seen in the clock hour that holds a moment, and why.
CREATE FUNCTION analysis.blind_area_at(at timestamptz, moment timestamptz DEFAULT now()) RETURNS TABLE (
    area_id bigint, code text, name_zh text, name_en text, town_code text, level text, hour timestamptz, verdict text,
    drawn_fraction double precision, observed_fraction double precision, not_known_fraction double precision, why jsonb
) LANGUAGE sql STABLE AS $$
    WITH unseen AS MATERIALIZED (
        SELECT h.* FROM analysis.area_hours(date_trunc('hour', at), date_trunc('hour', at) + interval '1 hour', moment) AS h
        WHERE h.verdict <> 'seen'
    ),
    answer AS (
        SELECT u.area_id, c.id, c.gb_id, c.name_zh, w.state, w.reasons
        FROM unseen AS u
        JOIN registry.key_risk_area AS a ON a.id = u.area_id
        JOIN registry.camera AS c ON c.sector && a.geom AND ST_Intersects(a.geom, c.ground)
        JOIN analysis.observation_hours(date_trunc('hour', at), date_trunc('hour', at) + interval '1 hour', moment) AS w ON w.camera_id = c.id
        WHERE w.state <> 'looked'
    ),
    why AS (
        SELECT
            a.area_id,
            jsonb_agg(jsonb_build_object('gb_id', a.gb_id, 'name', a.name_zh, 'state', a.state, 'reasons', a.reasons) ORDER BY a.gb_id) AS cameras
        FROM answer AS a
        GROUP BY a.area_id
    )
    SELECT
        u.area_id, u.code, u.name_zh, u.name_en, u.town_code, u.level, u.hour, u.verdict,
        u.drawn_fraction, u.observed_fraction, u.not_known_fraction, coalesce(w.cameras, '[]')
    FROM unseen AS u LEFT JOIN why AS w ON w.area_id = u.area_id
$$;
COMMENT ON FUNCTION analysis.blind_area_at IS '某时刻所在小时内没有被看到的重点风险源区域、原因摄像机; key risk areas not seen in the hour that holds `at`, as known at `moment`, with the cameras that would see some of each and did not look at every due time.';

-- A window of any place, added up over its hours.
CREATE FUNCTION analysis.covered_window(place_kind text, since timestamptz, until timestamptz, moment timestamptz) RETURNS TABLE (
    place text, hours bigint, area_m2 double precision, drawn_fraction double precision, observed_fraction double precision,
    not_known_fraction double precision, least_observed_fraction double precision, least_at timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT
        c.place, count(*), max(c.area_m2), avg(c.drawn_fraction), avg(c.observed_fraction), avg(c.not_known_fraction),
        min(c.observed_fraction), (array_agg(c.hour ORDER BY c.observed_fraction, c.hour))[1]
    FROM analysis.covered(place_kind, since, until, moment) AS c
    GROUP BY c.place
$$;
COMMENT ON FUNCTION analysis.covered_window IS '时段内各处平均覆盖与最差的一小时; mean shares of a window by place (key_risk_area, cell, town, district) and its worst hour.';

-- What the figures of coverage rest on, and what they lack.
CREATE FUNCTION analysis.coverage_basis_at(moment timestamptz) RETURNS TABLE (
    name text, value double precision, denominator double precision, is_lacking boolean, said_zh text, said_en text
) LANGUAGE sql STABLE AS $$
    WITH camera AS (
        SELECT count(*) AS n, count(*) FILTER (WHERE c.sector IS NULL) AS undrawn, count(*) FILTER (WHERE c.sector_since IS NOT NULL) AS redrawn
        FROM registry.camera AS c
        WHERE coalesce(c.installed_on <= (SELECT analysis.city_date(moment)), true)
            AND coalesce(c.retired_on > (SELECT analysis.city_date(moment)), true)
    ),
    area AS (
        SELECT
            count(*) FILTER (WHERE a.status = 'active') AS n,
            count(*) FILTER (WHERE a.status = 'active' AND a.onboarded_on IS NULL) AS undated,
            count(*) FILTER (WHERE a.status = 'retired') AS retired,
            count(*) FILTER (WHERE a.status = 'retired' AND a.retired_on IS NULL) AS retired_undated
        FROM registry.key_risk_area AS a
    ),
    building AS (
        SELECT count(*) AS n FROM territory.building
    ),
    record AS (
        SELECT min(r.began_at) AS began_at FROM watch.connection_record AS r
    )
    SELECT
        'buildings', b.n, NULL::double precision, b.n = 0,
        CASE WHEN b.n = 0 THEN '没有建筑图层：视域未扣除遮挡，覆盖可能偏大' ELSE '视域已扣除 ' || b.n || ' 栋建筑的遮挡' END,
        CASE
            WHEN b.n = 0 THEN 'no building layer: nothing is taken off what cameras would see, coverage may be too high'
            ELSE 'what ' || b.n || ' buildings hide is taken off'
        END
    FROM building AS b
    UNION ALL
    SELECT
        'cameras_without_sector', c.undrawn, c.n, c.undrawn > 0,
        c.n || ' 台摄像机中 ' || c.undrawn || ' 台没有视域，不计入覆盖', c.undrawn || ' of ' || c.n || ' cameras have no sector: they cover nothing here'
    FROM camera AS c
    UNION ALL
    SELECT
        'cameras_redrawn', c.redrawn, c.n, c.redrawn > 0,
        c.redrawn || ' 台摄像机的视域改过：改动之前所见不知', c.redrawn || ' cameras had their sector drawn anew: what they saw before is not known'
    FROM camera AS c
    UNION ALL
    SELECT
        'areas_without_day', a.undated, a.n, a.undated > 0,
        a.n || ' 处重点风险源区域中 ' || a.undated || ' 处没有接入日期，按一直在册计',
        a.undated || ' of ' || a.n || ' key risk areas have no day of joining: counted as always there'
    FROM area AS a
    UNION ALL
    SELECT
        'areas_retired_without_day', a.retired_undated, a.retired, a.retired_undated > 0,
        a.retired || ' 处已退出的区域中 ' || a.retired_undated || ' 处没有退出日期，不计入任何一天',
        a.retired_undated || ' of ' || a.retired || ' retired areas have no day of leaving: counted on no day'
    FROM area AS a
    UNION ALL
    SELECT
        'record_began_at', date_part('epoch', r.began_at), NULL, coalesce(r.began_at > moment - interval '24 hours', true),
        coalesce('接入记录自 ' || to_char(r.began_at AT TIME ZONE coalesce((SELECT t.timezone FROM territory.city AS t), 'Asia/Shanghai'), 'YYYY-MM-DD HH24:MI') || ' 起；之前不知', '没有接入记录'),
        coalesce('the record of connections begins ' || to_char(r.began_at AT TIME ZONE coalesce((SELECT t.timezone FROM territory.city AS t), 'Asia/Shanghai'), 'YYYY-MM-DD HH24:MI') || '; before that is not known', 'no record of connections')
    FROM record AS r
$$;
CREATE VIEW analysis.coverage_basis AS SELECT * FROM analysis.coverage_basis_at(now());
COMMENT ON VIEW analysis.coverage_basis IS '覆盖数字的依据与缺项; what the figures of coverage rest on, and what is lacking (is_lacking), of the rows that the reader sees.';
