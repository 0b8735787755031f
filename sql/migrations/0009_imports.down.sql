DROP FUNCTION registry.keep_sites_apart, registry.merge_sites, registry.open_merge;
DROP TABLE registry.site_alias, registry.site_merge;
ALTER TABLE duty.rule DROP COLUMN batch_id;
ALTER TABLE duty.department DROP COLUMN batch_id;
DROP TABLE staging.change, staging.warning, staging.repaired;
ALTER TABLE staging.rejected DROP COLUMN fix_zh, DROP COLUMN fix_en, DROP COLUMN place;
ALTER TABLE staging.batch
DROP COLUMN load_id, DROP COLUMN rows_warned, DROP COLUMN rows_new, DROP COLUMN rows_changed, DROP COLUMN rows_gone,
DROP COLUMN rows_moved, DROP COLUMN columns_used, DROP COLUMN file_columns, DROP COLUMN is_correction, DROP COLUMN encoding_evidence, DROP COLUMN frame_from, DROP COLUMN notices, DROP COLUMN rolled_back_at, DROP COLUMN rolled_back_by;
DROP FUNCTION staging.is_held;
DROP TABLE staging.load;
