-- An incident placed anew by a better look at it.
UPDATE watch.incident AS i
SET
    geom = ST_SetSRID(ST_MakePoint(%(x)s, %(y)s), %(srid)s),
    placing_method = %(method)s,
    ellipse = ST_GeomFromText(%(ring)s, %(srid)s),
    semi_major_m = %(semi_major_m)s,
    semi_minor_m = %(semi_minor_m)s,
    rotation_deg = %(rotation_deg)s,
    cell_code = %(cell_code)s,
    town_code = %(town_code)s,
    site_id = %(site_id)s,
    key_risk_area_id = %(key_risk_area_id)s
WHERE i.id = %(id)s
RETURNING i.incident_no;
