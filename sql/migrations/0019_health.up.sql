-- What is kept of a camera's pictures goes with the camera, not with a process: any process may do the next look.
ALTER TABLE watch.camera_health
ADD COLUMN detail text,
ADD COLUMN notes text[] NOT NULL DEFAULT '{}',
ADD COLUMN clock_offset_s real,
ADD COLUMN picture jsonb;
COMMENT ON TABLE watch.camera_health IS 'Whether a camera can be looked through now, since when, and what is kept of its pictures.';
COMMENT ON COLUMN watch.camera_health.detail IS 'The numbers behind the reason or a new note of the newest look.';
COMMENT ON COLUMN watch.camera_health.notes IS 'What is on record of a camera that may be looked through all the same: night_mode (a grey, infrared picture), clock_off.';
COMMENT ON COLUMN watch.camera_health.clock_offset_s IS 'The camera''s clock minus ours when it last said, seconds.';
COMMENT ON COLUMN watch.camera_health.picture IS 'A fingerprint of the newest picture and what is usual for the camera (sharpness by light, fields with outlines). NULL = not known; the next looks make it anew.';
ALTER TABLE watch.camera_health_event
ADD COLUMN detail text,
ADD COLUMN notes text[] NOT NULL DEFAULT '{}';
COMMENT ON TABLE watch.camera_health_event IS 'Each change of a camera''s health: of whether and why it cannot be looked through, or of its notes.';
-- How it stood at a moment: the newest change before.
CREATE INDEX camera_health_event_camera_idx ON watch.camera_health_event (camera_id, at);
