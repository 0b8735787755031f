-- Gauges for Prometheus, one column each; incidents are counted as in analysis.headline.
SELECT
    (SELECT count(*) FROM analysis.event AS e WHERE e.state <> 'closed') AS incidents_open,
    (SELECT count(*) FROM analysis.event AS e WHERE e.review = 'unreviewed') AS incidents_unreviewed,
    (SELECT count(*) FROM watch.camera_health AS h WHERE h.observed) AS cameras_observed,
    (SELECT count(*) FROM watch.camera_health AS h WHERE NOT h.observed) AS cameras_unobserved,
    (SELECT count(*) FROM watch.scan_due AS d) AS cameras_due_total,
    (SELECT extract(epoch FROM now() - min(d.next_due_at)) FROM watch.scan_due AS d WHERE d.next_due_at < now()) AS scan_delay_seconds
