-- Live incidents, and those last seen since a time: points in EPSG:4326 with their 95 percent ellipse, live ones first, newest first.
-- Each half is read in the order of its index and stops at the limit: sorted together, all that the time holds would be.
WITH found AS (
    (SELECT e.id, 0 AS part, e.last_seen_at FROM analysis.event AS e WHERE e.state <> 'closed' ORDER BY e.last_seen_at DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT e.id, 1, e.last_seen_at FROM analysis.event AS e
    WHERE e.state = 'closed' AND e.last_seen_at >= %(since)s ORDER BY e.last_seen_at DESC LIMIT %(limit)s)
),
shown AS MATERIALIZED (
    SELECT f.* FROM found AS f ORDER BY f.part, f.last_seen_at DESC LIMIT %(limit)s
)
SELECT
    e.id, e.incident_no, e.class, e.state, e.review, e.review_reason, e.first_seen_at, e.last_seen_at,
    e.opened_at, e.closed_at, e.reviewed_at, round(e.peak_score::numeric, 3)::double precision AS peak_score,
    e.observation_count, e.camera_id, e.gb_id, e.camera_name_zh, e.site_id, e.site_name_zh,
    e.key_risk_area_id, e.key_risk_area_zh, e.cell_code, e.town_code, e.town_zh, e.town_en,
    e.placing_method, round(e.semi_major_m::numeric, 1)::double precision AS semi_major_m,
    round(e.semi_minor_m::numeric, 1)::double precision AS semi_minor_m, e.rotation_deg,
    e.permit_id, e.evidence_id, e.evidence_sha256, e.model_hash, e.is_generated,
    ST_AsGeoJSON(ST_Transform(e.geom, 4326), 6)::jsonb AS geometry,
    CASE WHEN e.state <> 'closed' THEN ST_AsGeoJSON(ST_Transform(e.ellipse, 4326), 6)::jsonb END AS ellipse
FROM shown AS s
JOIN analysis.event AS e ON e.id = s.id
ORDER BY s.part, s.last_seen_at DESC
