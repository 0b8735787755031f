-- Units of a level by what is unsettled in them, worst first; with a state, those that have it. in_all: before the page.
WITH unit AS (
    SELECT
        u.*,
        CASE %(state)s::text
            WHEN 'missing' THEN u.missing_count WHEN 'two_leads' THEN u.two_leads_count WHEN 'disputed' THEN u.disputed_count
            WHEN 'proposed' THEN u.proposed_count WHEN 'no_person' THEN u.no_person_count
            WHEN 'no_grid_worker' THEN u.no_grid_worker_count WHEN 'no_rule' THEN u.no_rule_count
            WHEN 'confirmed' THEN u.site_count - u.gap_count ELSE u.gap_count
        END AS worst
    FROM analysis.duty_unit_at(coalesce(%(as_of)s::timestamptz, now()), %(level)s, %(within)s) AS u
)
SELECT u.*, count(*) OVER () AS in_all
FROM unit AS u
WHERE %(state)s::text IS NULL OR u.worst > 0
ORDER BY u.worst DESC, u.no_grid_worker_count DESC, u.site_count DESC, u.unit_code, u.town_code
LIMIT %(most)s OFFSET %(skip)s
