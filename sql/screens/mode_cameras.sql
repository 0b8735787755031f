-- Cameras that a filter finds, with their mode of each class: those with most false alarms first. NULL parameters do not
-- limit; class and mode go together: a camera is found where the class (any) has the mode (any). is_own: stands in the
-- caller's area, so that the caller may set it (policy own_cameras_set); the others only look into it.
WITH wanted AS (
    SELECT
        m.camera_id, m.gb_id, m.camera_name_zh, m.town_code, m.has_pose,
        (SELECT a.scope FROM access.my_account AS a) = 'district'
            OR ARRAY[c.town_code, left(c.cell_code, 9) || '000', left(c.cell_code, 12)] && (SELECT access.areas_of_caller())::text[] AS is_own
    FROM analysis.camera_mode AS m
    JOIN registry.camera AS c ON c.id = m.camera_id
    WHERE (c.retired_on IS NULL OR c.retired_on > analysis.city_date(%(at)s))
        AND (%(town)s::text IS NULL OR m.town_code = %(town)s)
        AND (%(like)s::text IS NULL OR m.camera_name_zh ILIKE %(like)s OR m.gb_id ILIKE %(like)s)
        AND (%(class)s::text IS NULL OR m.class = %(class)s)
        AND (%(mode)s::text IS NULL OR m.mode = %(mode)s)
    GROUP BY 1, 2, 3, 4, 5, 6
),
found AS (
    SELECT f.camera_id, sum(f.false_alarms) AS false_alarms
    FROM analysis.found_by_camera(%(since)s, %(at)s) AS f
    GROUP BY 1
)
SELECT
    w.camera_id, w.gb_id, w.camera_name_zh, w.town_code, u.name_zh AS town_zh, u.name_en AS town_en, w.has_pose,
    coalesce(w.is_own, false) AS is_own, count(*) OVER () AS in_all, count(*) FILTER (WHERE w.is_own) OVER () AS own_in_all
FROM wanted AS w
LEFT JOIN found AS f ON f.camera_id = w.camera_id
LEFT JOIN territory.unit AS u ON u.code = w.town_code
ORDER BY coalesce(f.false_alarms, 0) DESC, w.camera_name_zh, w.camera_id
LIMIT %(most)s OFFSET %(skip)s;
