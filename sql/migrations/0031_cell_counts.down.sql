DROP INDEX registry.camera_online_idx;
DELETE FROM registry.risk_made_from;
ALTER TABLE registry.cell_risk
    DROP COLUMN red_count, DROP COLUMN orange_count, DROP COLUMN yellow_count, DROP COLUMN no_data_count, DROP COLUMN no_owner_count,
    DROP COLUMN blue_count, DROP COLUMN missing_count, DROP COLUMN two_leads_count, DROP COLUMN disputed_count,
    DROP COLUMN proposed_count, DROP COLUMN no_person_count, DROP COLUMN duty_gap_site_id, DROP COLUMN unseen_count,
    DROP COLUMN overdue_count, DROP COLUMN overdue_site_id, DROP COLUMN mean_x, DROP COLUMN mean_y;
ALTER TABLE registry.site_risk DROP COLUMN checked_at;
