-- When the watch last tried to look through any camera; NULL = it never has.
SELECT max(h.last_try_at) AS last_try_at FROM watch.camera_health AS h
