-- The sites behind a count, the unsettled first. unit "-": in no cell (or in no town); department "-": none is known.
-- state led: settled or without a named person; unsettled: all but settled; no_rule: of no place type.
SELECT
    s.*, u.name_zh AS town_zh, u.name_en AS town_en, analysis.industry_of(s.gbt4754, s.name_zh) AS industry,
    ARRAY(SELECT d.name_zh FROM duty.department AS d WHERE d.code = ANY (s.department_codes) ORDER BY d.code) AS departments_zh,
    ARRAY(SELECT d.name_en FROM duty.department AS d WHERE d.code = ANY (s.department_codes) ORDER BY d.code) AS departments_en,
    count(*) OVER () AS in_all
FROM analysis.duty_site_at(coalesce(%(as_of)s::timestamptz, now())) AS s
LEFT JOIN territory.unit AS u ON u.code = s.town_code
LEFT JOIN analysis.duty_state AS w ON w.state = s.status
WHERE CASE %(state)s::text
        WHEN 'led' THEN s.status IN ('confirmed', 'no_person') WHEN 'unsettled' THEN s.status <> 'confirmed'
        WHEN 'no_rule' THEN s.rule_code IS NULL ELSE %(state)s::text IS NULL OR s.status = %(state)s
    END
    AND CASE %(department)s::text WHEN '-' THEN s.department_codes = '{}' ELSE %(department)s::text IS NULL OR %(department)s = ANY (s.department_codes) END
    AND CASE %(rule)s::text WHEN '-' THEN s.rule_code IS NULL ELSE %(rule)s::text IS NULL OR s.rule_code = %(rule)s END
    AND (%(town)s::text IS NULL OR s.town_code = %(town)s)
    AND (%(within)s::text IS NULL OR %(within)s IN (s.town_code, s.community_code))
    AND CASE WHEN %(unit)s::text IS NULL OR %(level)s::text = 'district' THEN true
        WHEN %(unit)s = '-' THEN CASE %(level)s WHEN 'town' THEN s.town_code IS NULL ELSE s.cell_code IS NULL END
        ELSE %(unit)s = CASE %(level)s WHEN 'town' THEN s.town_code WHEN 'community' THEN s.community_code ELSE s.cell_code END
    END
    AND (%(industry)s::text IS NULL OR (s.rule_code IS NULL AND analysis.industry_of(s.gbt4754, s.name_zh) = %(industry)s))
ORDER BY w.rank, s.town_code, s.cell_code, s.site_id
LIMIT %(most)s OFFSET %(skip)s
