DROP TRIGGER camera_health_event_bump ON watch.camera_health_event;
DELETE FROM territory.layer_version WHERE layer = 'camera_health';
DROP TABLE territory.no_cell_made_from;
DROP TABLE territory.no_cell_piece;
