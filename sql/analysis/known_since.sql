-- needs: parameter
-- Since when the register can answer each lens. Before it there are no rows either, but that says nothing about the ground: a screen
-- must show "not known". Of the reader's own rows.
CREATE VIEW analysis.known_since AS
SELECT
    'risk' AS lens,
    least((SELECT min(h.found_at) FROM inspection.hazard AS h), (SELECT min(v.done_at) FROM inspection.visit AS v)) AS known_since
UNION ALL
SELECT
    'coverage',
    least(
        (SELECT min(k.since) FROM watch.camera_connection AS k),
        (SELECT min(e.at) FROM watch.camera_health_event AS e),
        (SELECT min(h.since) FROM watch.camera_health AS h)
    )
UNION ALL
-- Duties are written by day: the day begins at midnight on the city's clock.
SELECT
    'duty',
    least((SELECT min(a.valid_from) FROM duty.assignment AS a), (SELECT min(s.assigned_from) FROM duty.grid_staff AS s))::timestamp
        AT TIME ZONE (SELECT c.timezone FROM territory.city AS c);
COMMENT ON VIEW analysis.known_since IS '各专题最早的记录时间，早于它即为不可知; the first record behind each lens: before it the lens is not known.';
COMMENT ON COLUMN analysis.known_since.known_since IS 'NULL = nothing is on record at all.';
