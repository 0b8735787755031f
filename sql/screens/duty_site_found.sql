-- Sites whose name, credit code or own number holds the words; a name that begins with them comes first.
SELECT s.id, s.name_zh, s.address, u.name_zh AS town_zh, u.name_en AS town_en
FROM registry.site AS s LEFT JOIN territory.unit AS u ON u.code = s.town_code
WHERE s.name_zh ILIKE %(like)s OR s.uscc = upper(%(text)s) OR s.local_id = %(text)s
ORDER BY position(lower(%(text)s) IN lower(s.name_zh)), length(s.name_zh), s.id
LIMIT 12
