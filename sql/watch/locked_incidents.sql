-- Live incidents that a camera's look may change, locked for this transaction, always in the same order: those that it sees,
-- and those of any camera near its hits. Their rows are read by a statement of its own, after the waiting.
WITH wanted AS (
    SELECT v.incident_id AS id
    FROM watch.incident_camera AS v
    WHERE v.camera_id = %(camera_id)s AND v.ended_at IS NULL
    UNION
    SELECT i.id
    FROM unnest(%(x)s::float8[], %(y)s::float8[]) AS h (x, y)
    JOIN watch.incident AS i ON i.state <> 'closed'
        AND ST_DWithin(i.geom, ST_SetSRID(ST_MakePoint(h.x, h.y), %(srid)s::integer), %(reach_m)s::float8)
)
SELECT i.id
FROM wanted AS w
JOIN watch.incident AS i ON i.id = w.id
WHERE i.state <> 'closed'
ORDER BY i.id
FOR UPDATE OF i;
