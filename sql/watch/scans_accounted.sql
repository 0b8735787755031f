-- Whether the scans of a simulation add up: looks on record, looks that the ledger counts, due times without a look, cameras
-- looked through twice for one due time (a next look is never due within half a period), cameras never looked through.
WITH look AS (
    SELECT o.camera_id, o.captured_at - lag(o.captured_at) OVER (PARTITION BY o.camera_id ORDER BY o.captured_at) AS after
    FROM watch.observation AS o
)
SELECT
    (SELECT count(*) FROM look) AS looks,
    (
        SELECT coalesce(sum(h.due - coalesce((h.reasons ->> 'not_scanned')::integer, 0)), 0) FROM watch.observation_hour AS h
    ) AS counted,
    (SELECT coalesce(sum((h.reasons ->> 'not_scanned')::integer), 0) FROM watch.observation_hour AS h) AS not_scanned,
    (SELECT count(*) FROM look AS l WHERE l.after < make_interval(secs => %(period_s)s::float8 / 2)) AS doubled,
    (
        SELECT count(*) FROM registry.camera AS c
        WHERE NOT EXISTS (SELECT FROM watch.observation AS o WHERE o.camera_id = c.id)
    ) AS never_looked
