-- Industries that wait for a duty: those that no rule lists first, then those with most sites; each with its nearest rules.
-- in_all: how many wait.
WITH found AS MATERIALIZED (
    SELECT p.*, bool_or(p.is_covered) OVER (PARTITION BY p.industry) AS is_listed
    FROM analysis.duty_proposal_at(coalesce(%(as_of)s::timestamptz, now())) AS p
),
placed AS MATERIALIZED (
    SELECT f.*, dense_rank() OVER (ORDER BY f.is_listed, f.site_count DESC, f.industry) AS turn FROM found AS f
)
SELECT p.*, (SELECT max(a.turn) FROM placed AS a) AS in_all
FROM placed AS p
WHERE p.turn <= %(most)s
ORDER BY p.turn, p.place
