DROP FUNCTION watch.end_deletion(uuid, timestamptz, boolean), watch.may_delete(uuid), watch.begin_deletions(timestamptz, integer),
watch.due_deletions(timestamptz);
DROP TRIGGER evidence_held ON watch.evidence;
DROP TRIGGER evidence_held_all ON watch.evidence;
DROP TRIGGER incident_held ON watch.incident;
DROP TABLE watch.evidence_room, watch.deletion, watch.legal_hold, watch.retention_policy;
DROP FUNCTION watch.keep_held(), watch.hold_written(), watch.policy_changed(), watch.is_held(uuid);
-- Where no file was kept there was no row before.
DELETE FROM watch.evidence WHERE not_kept IS NOT NULL;
ALTER TABLE watch.evidence
DROP CONSTRAINT evidence_kept_or_not,
DROP COLUMN not_kept,
ALTER COLUMN sha256 SET NOT NULL,
ALTER COLUMN path SET NOT NULL;
