-- What is set for cameras: the newest row of a camera and class, or all there were.
WITH ranked AS (
    SELECT m.*, row_number() OVER (PARTITION BY m.camera_id, m.class ORDER BY m.id DESC) AS place
    FROM watch.camera_mode AS m
)
SELECT c.gb_id, c.name_zh, r.class, r.mode, r.reason, r.set_at, r.set_by
FROM ranked AS r
JOIN registry.camera AS c ON c.id = r.camera_id
WHERE (%(gb_ids)s::text[] IS NULL OR c.gb_id = ANY (%(gb_ids)s::text[]))
    AND (%(history)s OR r.place = 1)
ORDER BY c.gb_id, r.id DESC;
