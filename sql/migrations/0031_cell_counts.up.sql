-- Kept with the scores, so that a map of the whole city adds up cells instead of a million sites: when a site was last checked, and
-- how many sites of a cell there are by what a map shows of them. Whoever keeps scores next fills them: the definitions have changed.

ALTER TABLE registry.site_risk ADD COLUMN checked_at timestamptz;
COMMENT ON COLUMN registry.site_risk.checked_at IS 'Newest visit, remote check or self-check by then whose outcome is known; NULL = never checked.';

DELETE FROM registry.risk_made_from;
DELETE FROM registry.cell_risk;
ALTER TABLE registry.cell_risk
    ADD COLUMN red_count integer NOT NULL,
    ADD COLUMN orange_count integer NOT NULL,
    ADD COLUMN yellow_count integer NOT NULL,
    ADD COLUMN no_data_count integer NOT NULL,
    ADD COLUMN no_owner_count integer NOT NULL,
    ADD COLUMN blue_count integer NOT NULL,
    ADD COLUMN missing_count integer NOT NULL,
    ADD COLUMN two_leads_count integer NOT NULL,
    ADD COLUMN disputed_count integer NOT NULL,
    ADD COLUMN proposed_count integer NOT NULL,
    ADD COLUMN no_person_count integer NOT NULL,
    ADD COLUMN duty_gap_site_id bigint,
    ADD COLUMN unseen_count integer NOT NULL,
    ADD COLUMN overdue_count integer NOT NULL,
    ADD COLUMN overdue_site_id bigint,
    ADD COLUMN mean_x double precision NOT NULL,
    ADD COLUMN mean_y double precision NOT NULL;
COMMENT ON COLUMN registry.cell_risk.red_count IS 'Sites by what a map shows (analysis.risk_look); the six add up to site_count.';
COMMENT ON COLUMN registry.cell_risk.missing_count IS 'Sites by the standing of their lead (analysis.duty_state); the others are settled.';
COMMENT ON COLUMN registry.cell_risk.duty_gap_site_id IS 'The first of the sites whose lead is not settled.';
COMMENT ON COLUMN registry.cell_risk.unseen_count IS 'Orange and red sites that no online camera sees.';
COMMENT ON COLUMN registry.cell_risk.overdue_count IS 'Sites whose next check is overdue (analysis.site_check).';
COMMENT ON COLUMN registry.cell_risk.overdue_site_id IS 'The first of the sites whose check is overdue.';
COMMENT ON COLUMN registry.cell_risk.mean_x IS 'Mean place of its sites, metres of EPSG:3857.';

-- Which cameras are online is asked with every score: by this index alone, not by a table full of shapes. (The cast is what is left of
-- a view's column; without it the index is not found.)
CREATE INDEX camera_online_idx ON registry.camera (id, is_connected, enabled, installed_on, retired_on) WHERE sector::geometry IS NOT NULL;
