-- Boxes of one look that concern no incident, counted by hour, class and why; those under a mask at the mask as well.
WITH box AS (
    SELECT b.*
    FROM unnest(%(class)s::text[], %(why)s::text[], %(score)s::float8[], %(mask_id)s::bigint[]) AS b (class, why, score, mask_id)
),
counted AS (
    INSERT INTO watch.set_aside_hour AS h (camera_id, hour, class, why, boxes, top_score)
    SELECT %(camera_id)s, analysis.city_hour(%(at)s::timestamptz), b.class, b.why, count(*), max(b.score)
    FROM box AS b
    GROUP BY b.class, b.why
    ON CONFLICT (camera_id, hour, class, why) DO UPDATE SET
        boxes = h.boxes + EXCLUDED.boxes,
        top_score = greatest(h.top_score, EXCLUDED.top_score)
    RETURNING h.camera_id
),
masked AS (
    UPDATE watch.mask AS m
    SET suppressed = m.suppressed + b.n, last_suppressed_at = greatest(m.last_suppressed_at, %(at)s)
    FROM (SELECT b.mask_id, count(*) AS n FROM box AS b WHERE b.mask_id IS NOT NULL GROUP BY b.mask_id) AS b
    WHERE m.id = b.mask_id
    RETURNING m.id
)
SELECT (SELECT count(*) FROM counted) AS counted, (SELECT count(*) FROM masked) AS masked;
