-- Revision of the schema, the city, and the watch's last try.
SELECT
    (SELECT v.version_num FROM alembic_version AS v) AS revision,
    (SELECT c.code FROM territory.city AS c) AS city_code,
    (SELECT max(h.last_try_at) FROM watch.camera_health AS h) AS last_try_at
