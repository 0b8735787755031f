DROP INDEX watch.camera_health_event_camera_idx;
COMMENT ON TABLE watch.camera_health_event IS NULL;
ALTER TABLE watch.camera_health_event DROP COLUMN detail, DROP COLUMN notes;
COMMENT ON TABLE watch.camera_health IS NULL;
ALTER TABLE watch.camera_health
DROP COLUMN detail,
DROP COLUMN notes,
DROP COLUMN clock_offset_s,
DROP COLUMN picture;
