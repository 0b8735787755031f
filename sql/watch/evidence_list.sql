-- Incidents with frames: how many, how large, until when, held or not; the newest first.
SELECT
    k.incident_no, k.class, k.review, count(*) FILTER (WHERE k.not_kept IS NULL) AS frames, count(k.not_kept) AS not_kept,
    coalesce(sum(k.bytes) FILTER (WHERE k.not_kept IS NULL), 0)::bigint AS bytes, max(k.captured_at) AS newest_at,
    min(k.keep_until) AS keep_until, bool_or(k.is_held) AS is_held
FROM analysis.evidence_kept AS k
WHERE (%(incident_no)s::bigint IS NULL OR k.incident_no = %(incident_no)s)
    AND (NOT %(only_held)s OR k.is_held)
GROUP BY k.incident_no, k.class, k.review
ORDER BY max(k.captured_at) DESC, k.incident_no DESC
LIMIT %(most)s
