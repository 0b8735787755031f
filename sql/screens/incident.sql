-- One lead with its newest frame.
SELECT
    e.*, f.boxes, f.width_px, f.height_px, f.captured_at, p.permit_no,
    ST_X(ST_Transform(e.geom, 4326)) AS lon, ST_Y(ST_Transform(e.geom, 4326)) AS lat
FROM analysis.event AS e
LEFT JOIN watch.evidence AS f ON f.id = e.evidence_id
LEFT JOIN registry.hot_work_permit AS p ON p.id = e.permit_id
WHERE e.id = %(id)s
