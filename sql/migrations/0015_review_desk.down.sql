DELETE FROM watch.outbox WHERE topic = 'review';
DROP TABLE watch.handover_receipt, watch.handover, watch.incident_assignment, watch.incident_hold;
DROP FUNCTION watch.handover_received, watch.handover_written, watch.incident_assigned, watch.tell_hold, watch.incident_held;
DROP INDEX watch.incident_unreviewed_idx, watch.incident_reviewed_idx;
ALTER TABLE watch.incident DROP COLUMN false_cause;
