-- National numbers that no camera has.
SELECT g.gb_id
FROM unnest(%(gb_ids)s::text[]) AS g (gb_id)
WHERE NOT EXISTS (SELECT FROM registry.camera AS c WHERE c.gb_id = g.gb_id)
ORDER BY g.gb_id;
