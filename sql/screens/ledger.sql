-- The ledger of a span of time by place and hour, with the places' names; of one place where `place` is given.
SELECT
    w.*,
    CASE %(kind)s
        WHEN 'town' THEN u.name_zh
        WHEN 'site' THEN s.name_zh
        WHEN 'key_risk_area' THEN a.name_zh
        WHEN 'camera' THEN c.name_zh
    END AS name_zh,
    CASE %(kind)s WHEN 'town' THEN u.name_en WHEN 'key_risk_area' THEN a.name_en END AS name_en,
    c.gb_id
FROM analysis.watched(%(kind)s, 'hour', %(since)s, %(until)s, %(moment)s, %(town)s) AS w
LEFT JOIN territory.unit AS u ON %(kind)s = 'town' AND u.code = w.place AND u.valid_to IS NULL
LEFT JOIN registry.site AS s ON %(kind)s = 'site' AND s.id::text = w.place
LEFT JOIN registry.key_risk_area AS a ON %(kind)s = 'key_risk_area' AND a.id::text = w.place
LEFT JOIN registry.camera AS c ON %(kind)s = 'camera' AND c.id::text = w.place
WHERE %(place)s::text IS NULL OR w.place = %(place)s
ORDER BY w.place, w.starts
