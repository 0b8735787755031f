-- What the register knew by a day that the score rests on: hazards found, visits made, sites that it counted as active.
SELECT
    (SELECT count(*) FROM inspection.hazard AS h WHERE h.found_at < t.moment) AS hazards,
    (SELECT count(*) FROM inspection.visit AS v WHERE v.done_at < t.moment) AS visits,
    (
        SELECT count(*) FROM registry.site AS s
        WHERE s.active_from <= t.local_day AND (s.active_to IS NULL OR s.active_to > t.local_day)
    ) AS sites
FROM (
    SELECT
        (DATE '1970-01-01' + %(day)s::integer)::timestamp AT TIME ZONE c.timezone AS moment,
        DATE '1970-01-01' + %(day)s::integer AS local_day
    FROM territory.city AS c
) AS t
