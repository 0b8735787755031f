-- Claims take cameras of key risk areas first, then the most overdue: in the order of one index, or each claim of an
-- overloaded watch would sort all that is due (a tenth of a second for 100,000 cameras).
DROP INDEX watch.scan_due_next_idx;
CREATE INDEX scan_due_claim_idx ON watch.scan_due (is_priority DESC, next_due_at);
