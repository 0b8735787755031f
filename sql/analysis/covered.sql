-- needs: parameter, own_area, observation_hour, sight
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
) LANGUAGE sql STABLE AS $$
    WITH pair AS MATERIALIZED (
        SELECT s.sight_id, s.cell_code, s.m2, c.id AS camera_id
        FROM analysis.cell_sights(only_cells) AS s
        CROSS JOIN LATERAL unnest(s.camera_ids) AS k (id)
        JOIN registry.camera AS c ON c.id = k.id
        WHERE coalesce(c.installed_on <= day, true) AND coalesce(c.retired_on > day, true)
    ),
    drawn AS (
        SELECT p.cell_code, sum(p.m2) AS m2
        FROM (SELECT p.cell_code, max(p.m2) AS m2 FROM pair AS p GROUP BY p.cell_code, p.sight_id) AS p
        GROUP BY p.cell_code
    ),
    standing AS (
        SELECT p.cell_code, count(*) AS cameras
        FROM (SELECT DISTINCT p.cell_code, p.camera_id FROM pair AS p) AS p
        GROUP BY p.cell_code
    )
    SELECT g.code, k.area_m2, coalesce(d.m2, 0), coalesce(d.m2, 0) / nullif(k.area_m2, 0), coalesce(t.cameras, 0)
    FROM territory.grid_cell AS g
    CROSS JOIN LATERAL (SELECT ST_Area(g.geom) AS area_m2 OFFSET 0) AS k
    LEFT JOIN drawn AS d ON d.cell_code = g.code
    LEFT JOIN standing AS t ON t.cell_code = g.code
    WHERE (only_cells IS NULL OR g.code = ANY (only_cells))
        AND ((SELECT analysis.sees_all()) OR g.community_code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w)))
$$;
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
DECLARE
    cells_unknown constant text[] := analysis.cells_not_known();
    areas_unknown constant bigint[] := analysis.areas_not_known();
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
        FROM generate_series(analysis.city_hour(since), least(until, moment), interval '1 hour') AS h (hour)
        WHERE h.hour < until AND h.hour < moment
    ),
    -- A town is its cells. An area that left on a day that nobody wrote down is not counted for any hour.
    part AS MATERIALIZED (
        SELECT
            a.id::text COLLATE "C" AS part, a.id::text COLLATE "C" AS place, ST_Area(a.geom) AS area_m2,
            coalesce(a.onboarded_on, '-infinity') AS first_day,
            coalesce(a.retired_on, CASE WHEN a.status = 'retired' THEN '-infinity' ELSE 'infinity' END::date) AS end_day,
            a.id = ANY (areas_unknown) AS is_not_known
        FROM registry.key_risk_area AS a
        WHERE place_kind = 'key_risk_area' AND a.status IN ('active', 'retired')
            AND (only_places IS NULL OR a.id::text = ANY (only_places))
        UNION ALL
        SELECT
            g.code, CASE place_kind WHEN 'cell' THEN g.code WHEN 'town' THEN coalesce(u.parent_code, '') ELSE '' END, ST_Area(g.geom),
            '-infinity', 'infinity', g.code = ANY (cells_unknown)
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
    -- Pieces of the places, each with every camera that would see it.
    piece AS (
        SELECT s.sight_id, s.area_id::text COLLATE "C" AS part, s.camera_ids, s.m2
        FROM analysis.area_sights() AS s WHERE place_kind = 'key_risk_area'
        UNION ALL
        SELECT s.sight_id, s.cell_code, s.camera_ids, s.m2
        FROM analysis.cell_sights() AS s WHERE place_kind <> 'key_risk_area'
    ),
    seen_by AS MATERIALIZED (
        SELECT p.place, s.part, s.sight_id, s.m2, k.id AS camera_id
        FROM piece AS s
        JOIN part AS p ON p.part = s.part
        CROSS JOIN LATERAL unnest(s.camera_ids) AS k (id)
    ),
    -- A camera whose sector was drawn anew after the hour began looked somewhere in it: nobody knows where.
    member AS MATERIALIZED (
        SELECT
            c.id AS camera_id, a.hour,
            coalesce(h.observed > 0 AND coalesce(c.sector_since <= a.hour, true), false) AS is_observed,
            coalesce(h.state = 'not_known' OR (h.observed > 0 AND c.sector_since > a.hour), false) AS is_not_known
        FROM analysis.observation_hours(since, until, moment) AS h
        JOIN asked AS a ON a.hour = h.hour
        JOIN registry.camera AS c ON c.id = h.camera_id
        WHERE c.sector IS NOT NULL
            AND ((coalesce(c.installed_on <= a.day, true) AND coalesce(c.retired_on > a.day, true)) OR h.observed > 0)
    ),
    -- Ground that two cameras see counts once, and as observed where one of them looked.
    sight AS (
        SELECT
            b.place, b.part, b.sight_id, m.hour, max(b.m2) AS m2,
            bool_or(m.is_observed) AS is_observed, bool_or(m.is_not_known) AS is_not_known
        FROM seen_by AS b JOIN member AS m ON m.camera_id = b.camera_id
        GROUP BY b.place, b.part, b.sight_id, m.hour
    ),
    ground AS (
        SELECT
            s.place, s.hour, sum(s.m2) AS drawn_m2,
            sum(s.m2) FILTER (WHERE s.is_observed) AS observed_m2,
            sum(s.m2) FILTER (WHERE s.is_not_known AND NOT s.is_observed) AS not_known_m2
        FROM sight AS s
        GROUP BY s.place, s.hour
    ),
    -- A camera that looks into many cells counts once in a town.
    counted AS (
        SELECT
            b.place, m.hour, count(*) AS cameras, count(*) FILTER (WHERE m.is_observed) AS observed_cameras,
            count(*) FILTER (WHERE m.is_not_known) AS not_known_cameras
        FROM (SELECT DISTINCT b.place, b.camera_id FROM seen_by AS b) AS b
        JOIN member AS m ON m.camera_id = b.camera_id
        GROUP BY b.place, m.hour
    ),
    total AS (
        SELECT p.place, a.hour, sum(p.area_m2) AS area_m2, coalesce(sum(p.area_m2) FILTER (WHERE p.is_not_known), 0) AS unknown_m2
        FROM part AS p JOIN asked AS a ON p.first_day <= a.day AND p.end_day > a.day
        GROUP BY p.place, a.hour
    )
    SELECT
        t.place, t.hour, t.area_m2, coalesce(g.drawn_m2, 0), coalesce(g.observed_m2, 0), n.not_known_m2,
        coalesce(g.drawn_m2, 0) / nullif(t.area_m2, 0), coalesce(g.observed_m2, 0) / nullif(t.area_m2, 0),
        n.not_known_m2 / nullif(t.area_m2, 0),
        coalesce(c.cameras, 0), coalesce(c.observed_cameras, 0), coalesce(c.not_known_cameras, 0)
    FROM total AS t
    LEFT JOIN ground AS g ON g.place = t.place AND g.hour = t.hour
    LEFT JOIN counted AS c ON c.place = t.place AND c.hour = t.hour
    -- Of a part that is no shape, or near a sector that is none, all may have been seen.
    CROSS JOIN LATERAL (
        SELECT least(coalesce(g.not_known_m2, 0) + t.unknown_m2, greatest(t.area_m2 - coalesce(g.observed_m2, 0), coalesce(g.not_known_m2, 0)))
            AS not_known_m2
    ) AS n;
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
SELECT * FROM analysis.area_hours(analysis.city_hour(now()) - interval '23 hours', now(), now());
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

-- How many areas of which verdict, hour by hour.
CREATE FUNCTION analysis.area_verdicts(since timestamptz, until timestamptz, moment timestamptz, town text DEFAULT NULL) RETURNS TABLE (
    hour timestamptz, areas bigint, seen bigint, not_known bigint, blind bigint, not_covered bigint
) LANGUAGE sql STABLE AS $$
    SELECT
        h.hour, count(*), count(*) FILTER (WHERE h.verdict = 'seen'), count(*) FILTER (WHERE h.verdict = 'not_known'),
        count(*) FILTER (WHERE h.verdict = 'blind'), count(*) FILTER (WHERE h.verdict = 'not_covered')
    FROM analysis.area_hours(since, until, moment) AS h
    WHERE town IS NULL OR h.town_code = town
    GROUP BY h.hour
$$;
COMMENT ON FUNCTION analysis.area_verdicts IS '每小时各判定的重点风险源区域数; key risk areas (of a town, where it is named) by verdict and hour, of those that the reader sees.';

-- "Who was blind at 03:00": key risk areas that were not seen in the clock hour that holds a moment, and why.
CREATE FUNCTION analysis.blind_area_at(at timestamptz, moment timestamptz DEFAULT now()) RETURNS TABLE (
    area_id bigint, code text, name_zh text, name_en text, town_code text, level text, hour timestamptz, verdict text,
    drawn_fraction double precision, observed_fraction double precision, not_known_fraction double precision, why jsonb
) LANGUAGE sql STABLE AS $$
    WITH unseen AS MATERIALIZED (
        SELECT h.* FROM analysis.area_hours(analysis.city_hour(at), analysis.city_hour(at) + interval '1 hour', moment) AS h
        WHERE h.verdict <> 'seen'
    ),
    answer AS (
        SELECT u.area_id, c.id, c.gb_id, c.name_zh, w.state, w.reasons
        FROM unseen AS u
        JOIN registry.key_risk_area AS a ON a.id = u.area_id
        JOIN registry.camera AS c ON c.sector && a.geom AND ST_Intersects(a.geom, c.ground)
        JOIN analysis.observation_hours(analysis.city_hour(at), analysis.city_hour(at) + interval '1 hour', moment) AS w ON w.camera_id = c.id
        WHERE w.state <> 'looked'
    ),
    why AS (
        SELECT
            a.area_id,
            jsonb_agg(
                jsonb_build_object('id', a.id, 'gb_id', a.gb_id, 'name', a.name_zh, 'state', a.state, 'reasons', a.reasons)
                ORDER BY a.gb_id
            ) AS cameras
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
    bad AS (
        SELECT
            count(*) AS n,
            (array_agg(w.zh || coalesce(nullif(b.name_zh, ''), b.subject_id) ORDER BY b.kind, b.subject_id))[1:5] AS some_zh,
            (array_agg(w.en || coalesce(nullif(b.name_zh, ''), b.subject_id) ORDER BY b.kind, b.subject_id))[1:5] AS some_en
        FROM analysis.shape_left_out AS b
        JOIN (
            VALUES ('camera', '视域 ', 'sector of '), ('cell', '网格 ', 'cell '), ('key_risk_area', '区域 ', 'area '), ('building', '建筑 ', 'building ')
        ) AS w (kind, zh, en) ON w.kind = b.kind
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
        'shapes_left_out', b.n, NULL, b.n > 0,
        b.n || ' 个形状不合规，所见不知' || coalesce('：' || array_to_string(b.some_zh, '、') || CASE WHEN b.n > 5 THEN '……' ELSE '' END, ''),
        b.n || CASE WHEN b.n = 1 THEN ' shape is' ELSE ' shapes are' END || ' not valid: what is seen there is not known'
        || coalesce(' (' || array_to_string(b.some_en, ', ') || CASE WHEN b.n > 5 THEN ', …' ELSE '' END || ')', '')
    FROM bad AS b
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
