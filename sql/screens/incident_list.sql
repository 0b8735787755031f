-- Leads for the list: those not closed, then those of the last day; newest first.
SELECT
    e.id, e.incident_no, e.class, e.state, e.review, e.first_seen_at, e.last_seen_at, e.peak_score, e.camera_name_zh,
    e.site_name_zh, e.key_risk_area_zh, e.town_zh, e.town_en, e.evidence_id, e.permit_id
FROM analysis.event AS e
WHERE e.state <> 'closed' OR e.last_seen_at > now() - interval '1 day'
ORDER BY (e.state = 'open') DESC, e.first_seen_at DESC
LIMIT 80
