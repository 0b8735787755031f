-- Cameras of one place in one hour that did not see a picture at every due look, the worst first.
SELECT h.camera_id, h.gb_id, c.name_zh, h.state, h.due, h.observed, h.unobserved, h.reasons
FROM analysis.observation_hours(%(hour)s, %(hour)s + interval '1 hour', %(moment)s) AS h
JOIN registry.camera AS c ON c.id = h.camera_id
WHERE h.state <> 'looked'
    AND CASE %(kind)s
        WHEN 'town' THEN coalesce(c.town_code, '') = %(place)s
        WHEN 'site' THEN coalesce(c.site_id::text, '') = %(place)s
        WHEN 'camera' THEN c.id::text = %(place)s
        ELSE EXISTS (
            SELECT FROM registry.key_risk_area AS a
            WHERE a.id::text = %(place)s AND a.status = 'active' AND ST_Intersects(a.geom, c.ground)
        )
    END
    AND (%(town)s::text IS NULL OR c.town_code = %(town)s)
ORDER BY
    array_position(ARRAY['blind', 'partly', 'not_known', 'not_connected', 'not_due'], h.state),
    h.observed::double precision / nullif(h.due, 0), h.gb_id
LIMIT %(limit)s
