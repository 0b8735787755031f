-- Connected cameras that are blind now, worst first: what nobody else sees, by its level; then incidents; then the longest.
SELECT
    b.camera_id AS id, b.name_zh, b.gb_id, b.reason, b.detail, b.since, b.last_observed_at, b.is_watch_late,
    extract(epoch FROM now() - b.since)::double precision AS blind_s,
    b.site_name_zh, b.key_risk_area_count, b.unwatched_area_count, b.worst_level, b.key_risk_areas_zh, b.key_risk_areas_en,
    b.incident_count, b.incident_nos,
    u.name_zh AS town_zh, u.name_en AS town_en
FROM analysis.camera_blind AS b
LEFT JOIN territory.unit AS u ON u.code = b.town_code
ORDER BY
    (b.unwatched_area_count > 0) DESC,
    array_position(ARRAY['red', 'orange', 'yellow', 'blue'], b.worst_level) NULLS LAST,
    b.unwatched_area_count DESC,
    b.incident_count DESC,
    b.since NULLS FIRST,
    b.gb_id
