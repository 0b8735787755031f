-- Masks of a camera that hold at a moment.
SELECT m.id, m.class, m.polygon
FROM watch.mask AS m
WHERE m.camera_id = %(camera_id)s AND m.state = 'active' AND m.until > %(at)s
ORDER BY m.id;
