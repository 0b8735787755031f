-- Masks in some states that a filter finds, the newest proposals first; those that hold by when they end.
SELECT m.*, u.name_zh AS town_zh, u.name_en AS town_en, count(*) OVER () AS in_all
FROM analysis.camera_mask_at(%(at)s) AS m
LEFT JOIN territory.unit AS u ON u.code = m.town_code
WHERE m.state = ANY (%(states)s)
    AND (%(town)s::text IS NULL OR m.town_code = %(town)s)
    AND (%(like)s::text IS NULL OR m.camera_name_zh ILIKE %(like)s OR m.gb_id ILIKE %(like)s)
    AND (%(class)s::text IS NULL OR m.class = %(class)s)
ORDER BY m.state, CASE WHEN m.state = 'active' THEN m.until END, m.proposed_at DESC, m.id
LIMIT %(most)s OFFSET %(skip)s;
