-- Open hazards of the lead's site, the gravest first.
SELECT h.id, h.class, h.title_zh, h.title_en, h.state, h.deadline, h.deadline < %(now)s AS is_overdue
FROM watch.incident AS i JOIN inspection.hazard AS h ON h.site_id = i.site_id
WHERE i.id = %(id)s AND h.state <> 'verified_closed'
ORDER BY array_position(ARRAY['major', 'serious', 'general'], h.class), h.found_at DESC
LIMIT 8
