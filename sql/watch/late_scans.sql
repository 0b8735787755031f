-- Looks that were written after another process had taken their cameras over (the database was away): the cameras that
-- a new row came for. What their hours counted as not scanned is counted as what it was.
WITH result AS (
    SELECT r.*
    FROM unnest(
        %(camera_id)s::bigint[], %(token)s::bigint[], %(observation_id)s::uuid[], %(captured_at)s::timestamptz[],
        %(received_at)s::timestamptz[], %(reason)s::text[], %(period_s)s::float8[], %(boxes)s::text[],
        %(clock_offset_s)s::real[], %(model_hash)s::text[]
    ) AS r (
        camera_id, token, observation_id, captured_at, received_at, reason, period_s, boxes, clock_offset_s, model_hash
    )
),
observation AS (
    INSERT INTO watch.observation (
        id, camera_id, captured_at, received_at, observed, reason, model_hash, boxes, clock_offset_s
    )
    SELECT
        r.observation_id, r.camera_id, r.captured_at, r.received_at, r.reason IS NULL, r.reason, r.model_hash,
        r.boxes::jsonb, r.clock_offset_s
    FROM result AS r
    ON CONFLICT (camera_id, captured_at) DO NOTHING
    RETURNING camera_id, captured_at, observed, reason
),
counted AS (
    INSERT INTO watch.observation_hour AS h (camera_id, hour, due, observed, unobserved, reasons)
    SELECT
        o.camera_id, analysis.city_hour(o.captured_at), 1, o.observed::integer, (NOT o.observed)::integer,
        CASE WHEN o.observed THEN '{}' ELSE jsonb_build_object(o.reason, 1) END
    FROM observation AS o
    ON CONFLICT (camera_id, hour) DO UPDATE SET
        due = h.due + 1 - least(1, coalesce((h.reasons ->> 'not_scanned')::integer, 0)),
        observed = h.observed + EXCLUDED.observed,
        unobserved = h.unobserved + EXCLUDED.unobserved - least(1, coalesce((h.reasons ->> 'not_scanned')::integer, 0)),
        reasons = CASE coalesce((h.reasons ->> 'not_scanned')::integer, 0)
            WHEN 0 THEN watch.added_reasons(h.reasons, EXCLUDED.reasons)
            WHEN 1 THEN watch.added_reasons(h.reasons, EXCLUDED.reasons) - 'not_scanned'
            ELSE watch.added_reasons(watch.added_reasons(h.reasons, EXCLUDED.reasons), '{"not_scanned": -1}')
        END
    RETURNING h.camera_id
)
SELECT o.camera_id FROM observation AS o;
