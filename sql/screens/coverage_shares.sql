-- Shares of the ground of each town in an hour, and of the district (place ''): drawn, observed, not known. Never added up.
SELECT
    c.place, u.name_zh, u.name_en, c.area_m2, c.drawn_fraction, c.observed_fraction, c.not_known_fraction,
    c.cameras, c.observed_cameras, c.not_known_cameras
FROM analysis.covered(
    'town', %(since)s, %(until)s, %(moment)s, CASE WHEN %(town)s::text IS NOT NULL THEN ARRAY[%(town)s::text] END
) AS c
LEFT JOIN territory.unit AS u ON u.code = c.place
UNION ALL
SELECT
    c.place, NULL, NULL, c.area_m2, c.drawn_fraction, c.observed_fraction, c.not_known_fraction,
    c.cameras, c.observed_cameras, c.not_known_cameras
FROM analysis.covered('district', %(since)s, %(until)s, %(moment)s) AS c
WHERE %(town)s::text IS NULL
ORDER BY place
