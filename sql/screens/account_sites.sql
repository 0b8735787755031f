-- Sites by a part of the name or by the exact identifier, to choose what an enterprise's account is for.
SELECT s.id, s.name_zh, coalesce(s.uscc, s.local_id, '') AS code
FROM registry.site AS s
WHERE s.name_zh ILIKE %(like)s OR s.uscc = upper(%(text)s) OR s.local_id = %(text)s
ORDER BY length(s.name_zh), s.name_zh
LIMIT 20
