-- How a camera's boxes count: for each class with a setting the newest one, of the class or of all classes.
SELECT DISTINCT ON (c.class) c.class, m.mode
FROM unnest(%(classes)s::text[]) AS c (class)
JOIN watch.camera_mode AS m ON m.camera_id = %(camera_id)s AND (m.class IS NULL OR m.class = c.class)
ORDER BY c.class, m.id DESC;
