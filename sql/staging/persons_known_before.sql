-- A person who was written down by hand gets the key of the file that names the same name and phone.
WITH given AS (
    SELECT DISTINCT ON (g.local_id) g.*
    FROM unnest(%(local_id)s::text[], %(name_zh)s::text[], %(phone)s::text[]) AS g (local_id, name_zh, phone)
    WHERE g.phone IS NOT NULL
),
same AS (
    SELECT DISTINCT ON (g.local_id) p.id, g.local_id
    FROM given AS g
    JOIN duty.person AS p ON p.name_zh = g.name_zh AND p.phone = g.phone
    WHERE p.local_id IS NULL AND NOT p.is_generated
        AND NOT EXISTS (SELECT FROM duty.person AS k WHERE k.local_id = g.local_id)
    ORDER BY g.local_id, p.id
)
UPDATE duty.person AS p SET local_id = s.local_id FROM same AS s WHERE p.id = s.id
