-- The policy of keeping frames, with what is kept under each line now, as the reader may see it.
WITH kept AS (
    SELECT p.review, p.class, count(k.evidence_id) FILTER (WHERE k.not_kept IS NULL) AS frames,
        coalesce(sum(k.bytes) FILTER (WHERE k.not_kept IS NULL), 0)::bigint AS bytes,
        min(k.keep_until) FILTER (WHERE k.not_kept IS NULL AND NOT k.is_held) AS next_until
    FROM watch.retention_policy AS p
    LEFT JOIN analysis.evidence_kept AS k ON k.review = p.review
        AND (
            k.class = p.class
            OR (p.class = 'any' AND NOT EXISTS (SELECT 1 FROM watch.retention_policy AS o WHERE o.review = k.review AND o.class = k.class))
        )
    GROUP BY p.review, p.class
)
SELECT p.review, p.class, p.days, p.basis_zh, p.basis_en, p.changed_at, k.frames, k.bytes, k.next_until
FROM watch.retention_policy AS p
JOIN kept AS k ON k.review = p.review AND k.class = p.class
ORDER BY p.days, p.review, p.class
