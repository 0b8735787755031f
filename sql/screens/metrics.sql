-- Gauges for Prometheus, one column each.
SELECT
    (SELECT count(*) FROM watch.incident AS i WHERE i.state = 'open') AS incidents_open,
    (SELECT count(*) FROM watch.incident AS i WHERE i.state <> 'candidate' AND i.review = 'unreviewed') AS incidents_unreviewed,
    (SELECT count(*) FROM watch.camera_health AS h WHERE h.observed) AS cameras_observed,
    (SELECT count(*) FROM watch.camera_health AS h WHERE NOT h.observed) AS cameras_unobserved,
    (SELECT count(*) FROM watch.scan_due AS d) AS cameras_due_total,
    (SELECT extract(epoch FROM now() - min(d.next_due_at)) FROM watch.scan_due AS d WHERE d.next_due_at < now()) AS scan_delay_seconds
