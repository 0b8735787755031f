DROP INDEX watch.scan_due_claim_idx;
CREATE INDEX scan_due_next_idx ON watch.scan_due (next_due_at);
