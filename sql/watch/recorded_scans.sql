-- Results of scans, their counters and the cameras' health, and the leases given back: one row comes back for each result.
-- outcome: recorded; lost, where the token is no longer the newest; look, where the camera's incidents have to be looked at
-- in a transaction of its own (alone), and nothing was written yet. A camera comes once in a call.
-- The next due time keeps its rhythm unless the scan came too late; due times that passed without a look are counted.
WITH result AS (
    SELECT r.*
    FROM ROWS FROM (
        unnest(
            %(camera_id)s::bigint[], %(token)s::bigint[], %(observation_id)s::uuid[], %(captured_at)s::timestamptz[],
            %(received_at)s::timestamptz[], %(reason)s::text[], %(period_s)s::float8[], %(boxes)s::text[],
            %(clock_offset_s)s::real[], %(model_hash)s::text[], %(detail)s::text[], %(picture)s::text[], %(notes)s::text[]
        ),
        -- For the planner only: it takes an array that it does not know for ten rows, a series for a thousand. With ten
        -- it would compare each result with each other one.
        generate_series(1, cardinality(%(camera_id)s::bigint[]))
    ) AS r (
        camera_id, token, observation_id, captured_at, received_at, reason, period_s, boxes, clock_offset_s, model_hash,
        detail, picture, notes, place
    )
),
mine AS (
    SELECT
        r.*,
        d.next_due_at AS was_due_at,
        r.boxes = '[]' AS is_empty,
        r.reason IS NULL AND EXISTS (
            SELECT FROM watch.incident_camera AS v WHERE v.camera_id = r.camera_id AND v.ended_at IS NULL
        ) AS has_incidents
    FROM result AS r
    -- CASE, for the planner too: it would take a plain comparison of the tokens, which hardly ever differ, for one that
    -- leaves one row in two hundred.
    JOIN watch.scan_due AS d ON d.camera_id = r.camera_id AND CASE d.lease_token WHEN r.token THEN true ELSE false END
    ORDER BY d.camera_id
    FOR UPDATE OF d
),
held AS (
    SELECT m.* FROM mine AS m WHERE %(alone)s OR (m.is_empty AND NOT m.has_incidents)
),
given_back AS (
    UPDATE watch.scan_due AS d
    SET
        lease_owner = NULL,
        lease_until = NULL,
        attempts = 0,
        burst_left = 0,
        period_s = h.period_s,
        next_due_at = greatest(
            d.next_due_at + make_interval(secs => h.period_s),
            %(at)s::timestamptz + make_interval(secs => h.period_s / 2.0)
        )
    FROM held AS h
    WHERE d.camera_id = h.camera_id
    RETURNING d.camera_id
),
observation AS (
    INSERT INTO watch.observation (
        id, camera_id, captured_at, received_at, observed, reason, model_hash, boxes, clock_offset_s
    )
    SELECT
        h.observation_id, h.camera_id, h.captured_at, h.received_at, h.reason IS NULL, h.reason, h.model_hash,
        h.boxes::jsonb, h.clock_offset_s
    FROM held AS h
    ON CONFLICT (camera_id, captured_at) DO NOTHING
    RETURNING camera_id
),
fresh AS (
    SELECT h.* FROM held AS h JOIN observation AS o USING (camera_id)
),
-- Whole periods that went by without a look, in the hours of their due times; a day back at most: an hour without any
-- row of a camera that was connected says the same.
missed AS (
    SELECT f.camera_id, analysis.city_hour(g.at) AS hour, count(*)::integer AS n
    FROM fresh AS f
    CROSS JOIN LATERAL generate_series(
        greatest(
            f.was_due_at,
            f.was_due_at + make_interval(
                secs => f.period_s * floor(
                    extract(epoch FROM f.captured_at - interval '24 hours' - f.was_due_at) / f.period_s
                )
            )
        ),
        f.captured_at - make_interval(secs => f.period_s),
        make_interval(secs => f.period_s)
    ) AS g (at)
    WHERE f.captured_at >= f.was_due_at + make_interval(secs => f.period_s)
    GROUP BY f.camera_id, analysis.city_hour(g.at)
),
look AS (
    SELECT f.camera_id, analysis.city_hour(f.captured_at) AS hour, f.reason FROM fresh AS f
),
count_of AS (
    SELECT
        coalesce(l.camera_id, m.camera_id) AS camera_id,
        coalesce(l.hour, m.hour) AS hour,
        CASE WHEN l.camera_id IS NOT NULL AND l.reason IS NULL THEN 1 ELSE 0 END AS observed,
        CASE WHEN l.reason IS NOT NULL THEN 1 ELSE 0 END + coalesce(m.n, 0) AS unobserved,
        CASE WHEN l.reason IS NULL THEN '{}' ELSE jsonb_build_object(l.reason, 1) END
        || CASE WHEN m.n IS NULL THEN '{}' ELSE jsonb_build_object('not_scanned', m.n) END AS reasons
    FROM look AS l
    FULL JOIN missed AS m ON m.camera_id = l.camera_id AND m.hour = l.hour
),
counted AS (
    INSERT INTO watch.observation_hour AS o (camera_id, hour, due, observed, unobserved, reasons)
    SELECT c.camera_id, c.hour, c.observed + c.unobserved, c.observed, c.unobserved, c.reasons
    FROM count_of AS c
    ORDER BY c.camera_id, c.hour
    ON CONFLICT (camera_id, hour) DO UPDATE SET
        due = o.due + EXCLUDED.due,
        observed = o.observed + EXCLUDED.observed,
        unobserved = o.unobserved + EXCLUDED.unobserved,
        reasons = CASE
            WHEN EXCLUDED.reasons = '{}' THEN o.reasons ELSE watch.added_reasons(o.reasons, EXCLUDED.reasons)
        END
    RETURNING o.camera_id
),
-- Told only when it changes; a first good look is no news. A look without a picture leaves the notes as they were.
changed AS (
    SELECT
        f.camera_id, f.captured_at, f.observation_id, f.reason IS NULL AS observed, f.reason, f.detail,
        coalesce(string_to_array(f.notes, ','), b.notes, '{}') AS notes,
        b.reason IS DISTINCT FROM f.reason AS is_reason_changed
    FROM fresh AS f
    LEFT JOIN watch.camera_health AS b ON b.camera_id = f.camera_id
    WHERE b.reason IS DISTINCT FROM f.reason
        OR string_to_array(f.notes, ',') <> coalesce(b.notes, '{}')
),
health AS (
    INSERT INTO watch.camera_health AS c (
        camera_id, observed, reason, since, last_try_at, last_observed_at, detail, notes, clock_offset_s, picture
    )
    SELECT
        f.camera_id, f.reason IS NULL, f.reason, f.captured_at, f.captured_at,
        CASE WHEN f.reason IS NULL THEN f.captured_at END,
        f.detail, coalesce(string_to_array(f.notes, ','), '{}'), f.clock_offset_s, f.picture::jsonb
    FROM fresh AS f
    ON CONFLICT (camera_id) DO UPDATE SET
        observed = EXCLUDED.observed,
        reason = EXCLUDED.reason,
        since = CASE WHEN c.reason IS NOT DISTINCT FROM EXCLUDED.reason THEN c.since ELSE EXCLUDED.since END,
        last_try_at = greatest(c.last_try_at, EXCLUDED.last_try_at),
        last_observed_at = greatest(c.last_observed_at, EXCLUDED.last_observed_at),
        detail = EXCLUDED.detail,
        notes = CASE WHEN EXCLUDED.picture IS NULL THEN c.notes ELSE EXCLUDED.notes END,
        clock_offset_s = coalesce(EXCLUDED.clock_offset_s, c.clock_offset_s),
        picture = coalesce(EXCLUDED.picture, c.picture)
    RETURNING c.camera_id
),
event AS (
    INSERT INTO watch.camera_health_event (camera_id, at, observed, reason, detail, notes)
    SELECT c.camera_id, c.captured_at, c.observed, c.reason, c.detail, c.notes FROM changed AS c
    RETURNING id
),
told AS (
    INSERT INTO watch.outbox (topic, dedupe_key, payload)
    SELECT
        'camera_health',
        'camera_health:' || c.camera_id || ':' || c.observation_id,
        jsonb_build_object('camera_id', c.camera_id, 'observed', c.observed, 'reason', c.reason)
    FROM changed AS c
    WHERE c.is_reason_changed
    ON CONFLICT (dedupe_key) DO NOTHING
    RETURNING id
)
SELECT
    r.camera_id,
    CASE WHEN h.camera_id IS NOT NULL THEN 'recorded' WHEN m.camera_id IS NOT NULL THEN 'look' ELSE 'lost' END AS outcome,
    o.camera_id IS NOT NULL AS is_new,
    coalesce(m.has_incidents, false) AS has_incidents,
    coalesce(c.is_reason_changed, false) AS is_health_changed
FROM result AS r
LEFT JOIN mine AS m ON m.camera_id = r.camera_id
LEFT JOIN held AS h ON h.camera_id = r.camera_id
LEFT JOIN observation AS o ON o.camera_id = r.camera_id
LEFT JOIN changed AS c ON c.camera_id = r.camera_id;
