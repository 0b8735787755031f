-- How much is to be seen, and how many there are that could be.
SELECT
    (SELECT count(*) FROM analysis.unseen_ground(%(moment)s, %(town)s)) AS gaps,
    (SELECT count(*) FROM analysis.key_risk_area_at(%(moment)s) AS a WHERE %(town)s::text IS NULL OR a.town_code = %(town)s) AS areas
