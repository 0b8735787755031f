-- Leads as they stood at a past moment: those not closed then, then those last seen in the day before it; newest first.
SELECT
    e.id, e.incident_no, e.class, a.state, a.review, a.first_seen_at, a.last_seen_at, e.peak_score, e.camera_name_zh,
    e.site_name_zh, e.key_risk_area_zh, e.town_zh, e.town_en, e.evidence_id, e.permit_id
FROM analysis.event_at(%(as_of)s) AS a
JOIN analysis.event AS e ON e.id = a.id
WHERE a.state <> 'closed' OR a.last_seen_at > %(as_of)s - interval '1 day'
ORDER BY (a.state = 'open') DESC, a.first_seen_at DESC
LIMIT 80
