-- Whether the caller sees a hazard at all.
SELECT 1 AS seen FROM inspection.hazard AS h WHERE h.id = %(id)s
