DROP TABLE watch.outbox, watch.camera_health_event, watch.camera_health, watch.evidence,
watch.incident_observation, watch.incident, watch.observation_hour, watch.observation, watch.scan_due;
DROP FUNCTION watch.tell_live();
