-- Leases of this process given back unused: at a clean stop, and after the database was away. The due time stays.
UPDATE watch.scan_due AS d
SET lease_owner = NULL, lease_until = NULL
WHERE d.lease_owner = %(owner)s AND d.lease_until IS NOT NULL
RETURNING d.camera_id;
