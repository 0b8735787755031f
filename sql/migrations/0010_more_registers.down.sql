DELETE FROM territory.layer_version WHERE layer IN ('building', 'resource', 'reported_event');
DROP TABLE watch.reported_event, registry.resource, territory.building;
ALTER TABLE territory.base_feature DROP COLUMN local_id, DROP COLUMN width_m, DROP COLUMN batch_id;
ALTER TABLE inspection.hazard DROP COLUMN local_id, DROP COLUMN batch_id;
ALTER TABLE inspection.visit DROP COLUMN local_id, DROP COLUMN batch_id;
ALTER TABLE registry.hot_work_permit DROP COLUMN batch_id;
DROP INDEX registry.certificate_hash_idx;
-- The newest of several certificates under one number stays: that is all that the older schema can hold.
DELETE FROM registry.certificate AS c USING registry.certificate AS n
WHERE n.certificate_hash = c.certificate_hash AND n.id > c.id;
ALTER TABLE registry.certificate
DROP COLUMN local_id, DROP COLUMN batch_id, ADD CONSTRAINT certificate_certificate_hash_key UNIQUE (certificate_hash);
ALTER TABLE duty.unit_staff DROP COLUMN local_id, DROP COLUMN is_generated, DROP COLUMN batch_id;
ALTER TABLE duty.grid_staff DROP COLUMN local_id, DROP COLUMN is_generated, DROP COLUMN batch_id;
ALTER TABLE duty.assignment DROP COLUMN local_id, DROP COLUMN is_generated, DROP COLUMN batch_id;
ALTER TABLE duty.person DROP COLUMN local_id, DROP COLUMN batch_id;
