-- All cameras: those that do not observe first, connected ones before the never connected, longest blind first.
SELECT
    c.id, c.name_zh, c.gb_id, c.observed, c.reason, c.since, c.last_observed_at, c.is_online,
    u.name_zh AS town_zh, u.name_en AS town_en
FROM analysis.camera AS c
LEFT JOIN territory.unit AS u ON u.code = c.town_code
ORDER BY c.observed, (c.reason = 'not_connected'), c.since NULLS FIRST, c.gb_id
