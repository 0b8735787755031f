-- The newest incidents that a square counts in a window, and of all of them how many and when the first and last were first seen.
SELECT
    i.id, i.incident_no, i.class, i.first_seen_at, i.state, i.review,
    count(*) OVER () AS n, min(i.first_seen_at) OVER () AS first_at, max(i.first_seen_at) OVER () AS last_at
FROM analysis.event_bin_incidents(%(bin_no)s, %(since)s, %(until)s) AS i
ORDER BY i.first_seen_at DESC, i.incident_no DESC
LIMIT %(most)s
