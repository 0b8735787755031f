-- How many cameras there are to look through, and what is on record of them.
SELECT
    (SELECT count(*) FROM analysis.camera AS c WHERE c.is_connected) AS connected,
    (SELECT count(*) FROM analysis.camera AS c WHERE NOT c.is_connected) AS not_connected,
    count(*) FILTER (WHERE n.note = 'night_mode') AS night_mode,
    count(*) FILTER (WHERE n.note = 'clock_off') AS clock_off,
    max(abs(n.clock_offset_s))::double precision AS clock_off_most_s
FROM analysis.camera_note AS n
