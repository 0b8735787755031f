-- The changes that one message tells of, in their order.
SELECT d.id, d.topic, d.transition, d.class, d.payload, d.camera_id, d.happened_at, c.name_zh AS camera_zh, c.gb_id
FROM watch.delivery AS d
LEFT JOIN registry.camera AS c ON c.id = d.camera_id
WHERE d.id = %(id)s OR d.joined_into = %(id)s
ORDER BY d.happened_at, d.id;
