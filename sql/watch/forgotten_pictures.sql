-- Cameras of whose pictures nothing is kept any more. A look on its way is lost with its token: it would write back what
-- it had learned from.
WITH camera AS (
    SELECT c.id, c.gb_id FROM registry.camera AS c WHERE c.gb_id = ANY(%(gb_ids)s::text[])
),
fenced AS (
    UPDATE watch.scan_due AS d
    SET lease_token = d.lease_token + 1, lease_owner = NULL, lease_until = NULL
    FROM camera AS c
    WHERE d.camera_id = c.id
    RETURNING d.camera_id
),
forgotten AS (
    UPDATE watch.camera_health AS h
    SET picture = NULL
    FROM camera AS c
    WHERE h.camera_id = c.id
    RETURNING h.camera_id
)
SELECT c.gb_id, EXISTS (SELECT FROM forgotten AS f WHERE f.camera_id = c.id) AS was_known FROM camera AS c ORDER BY c.gb_id;
