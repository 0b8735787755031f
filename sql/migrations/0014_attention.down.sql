DROP TRIGGER mask_proposed ON watch.incident;
DROP TRIGGER incident_ended ON watch.incident;
DROP TRIGGER incident_begun ON watch.incident;
DROP TABLE watch.set_aside_hour, watch.mask, watch.camera_mode, watch.incident_camera;
DROP FUNCTION watch.mask_proposed, watch.incident_ended, watch.incident_begun;
DROP INDEX watch.incident_live_geom_idx;
-- Before modes every incident was told of: what was kept apart is not.
DELETE FROM watch.evidence AS e USING watch.incident AS i WHERE i.id = e.incident_id AND i.mode = 'shadow';
DELETE FROM watch.incident_observation AS s USING watch.incident AS i WHERE i.id = s.incident_id AND i.mode = 'shadow';
DELETE FROM watch.incident WHERE mode = 'shadow';
ALTER TABLE watch.incident DROP COLUMN mode;
