-- Constants of the formulas: configuration. A value that a city has changed stays.
INSERT INTO analysis.parameter (name, value, unit, note_zh, note_en) VALUES
    ('risk_h_blue', 0.3, '1', '固有危险 H：低', 'inherent hazard H: blue'),
    ('risk_h_yellow', 0.5, '1', '固有危险 H：一般', 'inherent hazard H: yellow'),
    ('risk_h_orange', 0.7, '1', '固有危险 H：较大', 'inherent hazard H: orange'),
    ('risk_h_red', 0.9, '1', '固有危险 H：重大', 'inherent hazard H: red'),
    ('risk_h_unknown', 0.7, '1', '未分级按较大计，并标为未知', 'not graded: counted as orange and flagged unknown'),
    ('risk_e_under_10', 0.2, '1', '人数 <10', 'people below 10'),
    ('risk_e_under_50', 0.4, '1', '人数 10–49', 'people 10 to 49'),
    ('risk_e_under_200', 0.6, '1', '人数 50–199', 'people 50 to 199'),
    ('risk_e_under_1000', 0.8, '1', '人数 200–999', 'people 200 to 999'),
    ('risk_e_over_1000', 1.0, '1', '人数 ≥1000', 'people 1000 and more'),
    ('risk_e_unknown', 0.6, '1', '人数未知', 'people unknown'),
    ('risk_v_normal', 0.3, '1', '脆弱性：一般', 'vulnerability: normal'),
    ('risk_v_mixed', 0.5, '1', '脆弱性：混合用途、老旧或通道不畅', 'vulnerability: mixed use, old or hard access'),
    ('risk_v_sleeping', 0.7, '1', '脆弱性：住宿或需照护人员', 'vulnerability: sleeping or dependent people'),
    ('risk_v_both', 0.9, '1', '脆弱性：两者兼有', 'vulnerability: both'),
    ('risk_v_unknown', 0.7, '1', '脆弱性未知', 'vulnerability unknown'),
    ('risk_power_h', 0.5, '1', 'H 的指数', 'exponent of H'),
    ('risk_power_e', 0.3, '1', 'E 的指数', 'exponent of E'),
    ('risk_power_v', 0.2, '1', 'V 的指数', 'exponent of V'),
    ('risk_raw_scale', 10, '1', 'D = 1 − exp(−raw/10)', 'D = 1 − exp(−raw/10)'),
    ('risk_w_general', 2, '1', '一般隐患权重', 'weight of a general hazard'),
    ('risk_w_serious', 4, '1', '较大隐患权重', 'weight of a serious hazard'),
    ('risk_w_major', 10, '1', '重大隐患或已核实的无证作业权重', 'weight of a major hazard or confirmed unlicensed work'),
    ('risk_w_incident', 4, '1', 'AI 事件权重', 'weight of an AI event'),
    ('risk_c_unreviewed', 0.5, '1', '未核实 AI 事件：0.5 × 得分', 'unconfirmed AI event: 0.5 × score'),
    ('risk_overdue_full_days', 30, 'day', '逾期满此天数权重翻倍', 'days overdue at which a hazard counts double'),
    ('risk_half_life_hazard', 30, 'day', '隐患销号后的半衰期', 'half-life of a closed hazard'),
    ('risk_half_life_incident', 14, 'day', 'AI 事件结束后的半衰期', 'half-life of a closed AI event'),
    ('risk_unreviewed_hours', 24, 'hour', '未核实 AI 事件的有效时间', 'an unconfirmed AI event expires after'),
    ('risk_control_share', 0.3, '1', '管控最多降低的比例', 'share of the score that full control takes away'),
    ('risk_control_check', 0.35, '1', '管控：在期检查', 'control: check in date'),
    ('risk_control_self_check', 0.20, '1', '管控：在期自查', 'control: self-check in date'),
    ('risk_control_certificates', 0.20, '1', '管控：证件已核验', 'control: certificates verified'),
    ('risk_control_camera', 0.15, '1', '管控：在线摄像机可见', 'control: an online camera covers'),
    ('risk_control_worker', 0.10, '1', '管控：有网格员', 'control: named grid worker'),
    ('risk_red_from', 75, 'score', '红色下限', 'red from'),
    ('risk_orange_from', 55, 'score', '橙色下限', 'orange from'),
    ('risk_yellow_from', 35, 'score', '黄色下限', 'yellow from'),
    ('risk_cell_max_share', 0.6, '1', '网格分：最高分的权重', 'cell score: weight of the highest site'),
    ('risk_cell_top', 5, 'site', '网格分：取前几名平均', 'cell score: mean over the highest n sites'),
    ('risk_stale_days', 90, 'day', '最新数据早于此天数为陈旧', 'newest data older than this is stale'),
    ('risk_drift_points', 0.05, 'score', '保存的分数与现算之差不超过', 'a kept score differs from one worked out now by no more than'),
    ('risk_known_hazard_level', 0.25, '1', '可信度：固有等级已知', 'confidence: hazard graded'),
    ('risk_known_people', 0.15, '1', '可信度：人数已知', 'confidence: people known'),
    ('risk_known_vulnerability', 0.10, '1', '可信度：脆弱性已知', 'confidence: vulnerability known'),
    ('risk_known_check', 0.20, '1', '可信度：有检查记录', 'confidence: a check on record'),
    ('risk_known_self_check', 0.10, '1', '可信度：有自查记录', 'confidence: a self-check on record'),
    ('risk_known_certificates', 0.10, '1', '可信度：有证件记录', 'confidence: certificates on record'),
    ('risk_known_cell', 0.10, '1', '可信度：已入网格', 'confidence: lies in a cell'),
    ('risk_fresh_days', 30, 'day', '可信度：数据在此天数内为新', 'confidence: data are new for'),
    ('risk_fresh_half_life', 90, 'day', '可信度：此后新鲜度的半衰期', 'confidence: half-life of freshness after that'),
    ('risk_fresh_share', 0.5, '1', '可信度：新鲜度所占比例', 'confidence: share that hangs on freshness'),
    ('risk_bandwidth_m', 300, 'm', '风险面的核半径', 'surfaces of risk: radius of the kernel'),
    ('risk_rate_weight_min', 0.2, '1', '平均风险面：核权之和低于此值不画', 'mean surface: blank where the weights sum to less'),
    ('risk_hex_m', 250, 'm', '风险面的六边形对边距', 'surfaces of risk: hexagons, side to side'),
    ('expected_events_min', 50, 'event', '事件预期面：事件少于此数不画', 'event surface: not drawn from fewer events than'),
    ('check_days_red', 30, 'day', '红色：检查周期', 'red: a check is due every'),
    ('check_days_orange', 60, 'day', '橙色：检查周期', 'orange: a check is due every'),
    ('check_days_yellow', 90, 'day', '黄色：检查周期', 'yellow: a check is due every'),
    ('check_days_blue', 180, 'day', '蓝色：检查周期', 'blue: a check is due every'),
    ('camera_online_minutes', 10, 'minute', '在线：此时间内看到过画面', 'online: observed within'),
    ('watch_late_periods', 2, 'period', '应看时间过去几个周期仍无人去看，即为值守未运行', 'periods after which a due time that nobody kept means that the watch does not run'),
    ('watch_late_seconds', 60, 's', '同上，至少此秒数', 'the same, but not before so many seconds'),
    ('ledger_years', 5, 'year', '逐时记录保留年数', 'counters of observed hours are kept for so many years'),
    ('not_observed_hours', 2, 'hour', '已接入而此时间内未看到画面即为缺口', 'a connected camera not observed for this long is a gap'),
    ('seen_fraction_min', 0.6, '1', '重点风险源区域应被在线摄像机看到的面积比例', 'share of a key risk area that online cameras must see'),
    ('place_weight_red', 4, '1', '选点：红色区域或场所每平方米的权重', 'placing cameras: weight of a square metre, red'),
    ('place_weight_orange', 3, '1', '选点：橙色', 'placing cameras: orange'),
    ('place_weight_yellow', 2, '1', '选点：黄色', 'placing cameras: yellow'),
    ('place_weight_blue', 1, '1', '选点：蓝色', 'placing cameras: blue'),
    ('place_site_m2', 100, 'm2', '选点：红橙场所按此面积计', 'placing cameras: a red or orange site counts as so much ground'),
    ('place_step_m', 20, 'm', '选点：沿区域边界与道路每隔此距离试一处', 'placing cameras: outlines and roads are tried every so many metres'),
    ('duty_near_code', 0.5, '1', '业务相近：行业代码的权重', 'nearness of business: weight of the industry''s code'),
    ('duty_near_words', 0.3, '1', '业务相近：名称用字的权重', 'nearness of business: weight of the words'),
    ('duty_near_kin', 0.2, '1', '业务相近：同门类由该部门牵头比例的权重', 'nearness of business: weight of the department''s share in the section'),
    ('review_points_unreviewed', 100, 'point', '核实队列：尚未核实', 'review queue: nobody has looked yet'),
    ('review_points_fire', 50, 'point', '核实队列：明火', 'review queue: fire'),
    ('review_points_smoke', 40, 'point', '核实队列：烟雾', 'review queue: smoke'),
    ('review_points_hot_work', 15, 'point', '核实队列：焊接弧光或火花', 'review queue: welding arc or sparks'),
    ('review_points_unpermitted', 30, 'point', '核实队列：动火而没有作业票', 'review queue: hot work without a permit'),
    ('review_points_key_risk_area', 20, 'point', '核实队列：在重点风险源区域内', 'review queue: inside a key risk area'),
    ('review_points_open', 10, 'point', '核实队列：仍在发生', 'review queue: it still goes on'),
    ('review_points_score', 20, 'point', '核实队列：得分为 1 时', 'review queue: at a score of 1'),
    ('review_points_age', 20, 'point', '核实队列：等待满 review_age_minutes 时', 'review queue: after waiting review_age_minutes'),
    ('review_age_minutes', 60, 'minute', '核实队列：等待此时间后不再加分', 'review queue: waiting longer adds nothing'),
    ('sliver_m2', 1, 'm2', '小于此面积的碎片不计', 'pieces of ground below this area are dropped')
ON CONFLICT (name) DO NOTHING;

-- A missing constant stops the query: a formula without it would silently give NULL.
CREATE FUNCTION analysis.parameter_value(wanted text) RETURNS double precision
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    found_value double precision;
BEGIN
    SELECT p.value INTO found_value FROM analysis.parameter AS p WHERE p.name = wanted;
    IF found_value IS NULL THEN
        RAISE EXCEPTION 'analysis.parameter 缺少 % / analysis.parameter has no row %', wanted, wanted
            USING HINT = 'geoapp db up 会补上默认值 / geoapp db up puts the default back.';
    END IF;
    RETURN found_value;
END $$;
COMMENT ON FUNCTION analysis.parameter_value IS '按名称取公式常数，缺少时报错; a constant of the formulas by name, an error where it is missing.';

-- The constants as they were in force at a moment. What has never been changed holds for all time.
CREATE FUNCTION analysis.parameter_at(moment timestamptz) RETURNS TABLE (
    name text, value double precision, valid_from timestamptz, set_by text, reason text
) LANGUAGE sql STABLE AS $$
    SELECT v.name, v.value, nullif(v.valid_from, '-infinity'), v.set_by, v.reason
    FROM (
        SELECT DISTINCT ON (k.name) k.* FROM analysis.parameter_version AS k WHERE k.valid_from <= moment ORDER BY k.name, k.valid_from DESC
    ) AS v
    WHERE v.value IS NOT NULL
$$;
COMMENT ON FUNCTION analysis.parameter_at IS '某时刻有效的公式常数; the constants of the formulas as they were in force at a moment: since when (NULL = ever), set by whom, why.';

-- The calendar day in the city: dates of duty, permits and onboarding are local.
CREATE FUNCTION analysis.city_date(as_of timestamptz) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (as_of AT TIME ZONE coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai'))::date
$$;
COMMENT ON FUNCTION analysis.city_date IS '城市当地日期; the calendar day in the city''s time zone.';

-- The clock hour of the city in which a moment lies. Not the session's, nor UTC's: of zones half an hour off it begins at :30 there.
CREATE FUNCTION analysis.city_hour(as_of timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT date_trunc('hour', as_of, coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai'))
$$;
COMMENT ON FUNCTION analysis.city_hour IS '城市当地整点; the start of the clock hour of the city that holds the given time.';

-- Midnight in the city at or before as_of.
CREATE FUNCTION analysis.city_midnight(as_of timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT analysis.city_date(as_of)::timestamp AT TIME ZONE coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai')
$$;
COMMENT ON FUNCTION analysis.city_midnight IS '城市当日零点; midnight in the city at or before the given time.';
