-- Rows of the outbox that the maps of one scope may not have heard of, and whose scope it is that reads them. An id is taken
-- before its transaction commits, so a lower id can appear after a higher one: the last minute is looked at again and the
-- listener drops what it has told already. Without a row to tell there is one row with the scope alone.
WITH reader AS MATERIALIZED (
    SELECT
        m.roles, m.scope,
        ARRAY(SELECT a.area_code FROM access.my_area AS a ORDER BY a.area_code) AS areas,
        ARRAY(SELECT s.site_id FROM access.my_site AS s ORDER BY s.site_id) AS sites
    FROM access.my_account AS m
)
SELECT r.roles, r.scope, r.areas, r.sites, o.id, o.topic, o.payload, o.created_at
FROM reader AS r
LEFT JOIN watch.outbox AS o
    ON o.id > %(after)s OR (o.id > %(after)s - 200 AND o.created_at > now() - interval '1 minute' AND o.id > %(floor)s)
ORDER BY o.id
LIMIT %(limit)s
