-- Key risk areas (also those of which nobody can say it: NULL) of which online cameras see less than the rule asks for, worst first; in_all, under: how many there are, and of these.
WITH area AS (
    SELECT a.*, coalesce(a.seen_fraction < analysis.parameter_value('seen_fraction_min'), true) AS is_under
    FROM analysis.key_risk_area_at(%(moment)s) AS a
    WHERE %(town)s::text IS NULL OR a.town_code = %(town)s
),
total AS (
    SELECT count(*) AS in_all, count(*) FILTER (WHERE a.is_under) AS under FROM area AS a
)
SELECT
    a.id, a.code, a.name_zh, a.name_en, a.level, a.area_m2, a.seen_m2, a.seen_fraction, a.camera_count, a.online_camera_count,
    u.name_zh AS town_zh, u.name_en AS town_en, t.in_all, t.under, analysis.parameter_value('seen_fraction_min') AS rule
FROM total AS t
LEFT JOIN area AS a ON a.is_under
LEFT JOIN territory.unit AS u ON u.code = a.town_code
ORDER BY a.seen_fraction, array_position(ARRAY['red', 'orange', 'yellow', 'blue'], a.level), a.area_m2 DESC, a.id
LIMIT %(most)s
