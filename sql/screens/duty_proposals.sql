-- Industries that wait for a duty, those with most sites first; each with its nearest rules. in_all: how many wait.
WITH found AS MATERIALIZED (
    SELECT p.*, dense_rank() OVER (ORDER BY p.site_count DESC, p.industry) AS turn
    FROM analysis.duty_proposal_at(coalesce(%(as_of)s::timestamptz, now())) AS p
)
SELECT f.*, (SELECT max(a.turn) FROM found AS a) AS in_all
FROM found AS f
WHERE f.turn <= %(most)s
ORDER BY f.turn, f.place
