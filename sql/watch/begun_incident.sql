-- A new incident, by its id so that a repeat is harmless; what its camera sees of it is written with it (incident_begun).
INSERT INTO watch.incident (
    id, class, camera_id, state, mode, first_seen_at, last_seen_at, opened_at, peak_score, model_hash, box, geom,
    placing_method, ellipse, semi_major_m, semi_minor_m, rotation_deg, cell_code, town_code, site_id,
    key_risk_area_id
)
VALUES (
    %(id)s, %(class)s, %(camera_id)s, %(state)s, %(mode)s, %(at)s, %(at)s, %(opened_at)s, %(score)s, %(model_hash)s,
    %(box)s, ST_SetSRID(ST_MakePoint(%(x)s, %(y)s), %(srid)s), %(method)s, ST_GeomFromText(%(ring)s, %(srid)s),
    %(semi_major_m)s, %(semi_minor_m)s, %(rotation_deg)s, %(cell_code)s, %(town_code)s, %(site_id)s,
    %(key_risk_area_id)s
)
RETURNING incident_no, review;
