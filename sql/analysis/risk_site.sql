-- needs: parameter, risk_constants, risk_site_of, duty_lead, camera
-- The terms of the score, in the order of the arrays of points.
CREATE VIEW analysis.risk_term AS
SELECT t.place, t.term, t.zh, t.en
FROM (
    VALUES
        (1, 'inherent', '固有危险、人数与脆弱性', 'inherent hazard, people and vulnerability'),
        (2, 'unlicensed_work', '已核实的无证动火作业', 'confirmed unlicensed hot work'),
        (3, 'hazard_major', '未销号的重大隐患', 'open major hazard'),
        (4, 'hazard_serious', '未销号的较大隐患', 'open serious hazard'),
        (5, 'hazard_general', '未销号的一般隐患', 'open general hazard'),
        (6, 'hazard_closed', '近期销号的隐患', 'hazards closed lately'),
        (7, 'incident_confirmed', '已核实的 AI 事件', 'confirmed AI event'),
        (8, 'incident_unreviewed', '待核实的 AI 事件', 'AI event not reviewed yet'),
        (9, 'no_check', '检查超期或无记录', 'check overdue or unknown'),
        (10, 'no_self_check', '自查超期或无记录', 'self-check overdue or unknown'),
        (11, 'no_certificates', '证件未核验', 'certificates not verified'),
        (12, 'no_camera', '没有在线摄像机看到', 'no online camera sees it'),
        (13, 'no_worker', '没有网格员', 'no grid worker')
) AS t (place, term, zh, en);
COMMENT ON VIEW analysis.risk_term IS '风险分的组成项; the terms of a risk score: what is inherent, what was found, and what each missing part of control adds.';

CREATE FUNCTION analysis.risk_reasons(points double precision[]) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_agg(
        jsonb_build_object('key', q.term, 'zh', q.zh, 'en', q.en, 'points', round(q.points::numeric, 2)) ORDER BY q.points DESC, q.term
    )
    FROM (
        SELECT t.term, t.zh, t.en, p.points
        FROM unnest(points) WITH ORDINALITY AS p (points, place)
        JOIN analysis.risk_term AS t ON t.place = p.place
        WHERE p.points IS NOT NULL
        ORDER BY p.points DESC, t.term
        LIMIT 3
    ) AS q
$$;
COMMENT ON FUNCTION analysis.risk_reasons IS '三条最大的组成项; the three largest terms of a score, by their points.';

-- What a map shows: missing data never look calm. Red and orange stay what they are; a lower level of which all is old or
-- unknown is "no data", and a low one for which nobody answers "no owner".
CREATE FUNCTION analysis.risk_look(level text, lacks_data boolean, has_duty_gap boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN level IN ('red', 'orange') THEN level
        WHEN level IS NULL THEN 'none'
        WHEN lacks_data THEN 'no_data'
        WHEN level = 'blue' AND has_duty_gap THEN 'no_owner'
        ELSE level
    END
$$;
COMMENT ON FUNCTION analysis.risk_look IS '地图上的样子：等级，或无数据、无人负责; what a map shows: red | orange | yellow | blue | no_owner | no_data; none = no site on record.';

-- The one rule for sites and cells: nothing newer than risk_stale_days, or neither grade nor people nor vulnerability on record.
-- Where one or two of the three are missing the score stands, with rather high values in their place; confidence says so.
CREATE FUNCTION analysis.risk_lacks_data(is_stale boolean, unknown_parts text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT is_stale OR unknown_parts @> ARRAY['hazard_level', 'people', 'vulnerability']
$$;
COMMENT ON FUNCTION analysis.risk_lacks_data IS '场所数据是否过期或危险性、人数、脆弱性全部不明; whether a site''s data are all old, or its grade, people and vulnerability all unknown: then no calm colour is shown.';

-- How much is known of a site, and how new it is, 0 to 1 (docs/risk.md).
CREATE FUNCTION analysis.risk_confidence(
    unknown_parts text[], newest_data_at timestamptz, moment timestamptz, k analysis.risk_constants
) RETURNS double precision LANGUAGE sql STABLE AS $$
    SELECT
        (
            CASE WHEN 'hazard_level' = ANY (unknown_parts) THEN 0 ELSE (k).known_hazard_level END
            + CASE WHEN 'people' = ANY (unknown_parts) THEN 0 ELSE (k).known_people END
            + CASE WHEN 'vulnerability' = ANY (unknown_parts) THEN 0 ELSE (k).known_vulnerability END
            + CASE WHEN 'check' = ANY (unknown_parts) THEN 0 ELSE (k).known_check END
            + CASE WHEN 'self_check' = ANY (unknown_parts) THEN 0 ELSE (k).known_self_check END
            + CASE WHEN 'certificates' = ANY (unknown_parts) THEN 0 ELSE (k).known_certificates END
            + CASE WHEN 'cell' = ANY (unknown_parts) THEN 0 ELSE (k).known_cell END
        )
        * (
            1 - (k).fresh_share
            + (k).fresh_share * CASE
                WHEN newest_data_at IS NULL THEN 0
                WHEN date_part('epoch', moment - newest_data_at) / 86400 <= (k).fresh_days THEN 1
                WHEN (k).fresh_half_life = 0 THEN 0
                ELSE power(2, -least((date_part('epoch', moment - newest_data_at) / 86400 - (k).fresh_days) / (k).fresh_half_life, 100))
            END
        )
$$;
COMMENT ON FUNCTION analysis.risk_confidence IS '可信度 0–1：已知部分 × 数据新鲜度; confidence of a score, 0 to 1: the weights of what is known, times how new the newest data are.';

-- Formula, constants and units that kept scores hang on, in a short text.
CREATE FUNCTION analysis.risk_versions() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT
        coalesce(obj_description('tiles'::regnamespace, 'pg_namespace'), '')
        || ' constants ' || (SELECT count(*) || '/' || coalesce(date_part('epoch', max(v.valid_from)), 0) FROM analysis.parameter_version AS v)
        || ' units ' || coalesce((SELECT v.version FROM territory.layer_version AS v WHERE v.layer = 'unit'), 0)
        || ' zone ' || coalesce((SELECT c.timezone FROM territory.city AS c), '')
$$;
COMMENT ON FUNCTION analysis.risk_versions IS '保存的风险分所依据的公式、常数与区划; what kept scores hang on: formula, constants, units.';

CREATE FUNCTION analysis.risk_is_kept() RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM registry.risk_made_from AS m WHERE m.versions = analysis.risk_versions())
        AND NOT EXISTS (SELECT FROM registry.risk_due AS d WHERE d.site_id IS NULL AND d.cell_code IS NULL AND d.rule_code IS NULL)
$$;
COMMENT ON FUNCTION analysis.risk_is_kept IS '保存的风险分是否可用; whether the kept scores can be used (sites that are due apart).';

-- OFFSET 0 keeps it no join of shapes, which takes long to plan.
CREATE FUNCTION analysis.sites_under(cameras bigint[]) RETURNS TABLE (site_id bigint)
LANGUAGE sql STABLE ROWS 100 AS $$
    SELECT DISTINCT s.id
    FROM registry.camera AS c
    CROSS JOIN LATERAL (
        SELECT k.id FROM registry.site AS k WHERE k.geom && c.ground AND ST_Intersects(c.ground, k.geom)
        UNION ALL
        SELECT a.site_id FROM registry.key_risk_area AS a WHERE a.geom && c.ground AND ST_Intersects(a.geom, c.ground)
        OFFSET 0
    ) AS s
    WHERE c.id = ANY (cameras)
$$;
COMMENT ON FUNCTION analysis.sites_under IS '这些摄像机视域内的场所（含其重点风险源区域）; sites that these cameras would see, or some of whose key risk areas.';

-- Sites whose kept score is old: something of theirs was changed, the clock has passed a step, or a camera that sees them
-- went on line or off.
CREATE FUNCTION analysis.risk_due_sites() RETURNS TABLE (site_id bigint)
LANGUAGE sql STABLE AS $$
    WITH flipped AS MATERIALIZED (
        SELECT coalesce(o.camera_id, n.camera_id) AS id
        FROM (SELECT c.id AS camera_id FROM analysis.camera_at(now()) AS c WHERE c.is_online AND c.sector IS NOT NULL) AS o
        FULL JOIN registry.risk_online AS n ON n.camera_id = o.camera_id
        WHERE o.camera_id IS NULL OR n.camera_id IS NULL
    )
    SELECT d.site_id FROM registry.risk_due AS d WHERE d.site_id IS NOT NULL
    UNION
    SELECT s.id FROM registry.site AS s
    WHERE s.cell_code = ANY (ARRAY(SELECT d.cell_code FROM registry.risk_due AS d WHERE d.is_whole_cell))
    UNION
    SELECT r.site_id FROM registry.site_risk AS r WHERE r.exact_until <= now()
    UNION
    SELECT u.site_id FROM analysis.sites_under(ARRAY(SELECT f.id FROM flipped AS f)) AS u
$$;
COMMENT ON FUNCTION analysis.risk_due_sites IS '保存的分数已过时的场所; sites whose kept score is old, and is worked out anew when it is asked for.';

-- The same columns as analysis.risk_site_of, of some cells or of all: for the present from the kept rows, and only what is
-- due worked out; for any other moment worked out.
CREATE FUNCTION analysis.risk_state(
    moment timestamptz, only_cells text[] DEFAULT NULL, constants timestamptz DEFAULT NULL, only_sites bigint[] DEFAULT NULL
) RETURNS TABLE (
    site_id bigint, town_code text, cell_code text, rule_code text, inherent double precision, raw double precision,
    dynamic double precision, control double precision, score double precision, level text, override_reason text,
    points double precision[], unknown_parts text[], has_worker boolean, is_stale boolean, newest_data_at timestamptz,
    is_seen boolean, exact_until timestamptz, checked_at timestamptz
) LANGUAGE plpgsql STABLE ROWS 1000 SET plan_cache_mode = force_custom_plan SET work_mem = '64MB' SET jit = off AS $$
#variable_conflict use_column
DECLARE
    due bigint[];
BEGIN
    -- A few are worked out sooner than it takes to ask what is due.
    IF moment <> now() OR constants <> now() OR cardinality(only_sites) <= 200 OR cardinality(only_cells) <= 10
        OR NOT analysis.risk_is_kept() THEN
        RETURN QUERY SELECT * FROM analysis.risk_site_of(
            moment,
            CASE
                WHEN only_sites IS NOT NULL THEN only_sites
                WHEN only_cells IS NOT NULL THEN ARRAY(SELECT s.id FROM registry.site AS s WHERE s.cell_code = ANY (only_cells))
            END,
            constants
        );
        RETURN;
    END IF;
    due := ARRAY(SELECT d.site_id FROM analysis.risk_due_sites() AS d);
    IF only_cells IS NULL AND only_sites IS NULL AND cardinality(due) > 100000 THEN
        RETURN QUERY SELECT * FROM analysis.risk_site_of(moment);
        RETURN;
    END IF;
    RETURN QUERY
    SELECT
        r.site_id, r.town_code, r.cell_code, r.rule_code, r.inherent, r.raw, r.dynamic, r.control, r.score, r.level, r.override_reason,
        r.points, r.unknown_parts, r.has_worker, r.is_stale, r.newest_data_at, r.is_seen, r.exact_until, r.checked_at
    FROM registry.site_risk AS r
    WHERE r.is_active AND (only_cells IS NULL OR r.cell_code = ANY (only_cells)) AND (only_sites IS NULL OR r.site_id = ANY (only_sites))
        AND r.site_id <> ALL (due);
    IF only_sites IS NOT NULL AND cardinality(due) > 0 THEN
        due := ARRAY(SELECT o.id FROM unnest(only_sites) AS o (id) WHERE o.id = ANY (due));
    END IF;
    IF only_cells IS NOT NULL AND cardinality(due) > 0 THEN
        due := ARRAY(SELECT s.id FROM registry.site AS s WHERE s.cell_code = ANY (only_cells) AND s.id = ANY (due));
    END IF;
    IF cardinality(due) > 0 THEN
        RETURN QUERY SELECT * FROM analysis.risk_site_of(moment, due);
    END IF;
END $$;
COMMENT ON FUNCTION analysis.risk_state IS '各场所风险分：当前时刻取保存的行，已过时的现算；其他时刻现算; scores of all sites, or of those of some cells, or of some (only_sites): for now() from kept rows, what is due worked out; for another moment, or other constants, all worked out.';

-- Score and colour of every active site (of one cell, or of some sites, where they are named) with its reasons. `constants`: those in force at that
-- moment instead of those at `moment` ("by today's constants").
CREATE FUNCTION analysis.risk_site_at(
    moment timestamptz, only_cell text DEFAULT NULL, constants timestamptz DEFAULT NULL, only_sites bigint[] DEFAULT NULL
) RETURNS TABLE (
    site_id bigint, inherent double precision, raw double precision, dynamic double precision,
    control double precision, score double precision, level text,
    override_reason text, override_zh text, override_en text,
    reasons jsonb, unknown_parts text[], has_duty_gap boolean, is_stale boolean,
    newest_data_at timestamptz, is_seen boolean, cell_code text, town_code text, as_of timestamptz, confidence double precision, look text
) LANGUAGE sql STABLE AS $$
    SELECT
        r.site_id, r.inherent, r.raw, r.dynamic, r.control, r.score, r.level,
        r.override_reason,
        CASE r.override_reason
            WHEN 'major_hazard_open' THEN '重大隐患未验收销号'
            WHEN 'unlicensed_work' THEN '已核实无证动火，未验收'
            WHEN 'unreviewed_capped' THEN '未核实线索最多升一级'
        END,
        CASE r.override_reason
            WHEN 'major_hazard_open' THEN 'open major hazard, not accepted yet'
            WHEN 'unlicensed_work' THEN 'confirmed unlicensed hot work, not accepted yet'
            WHEN 'unreviewed_capped' THEN 'leads not reviewed raise one step at most'
        END,
        analysis.risk_reasons(r.points), r.unknown_parts,
        coalesce(d.status, 'missing') <> 'confirmed' OR NOT r.has_worker,
        r.is_stale, r.newest_data_at, r.is_seen, r.cell_code, r.town_code, moment,
        analysis.risk_confidence(
            r.unknown_parts, r.newest_data_at, moment, (SELECT k FROM analysis.risk_constants_at(coalesce(constants, moment)) AS k)
        ),
        analysis.risk_look(
            r.level, analysis.risk_lacks_data(r.is_stale, r.unknown_parts),
            coalesce(d.status, 'missing') <> 'confirmed' OR NOT r.has_worker
        )
    FROM analysis.risk_state(moment, CASE WHEN only_cell IS NOT NULL THEN ARRAY[only_cell] END, constants, only_sites) AS r
    LEFT JOIN analysis.duty_lead_at(moment) AS d ON d.unit_code = r.town_code AND d.rule_code = r.rule_code
$$;
CREATE VIEW analysis.risk_site AS SELECT * FROM analysis.risk_site_at(now());
COMMENT ON VIEW analysis.risk_site IS '场所风险：固有、动态、管控、得分、颜色与三条主要原因; risk of each active site with its three largest reasons.';
COMMENT ON COLUMN analysis.risk_site.inherent IS 'I = H^0.5 · E^0.3 · V^0.2, 0 to 1.';
COMMENT ON COLUMN analysis.risk_site.raw IS 'Weighted open hazards and incidents, and closed ones decaying.';
COMMENT ON COLUMN analysis.risk_site.dynamic IS 'D = 1 − exp(−raw/10), 0 to 1.';
COMMENT ON COLUMN analysis.risk_site.control IS 'C: sum of the control parts in place, 0 to 1. A part that is not known counts 0.';
COMMENT ON COLUMN analysis.risk_site.score IS 'R = 100·(1−(1−I)(1−D))·(1−0.3·C); leads not reviewed raise it by one colour at most. Kept rows differ by risk_drift_points at most.';
COMMENT ON COLUMN analysis.risk_site.override_reason IS 'major_hazard_open | unlicensed_work (red until accepted) | unreviewed_capped; NULL = by score.';
COMMENT ON COLUMN analysis.risk_site.unknown_parts IS 'What is not known about the site; taken as rather high, never as low.';
COMMENT ON COLUMN analysis.risk_site.is_stale IS 'Newest data older than risk_stale_days, or none.';
COMMENT ON COLUMN analysis.risk_site.look IS 'What a map shows: the level, or no_data (low or moderate, and all old or unknown), or no_owner (low, and nobody answers).';
COMMENT ON COLUMN analysis.risk_site.confidence IS '0 to 1: the weights of what is known, times how new the newest data are (docs/risk.md).';
