-- needs: parameter
-- How long a key risk source area has been in the network, in words for a map's legend.
CREATE FUNCTION analysis.onboarding_class(onboarded_on date, moment timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN onboarded_on IS NULL THEN 'no_date'
        ELSE coalesce((ARRAY['this_year', 'last_year', 'two_years_ago'])[
            (extract(year FROM analysis.city_date(moment)) - extract(year FROM onboarded_on))::integer + 1
        ], 'earlier')
    END
$$;
COMMENT ON FUNCTION analysis.onboarding_class IS '接入年份：今年、去年、前年、更早、未记日期; year of joining: this_year | last_year | two_years_ago | earlier | no_date.';

-- Why a camera does not look, in few words: its picture, its line, or nobody's try.
CREATE FUNCTION analysis.camera_health_class(observed boolean, reason text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN observed THEN 'observed'
        WHEN reason IN ('not_connected', 'never_looked', 'stale') THEN reason
        WHEN reason IN ('black', 'frozen', 'covered', 'blurred', 'resolution_changed', 'damaged_image', 'not_an_image', 'too_large',
            'too_many_pixels') THEN 'picture'
        ELSE 'no_answer'
    END
$$;
COMMENT ON FUNCTION analysis.camera_health_class IS '摄像机健康类别; observed | picture (it came, and shows nothing of use) | no_answer | stale | never_looked | not_connected.';
