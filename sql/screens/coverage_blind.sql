-- Key risk areas that were not seen in an hour, the gravest first, with the cameras and why; in_all: how many there are.
SELECT
    b.area_id, b.code, b.name_zh, b.name_en, b.level, b.verdict, b.drawn_fraction, b.observed_fraction, b.not_known_fraction, b.why,
    u.name_zh AS town_zh, u.name_en AS town_en, count(*) OVER () AS in_all
FROM analysis.blind_area_at(%(at)s, %(moment)s) AS b
LEFT JOIN territory.unit AS u ON u.code = b.town_code
WHERE %(town)s::text IS NULL OR b.town_code = %(town)s
ORDER BY
    array_position(ARRAY['blind', 'not_covered', 'not_known'], b.verdict),
    array_position(ARRAY['red', 'orange', 'yellow', 'blue'], b.level), b.observed_fraction, b.area_id
LIMIT %(most)s
