-- One scan's result, its counters and the camera's health, and the lease given back: all or, where the token is no
-- longer the newest, nothing (no row comes back). The next due time keeps its rhythm unless the scan came too late.
WITH held AS (
    UPDATE watch.scan_due AS d
    SET
        lease_owner = NULL,
        lease_until = NULL,
        attempts = 0,
        burst_left = 0,
        next_due_at = greatest(
            d.next_due_at + make_interval(secs => %(period_s)s),
            %(at)s::timestamptz + make_interval(secs => %(period_s)s / 2.0)
        )
    WHERE d.camera_id = %(camera_id)s AND d.lease_token = %(token)s
    RETURNING d.camera_id
),
observation AS (
    INSERT INTO watch.observation (id, camera_id, captured_at, received_at, observed, reason, model_hash, boxes)
    SELECT
        %(observation_id)s, h.camera_id, %(captured_at)s, %(received_at)s, %(reason)s::text IS NULL, %(reason)s,
        %(model_hash)s, %(boxes)s
    FROM held AS h
    ON CONFLICT (id) DO NOTHING
    RETURNING id
),
counted AS (
    INSERT INTO watch.observation_hour AS o (camera_id, hour, observed, unobserved, reasons)
    SELECT
        h.camera_id,
        date_trunc('hour', %(captured_at)s::timestamptz),
        CASE WHEN %(reason)s::text IS NULL THEN 1 ELSE 0 END,
        CASE WHEN %(reason)s::text IS NULL THEN 0 ELSE 1 END,
        CASE WHEN %(reason)s::text IS NULL THEN '{}' ELSE jsonb_build_object(%(reason)s::text, 1) END
    FROM held AS h
    WHERE EXISTS (SELECT FROM observation)
    ON CONFLICT (camera_id, hour) DO UPDATE SET
        observed = o.observed + EXCLUDED.observed,
        unobserved = o.unobserved + EXCLUDED.unobserved,
        reasons = CASE
            WHEN %(reason)s::text IS NULL THEN o.reasons
            ELSE o.reasons || jsonb_build_object(
                %(reason)s::text, coalesce((o.reasons ->> %(reason)s::text)::integer, 0) + 1
            )
        END
    RETURNING o.camera_id
),
before AS (
    SELECT c.observed, c.reason FROM watch.camera_health AS c WHERE c.camera_id = %(camera_id)s
),
-- Told only when it changes; a first good look is no news.
changed AS (
    SELECT h.camera_id, %(reason)s::text IS NULL AS observed, %(reason)s::text AS reason
    FROM held AS h
    LEFT JOIN before AS b ON true
    WHERE (b.observed IS NULL AND %(reason)s::text IS NOT NULL)
        OR (b.observed IS NOT NULL AND b.reason IS DISTINCT FROM %(reason)s::text)
),
health AS (
    INSERT INTO watch.camera_health AS c (camera_id, observed, reason, since, last_try_at, last_observed_at)
    SELECT
        h.camera_id, %(reason)s::text IS NULL, %(reason)s, %(captured_at)s, %(captured_at)s,
        CASE WHEN %(reason)s::text IS NULL THEN %(captured_at)s::timestamptz END
    FROM held AS h
    ON CONFLICT (camera_id) DO UPDATE SET
        observed = EXCLUDED.observed,
        reason = EXCLUDED.reason,
        since = CASE WHEN c.reason IS NOT DISTINCT FROM EXCLUDED.reason THEN c.since ELSE EXCLUDED.since END,
        last_try_at = greatest(c.last_try_at, EXCLUDED.last_try_at),
        last_observed_at = greatest(c.last_observed_at, EXCLUDED.last_observed_at)
    RETURNING c.camera_id
),
event AS (
    INSERT INTO watch.camera_health_event (camera_id, at, observed, reason)
    SELECT c.camera_id, %(captured_at)s, c.observed, c.reason FROM changed AS c
    RETURNING id
),
told AS (
    INSERT INTO watch.outbox (topic, dedupe_key, payload)
    SELECT
        'camera_health',
        'camera_health:' || c.camera_id || ':' || %(observation_id)s::uuid,
        jsonb_build_object('camera_id', c.camera_id, 'observed', c.observed, 'reason', c.reason)
    FROM changed AS c
    ON CONFLICT (dedupe_key) DO NOTHING
    RETURNING id
)
SELECT
    h.camera_id,
    EXISTS (SELECT FROM observation) AS is_new,
    EXISTS (SELECT FROM changed) AS is_health_changed,
    EXISTS (
        SELECT FROM watch.incident AS i WHERE i.camera_id = h.camera_id AND i.state <> 'closed'
    ) AS has_incidents
FROM held AS h;
