-- needs: parameter
-- The constants of the risk formula as one row, as they are today.
CREATE VIEW analysis.risk_constants AS
SELECT
    max(p.value) FILTER (WHERE p.name = 'risk_power_h') AS power_h,
    max(p.value) FILTER (WHERE p.name = 'risk_power_e') AS power_e,
    max(p.value) FILTER (WHERE p.name = 'risk_power_v') AS power_v,
    max(p.value) FILTER (WHERE p.name = 'risk_h_blue') AS h_blue,
    max(p.value) FILTER (WHERE p.name = 'risk_h_yellow') AS h_yellow,
    max(p.value) FILTER (WHERE p.name = 'risk_h_orange') AS h_orange,
    max(p.value) FILTER (WHERE p.name = 'risk_h_red') AS h_red,
    max(p.value) FILTER (WHERE p.name = 'risk_h_unknown') AS h_unknown,
    max(p.value) FILTER (WHERE p.name = 'risk_e_under_10') AS e_under_10,
    max(p.value) FILTER (WHERE p.name = 'risk_e_under_50') AS e_under_50,
    max(p.value) FILTER (WHERE p.name = 'risk_e_under_200') AS e_under_200,
    max(p.value) FILTER (WHERE p.name = 'risk_e_under_1000') AS e_under_1000,
    max(p.value) FILTER (WHERE p.name = 'risk_e_over_1000') AS e_over_1000,
    max(p.value) FILTER (WHERE p.name = 'risk_e_unknown') AS e_unknown,
    max(p.value) FILTER (WHERE p.name = 'risk_v_normal') AS v_normal,
    max(p.value) FILTER (WHERE p.name = 'risk_v_mixed') AS v_mixed,
    max(p.value) FILTER (WHERE p.name = 'risk_v_sleeping') AS v_sleeping,
    max(p.value) FILTER (WHERE p.name = 'risk_v_both') AS v_both,
    max(p.value) FILTER (WHERE p.name = 'risk_v_unknown') AS v_unknown,
    max(p.value) FILTER (WHERE p.name = 'risk_raw_scale') AS raw_scale,
    max(p.value) FILTER (WHERE p.name = 'risk_w_general') AS w_general,
    max(p.value) FILTER (WHERE p.name = 'risk_w_serious') AS w_serious,
    max(p.value) FILTER (WHERE p.name = 'risk_w_major') AS w_major,
    max(p.value) FILTER (WHERE p.name = 'risk_w_incident') AS w_incident,
    max(p.value) FILTER (WHERE p.name = 'risk_c_unreviewed') AS c_unreviewed,
    max(p.value) FILTER (WHERE p.name = 'risk_overdue_full_days') AS overdue_full_days,
    max(p.value) FILTER (WHERE p.name = 'risk_half_life_hazard') AS half_life_hazard,
    max(p.value) FILTER (WHERE p.name = 'risk_half_life_incident') AS half_life_incident,
    max(p.value) FILTER (WHERE p.name = 'risk_unreviewed_hours') AS unreviewed_hours,
    max(p.value) FILTER (WHERE p.name = 'risk_control_share') AS control_share,
    max(p.value) FILTER (WHERE p.name = 'risk_control_check') AS control_check,
    max(p.value) FILTER (WHERE p.name = 'risk_control_self_check') AS control_self_check,
    max(p.value) FILTER (WHERE p.name = 'risk_control_certificates') AS control_certificates,
    max(p.value) FILTER (WHERE p.name = 'risk_control_camera') AS control_camera,
    max(p.value) FILTER (WHERE p.name = 'risk_control_worker') AS control_worker,
    max(p.value) FILTER (WHERE p.name = 'risk_red_from') AS red_from,
    max(p.value) FILTER (WHERE p.name = 'risk_orange_from') AS orange_from,
    max(p.value) FILTER (WHERE p.name = 'risk_yellow_from') AS yellow_from,
    max(p.value) FILTER (WHERE p.name = 'risk_cell_max_share') AS cell_max_share,
    max(p.value) FILTER (WHERE p.name = 'risk_cell_top') AS cell_top,
    max(p.value) FILTER (WHERE p.name = 'risk_stale_days') AS stale_days,
    max(p.value) FILTER (WHERE p.name = 'risk_drift_points') AS drift_points,
    max(p.value) FILTER (WHERE p.name = 'risk_known_hazard_level') AS known_hazard_level,
    max(p.value) FILTER (WHERE p.name = 'risk_known_people') AS known_people,
    max(p.value) FILTER (WHERE p.name = 'risk_known_vulnerability') AS known_vulnerability,
    max(p.value) FILTER (WHERE p.name = 'risk_known_check') AS known_check,
    max(p.value) FILTER (WHERE p.name = 'risk_known_self_check') AS known_self_check,
    max(p.value) FILTER (WHERE p.name = 'risk_known_certificates') AS known_certificates,
    max(p.value) FILTER (WHERE p.name = 'risk_known_cell') AS known_cell,
    max(p.value) FILTER (WHERE p.name = 'risk_fresh_days') AS fresh_days,
    max(p.value) FILTER (WHERE p.name = 'risk_fresh_half_life') AS fresh_half_life,
    max(p.value) FILTER (WHERE p.name = 'risk_fresh_share') AS fresh_share,
    max(p.value) FILTER (WHERE p.name = 'check_days_red') AS check_days_red,
    max(p.value) FILTER (WHERE p.name = 'check_days_orange') AS check_days_orange,
    max(p.value) FILTER (WHERE p.name = 'check_days_yellow') AS check_days_yellow,
    max(p.value) FILTER (WHERE p.name = 'check_days_blue') AS check_days_blue,
    max(p.value) FILTER (WHERE p.name = 'seen_fraction_min') AS seen_fraction_min
FROM analysis.parameter AS p;
COMMENT ON VIEW analysis.risk_constants IS '风险公式的常数（一行）; the constants of the risk formula as one row, as they are today; those of a past day: analysis.risk_constants_at(moment).';

-- The same as they were in force at a moment. A missing one stops the query: the formula would silently give NULL.
CREATE FUNCTION analysis.risk_constants_at(moment timestamptz) RETURNS analysis.risk_constants
LANGUAGE plpgsql STABLE AS $$
DECLARE
    held constant jsonb := (
        SELECT coalesce(jsonb_object_agg(CASE WHEN p.name LIKE 'risk\_%' THEN substr(p.name, 6) ELSE p.name END, p.value), '{}')
        FROM analysis.parameter_at(moment) AS p
    );
    missing constant text := (
        SELECT min(CASE WHEN a.attname LIKE 'check\_days\_%' OR a.attname = 'seen_fraction_min' THEN a.attname::text ELSE 'risk_' || a.attname END)
        FROM pg_attribute AS a WHERE a.attrelid = 'analysis.risk_constants'::regclass AND a.attnum > 0 AND NOT held ? a.attname::text
    );
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'analysis.parameter 缺少 % / analysis.parameter has no row %', missing, missing
            USING HINT = 'geoapp db up 会补上默认值 / geoapp db up puts the default back.';
    END IF;
    RETURN jsonb_populate_record(NULL::analysis.risk_constants, held);
END $$;
COMMENT ON FUNCTION analysis.risk_constants_at IS '某时刻有效的风险公式常数; the constants of the risk formula in force at a moment, an error where one is missing.';
