-- Time to verify of the last 30 days: all together, by class, by officer (NULL = all).
SELECT t.* FROM analysis.review_time_between(%(now)s::timestamptz - interval '30 days', %(now)s) AS t
WHERE t.class IS NULL OR t.reviewed_by IS NULL
ORDER BY t.class NULLS FIRST, t.reviewed_by NULLS FIRST
LIMIT 40
