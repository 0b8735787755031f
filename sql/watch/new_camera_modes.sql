-- Modes set for cameras by their national numbers; one row a camera. Numbers that are in no row are not known.
INSERT INTO watch.camera_mode (camera_id, class, mode, reason, set_at, set_by)
SELECT c.id, %(class)s, %(mode)s, %(reason)s, %(at)s, %(by)s
FROM registry.camera AS c
WHERE c.gb_id = ANY (%(gb_ids)s::text[])
ORDER BY c.gb_id
RETURNING camera_id;
