-- The queue of the desk, the most urgent first, with who has a lead in hand and to whom it was given; at most so many rows,
-- in_all and unreviewed_in_all say how many there are.
WITH queue AS MATERIALIZED (
    SELECT q.* FROM analysis.review_queue_at(%(now)s) AS q
),
counted AS (
    SELECT
        count(*) AS in_all, count(*) FILTER (WHERE q.review = 'unreviewed') AS unreviewed_in_all,
        max(q.waiting_s) FILTER (WHERE q.review = 'unreviewed') AS longest_s
    FROM queue AS q
),
shown AS (
    SELECT q.* FROM queue AS q ORDER BY q.urgency DESC, q.incident_no LIMIT %(most)s
)
SELECT
    k.in_all, k.unreviewed_in_all, k.longest_s, s.*, h.login AS held_by, h.name_zh AS holder_zh, h.name_en AS holder_en,
    h.db_role = access.caller() AS is_mine, g.department_zh, g.department_en, g.person_zh
FROM counted AS k
LEFT JOIN shown AS s ON true
LEFT JOIN watch.incident_hold AS h ON h.incident_id = s.incident_id AND h.held_until > %(now)s
LEFT JOIN LATERAL (
    SELECT d.name_zh AS department_zh, d.name_en AS department_en, p.name_zh AS person_zh
    FROM watch.incident_assignment AS a
    LEFT JOIN duty.department AS d ON d.code = a.department_code
    LEFT JOIN duty.person AS p ON p.id = a.person_id
    WHERE a.incident_id = s.incident_id ORDER BY a.id DESC LIMIT 1
) AS g ON true
ORDER BY s.urgency DESC, s.incident_no
