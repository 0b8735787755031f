-- One lead on the desk: what it is, where, its site, and who has it in hand.
SELECT
    e.id, e.incident_no, e.class, e.state, e.review, e.review_reason, w.false_cause, e.reviewed_by, e.reviewed_at,
    e.first_seen_at, e.last_seen_at, e.opened_at, e.closed_at, e.peak_score, e.observation_count,
    e.camera_id, e.camera_name_zh, e.gb_id, e.site_id, e.key_risk_area_id, e.key_risk_area_zh, e.cell_code, e.town_code,
    e.town_zh, e.town_en, e.placing_method, e.semi_major_m, e.semi_minor_m, e.permit_id, e.evidence_id,
    ST_X(ST_Transform(e.geom, 4326)) AS lon, ST_Y(ST_Transform(e.geom, 4326)) AS lat,
    s.name_zh AS site_name_zh, s.address, r.place_type_zh, r.place_type_en, s.hazard_level, s.people,
    -- As in analysis.site: a visit that could not look is no check, and a self-check is the firm's own word.
    (
        SELECT max(v.done_at) FROM inspection.visit AS v
        WHERE v.site_id = s.id AND v.kind <> 'self_check' AND v.outcome <> 'unknown' AND v.done_at <= %(now)s
    ) AS last_check_at,
    (SELECT count(*) FROM watch.deletion AS d WHERE d.incident_id = e.id AND d.deleted_at IS NOT NULL) AS frames_deleted,
    h.login AS held_by, h.name_zh AS holder_zh, h.name_en AS holder_en, h.since AS held_since, h.db_role = access.caller() AS is_mine
FROM analysis.event AS e
JOIN watch.incident AS w ON w.id = e.id
LEFT JOIN registry.site AS s ON s.id = e.site_id
LEFT JOIN duty.rule AS r ON r.code = s.rule_code
LEFT JOIN watch.incident_hold AS h ON h.incident_id = e.id AND h.held_until > %(now)s
WHERE e.id = %(id)s
