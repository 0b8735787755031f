-- needs: parameter
-- Every camera's answer for every hour that began in [since, until) and before `moment`: looked, could not, or not known.
CREATE FUNCTION analysis.observation_hours(since timestamptz, until timestamptz, moment timestamptz) RETURNS TABLE (
    camera_id bigint, gb_id text, hour timestamptz, state text, due integer, observed integer, unobserved integer, reasons jsonb
) LANGUAGE sql STABLE ROWS 100000 AS $$
    WITH record AS (
        SELECT min(r.began_at) AS began_at FROM watch.connection_record AS r
    ),
    asked AS MATERIALIZED (
        SELECT
            h.hour,
            date_part('epoch', h.hour) AS starts_s,
            date_part('epoch', h.hour) + 3600 AS ends_s,
            coalesce(h.hour < (SELECT r.began_at FROM record AS r), true) AS is_before_record
        FROM generate_series(analysis.city_hour(since), least(until, moment), interval '1 hour') AS h (hour)
        WHERE h.hour < until AND h.hour < moment
    ),
    -- By the periods as planned, the longer one: the least that was due. The newest due time may be on its way: it counts
    -- a period later. Seconds since 1970 from here on, which are much faster than intervals.
    span AS (
        SELECT
            k.camera_id,
            greatest(k.period_s, k.night_period_s)::double precision AS period_s,
            date_part('epoch', k.since) AS since_s,
            least(date_part('epoch', k.until), date_part('epoch', moment) - greatest(k.period_s, k.night_period_s)) AS due_until_s,
            least(date_part('epoch', k.until), date_part('epoch', moment)) AS until_s,
            count(*) OVER (PARTITION BY k.camera_id) AS spans
        FROM watch.camera_connection AS k
        WHERE k.since < least(until, moment) AND (k.until IS NULL OR k.until > (SELECT analysis.city_hour(since)))
    ),
    -- Nearly all cameras have one span; what others had in an hour is added up.
    single AS (
        SELECT s.* FROM span AS s WHERE s.spans = 1
    ),
    several AS (
        SELECT
            s.camera_id, a.hour,
            sum(greatest(0, floor((least(s.due_until_s, a.ends_s) - greatest(s.since_s, a.starts_s)) / s.period_s))) AS due
        FROM span AS s
        JOIN asked AS a ON s.since_s < a.ends_s AND s.until_s > a.starts_s
        WHERE s.spans > 1
        GROUP BY s.camera_id, a.hour
    ),
    counted AS (
        SELECT o.* FROM watch.observation_hour AS o
        WHERE o.hour >= (SELECT analysis.city_hour(since)) AND o.hour < until AND o.hour < moment
    ),
    known AS (
        SELECT
            c.id AS camera_id, c.gb_id, a.hour, a.is_before_record,
            o.camera_id IS NOT NULL AS is_counted,
            coalesce(o.due, 0) AS due,
            coalesce(o.observed, 0) AS observed,
            coalesce(o.unobserved, 0) AS unobserved,
            o.reasons,
            CASE
                WHEN n.since_s < a.ends_s AND n.until_s > a.starts_s
                    THEN greatest(0, floor((least(n.due_until_s, a.ends_s) - greatest(n.since_s, a.starts_s)) / n.period_s))::integer
                ELSE m.due::integer
            END AS planned
        FROM registry.camera AS c
        CROSS JOIN asked AS a
        LEFT JOIN single AS n ON n.camera_id = c.id
        LEFT JOIN several AS m ON m.camera_id = c.id AND m.hour = a.hour
        LEFT JOIN counted AS o ON o.camera_id = c.id AND o.hour = a.hour
    ),
    answer AS (
        SELECT
            k.*,
            -- Due, and nothing was written: no watch ran. In an hour of many looks one may have come just after its end.
            CASE
                WHEN k.planned IS NULL OR k.planned <= k.due OR (k.due = k.planned - 1 AND k.due >= 10) THEN 0
                ELSE k.planned - k.due
            END AS silent,
            k.is_counted OR k.planned IS NOT NULL AS is_known
        FROM known AS k
    )
    SELECT
        w.camera_id, w.gb_id, w.hour,
        CASE
            WHEN w.observed > 0 AND w.unobserved + w.silent = 0 THEN 'looked'
            WHEN w.observed > 0 THEN 'partly'
            WHEN w.due + w.silent > 0 THEN 'blind'
            WHEN w.is_known THEN 'not_due'
            WHEN w.is_before_record THEN 'not_known'
            ELSE 'not_connected'
        END,
        CASE WHEN w.is_known THEN w.due + w.silent END,
        CASE WHEN w.is_known THEN w.observed END,
        CASE WHEN w.is_known THEN w.unobserved + w.silent END,
        CASE
            WHEN w.silent > 0 THEN
                coalesce(w.reasons, '{}')
                || jsonb_build_object('not_scanned', w.silent + coalesce((w.reasons ->> 'not_scanned')::integer, 0))
            ELSE coalesce(w.reasons, '{}')
        END
    FROM answer AS w
$$;
COMMENT ON FUNCTION analysis.observation_hours IS '任意时段内每台摄像机每小时的答案（起、止、截至时刻）; every camera''s answer for every hour of a span as known at a moment: looked | partly | blind (due, and nobody saw anything; reasons say why, not_scanned = no watch ran) | not_due | not_connected | not_known (before the record of connections begins). NULL counts = no answer, never 0.';

CREATE FUNCTION analysis.observation_hour_at(moment timestamptz) RETURNS TABLE (
    camera_id bigint, gb_id text, hour timestamptz, state text, due integer, observed integer, unobserved integer, reasons jsonb
) LANGUAGE sql STABLE AS $$
    SELECT * FROM analysis.observation_hours(analysis.city_hour(moment) - interval '23 hours', moment, moment)
$$;
COMMENT ON FUNCTION analysis.observation_hour_at IS '截至某时刻的最近 24 小时; the last 24 hours as known at a moment; the running hour counts up to it.';
CREATE VIEW analysis.observation_hour AS SELECT * FROM analysis.observation_hour_at(now());
COMMENT ON VIEW analysis.observation_hour IS '最近 24 小时每台摄像机每小时：应看、已看、未看到（含原因）或不知; the last 24 hours, scans per camera and hour: due, observed, unobserved with reasons, or why there is no answer. Other hours: analysis.observation_hours(since, until, moment).';
COMMENT ON COLUMN analysis.observation_hour.state IS 'looked | partly | blind | not_due | not_connected | not_known; only looked means that every due look saw a picture.';
COMMENT ON COLUMN analysis.observation_hour.due IS 'observed + unobserved (a running hour counts up to now); NULL = not connected or not known.';
COMMENT ON COLUMN analysis.observation_hour.reasons IS 'Why, with numbers; not_scanned = due, but no watch looked.';

-- Answers added up by place and by hour or day. A camera counts once in a town, a site and the district; one that sees
-- several key risk areas counts in each. place '' = cameras that belong to no place of the kind.
CREATE FUNCTION analysis.watched(
    place_kind text, step text, since timestamptz, until timestamptz, moment timestamptz, town text DEFAULT NULL
) RETURNS TABLE (
    place text, starts timestamptz, due bigint, observed bigint, unobserved bigint, watched_share double precision,
    looked bigint, partly bigint, blind bigint, not_due bigint, not_connected bigint, not_known bigint, reasons jsonb
) LANGUAGE plpgsql STABLE SET work_mem = '128MB' SET enable_sort = off AS $$
#variable_conflict use_column
DECLARE
    zone constant text := coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai');
BEGIN
    IF place_kind NOT IN ('camera', 'site', 'key_risk_area', 'town', 'district') OR step NOT IN ('hour', 'day') THEN
        RAISE EXCEPTION '不能按 % 每 % 汇总 / cannot add up by % per %: camera, site, key_risk_area, town or district; hour or day',
            place_kind, step, place_kind, step USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    WITH member AS MATERIALIZED (
        SELECT
            c.id AS camera_id,
            CASE place_kind
                WHEN 'camera' THEN c.id::text
                WHEN 'site' THEN coalesce(c.site_id::text, '')
                WHEN 'town' THEN coalesce(c.town_code, '')
                ELSE ''
            END COLLATE "C" AS place
        FROM registry.camera AS c
        WHERE place_kind <> 'key_risk_area' AND (town IS NULL OR c.town_code = town)
        UNION ALL
        SELECT c.id, a.id::text COLLATE "C"
        FROM registry.key_risk_area AS a
        JOIN registry.camera AS c ON c.sector && a.geom AND ST_Intersects(c.ground, a.geom)
        WHERE place_kind = 'key_risk_area' AND a.status = 'active' AND (town IS NULL OR c.town_code = town)
    ),
    -- Hours are few, camera-hours many: the calendar is asked once an hour.
    calendar AS MATERIALIZED (
        SELECT
            h.hour,
            CASE step WHEN 'hour' THEN h.hour ELSE date_trunc('day', h.hour, zone) END AS starts
        FROM generate_series(analysis.city_hour(since), least(until, moment), interval '1 hour') AS h (hour)
    ),
    -- Added up by answer first: the long list is gone through once. Groups are few, which the planner cannot know and
    -- would sort the list for (enable_sort); names are compared as bytes.
    answer AS MATERIALIZED (
        SELECT
            m.place, k.starts, h.state COLLATE "C" AS state,
            count(*) AS n, sum(h.due) AS due, sum(h.observed) AS observed, sum(h.unobserved) AS unobserved
        FROM analysis.observation_hours(since, until, moment) AS h
        JOIN member AS m ON m.camera_id = h.camera_id
        JOIN calendar AS k ON k.hour = h.hour
        GROUP BY m.place, k.starts, h.state COLLATE "C"
    ),
    total AS MATERIALIZED (
        SELECT
            a.place, a.starts,
            sum(a.due)::bigint AS due, sum(a.observed)::bigint AS observed, sum(a.unobserved)::bigint AS unobserved,
            coalesce(sum(a.n) FILTER (WHERE a.state = 'looked'), 0)::bigint AS looked,
            coalesce(sum(a.n) FILTER (WHERE a.state = 'partly'), 0)::bigint AS partly,
            coalesce(sum(a.n) FILTER (WHERE a.state = 'blind'), 0)::bigint AS blind,
            coalesce(sum(a.n) FILTER (WHERE a.state = 'not_due'), 0)::bigint AS not_due,
            coalesce(sum(a.n) FILTER (WHERE a.state = 'not_connected'), 0)::bigint AS not_connected,
            coalesce(sum(a.n) FILTER (WHERE a.state = 'not_known'), 0)::bigint AS not_known
        FROM answer AS a
        GROUP BY a.place, a.starts
    ),
    written AS MATERIALIZED (
        SELECT m.place, k.starts, e.key, sum(e.value::integer) AS n
        FROM watch.observation_hour AS o
        JOIN member AS m ON m.camera_id = o.camera_id
        JOIN calendar AS k ON k.hour = o.hour
        CROSS JOIN LATERAL jsonb_each_text(o.reasons) AS e
        WHERE o.hour >= (SELECT analysis.city_hour(since)) AND o.hour < until AND o.hour < moment AND o.reasons <> '{}'
        GROUP BY m.place, k.starts, e.key
    ),
    -- What was due and has no reason on record was not scanned either.
    reason AS (
        SELECT w.place, w.starts, w.key, w.n FROM written AS w
        UNION ALL
        SELECT t.place, t.starts, 'not_scanned', t.unobserved - coalesce(w.n, 0)
        FROM total AS t
        LEFT JOIN (SELECT w.place, w.starts, sum(w.n) AS n FROM written AS w GROUP BY w.place, w.starts) AS w
            ON w.place = t.place AND w.starts = t.starts
        WHERE t.unobserved > coalesce(w.n, 0)
    ),
    reasons_of AS (
        SELECT r.place, r.starts, jsonb_object_agg(r.key, r.n) AS reasons
        FROM (SELECT r.place, r.starts, r.key, sum(r.n) AS n FROM reason AS r GROUP BY r.place, r.starts, r.key) AS r
        GROUP BY r.place, r.starts
    )
    SELECT
        t.place, t.starts, t.due, t.observed, t.unobserved, t.observed::double precision / nullif(t.due, 0),
        t.looked, t.partly, t.blind, t.not_due, t.not_connected, t.not_known, coalesce(r.reasons, '{}')
    FROM total AS t
    LEFT JOIN reasons_of AS r ON r.place = t.place AND r.starts = t.starts;
END $$;
COMMENT ON FUNCTION analysis.watched IS '按场所、重点风险源区域、街镇或全区，每小时或每日汇总看到的比例; answers added up by place (camera, site, key_risk_area, town, district) per hour or local day: scans due and observed, their share (NULL = nothing was due or known), and camera-hours by answer.';

CREATE VIEW analysis.watched_town_hour AS
SELECT u.name_zh, u.name_en, w.*
FROM analysis.watched('town', 'hour', analysis.city_hour(now()) - interval '23 hours', now(), now()) AS w
LEFT JOIN territory.unit AS u ON u.code = w.place AND u.valid_to IS NULL;
COMMENT ON VIEW analysis.watched_town_hour IS '最近 24 小时各街镇每小时看到的比例; share of due looks that saw a picture, by town and hour, the last 24 hours.';
CREATE VIEW analysis.watched_site_hour AS
SELECT s.name_zh, w.*
FROM analysis.watched('site', 'hour', analysis.city_hour(now()) - interval '23 hours', now(), now()) AS w
LEFT JOIN registry.site AS s ON s.id::text = w.place;
COMMENT ON VIEW analysis.watched_site_hour IS '最近 24 小时各场所每小时看到的比例; the same by site.';
CREATE VIEW analysis.watched_key_risk_area_hour AS
SELECT a.name_zh, a.name_en, w.*
FROM analysis.watched('key_risk_area', 'hour', analysis.city_hour(now()) - interval '23 hours', now(), now()) AS w
JOIN registry.key_risk_area AS a ON a.id::text = w.place;
COMMENT ON VIEW analysis.watched_key_risk_area_hour IS '最近 24 小时各重点风险源区域每小时看到的比例（能看到它的摄像机）; the same by key risk area, of the cameras that would see some of it.';
CREATE VIEW analysis.watched_district_day AS
SELECT w.*
FROM analysis.watched('district', 'day', analysis.city_midnight(now()) - interval '6 days', now(), now()) AS w;
COMMENT ON VIEW analysis.watched_district_day IS '最近 7 天全区每日看到的比例; the same for the whole district by local day, the last seven.';

-- "Who was blind at 03:00": cameras through which nobody saw anything in the clock hour that holds a moment.
CREATE FUNCTION analysis.unwatched_at(at timestamptz, moment timestamptz DEFAULT now()) RETURNS TABLE (
    camera_id bigint, gb_id text, name_zh text, town_code text, site_id bigint, hour timestamptz, state text, due integer,
    reasons jsonb
) LANGUAGE sql STABLE AS $$
    SELECT h.camera_id, h.gb_id, c.name_zh, c.town_code, c.site_id, h.hour, h.state, h.due, h.reasons
    FROM analysis.observation_hours(analysis.city_hour(at), analysis.city_hour(at) + interval '1 hour', moment) AS h
    JOIN registry.camera AS c ON c.id = h.camera_id
    WHERE coalesce(h.observed, 0) = 0
$$;
COMMENT ON FUNCTION analysis.unwatched_at IS '某时刻所在小时内没有人看到画面的摄像机及原因; cameras through which nobody saw a picture in the hour that holds `at`, as known at `moment`, and why; not connected and not known are among them.';
