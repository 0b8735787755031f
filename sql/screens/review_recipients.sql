-- Departments, then people to whom a lead may be given; people who answer near the place first.
SELECT n.kind, n.id, n.name_zh, n.name_en, n.note FROM (
    SELECT 'department' AS kind, d.code AS id, d.name_zh, d.name_en, d.phone AS note, 1 AS place
    FROM duty.department AS d
    UNION ALL
    SELECT 'person', p.id::text, p.name_zh, '', coalesce(d.name_zh, u.name_zh),
        CASE
            WHEN EXISTS (SELECT FROM duty.grid_staff AS g WHERE g.person_id = p.id AND g.cell_code = i.cell_code) THEN 0
            WHEN p.unit_code IN (left(i.cell_code, 12), i.town_code) THEN 2
            ELSE 3
        END
    FROM watch.incident AS i
    CROSS JOIN duty.person AS p
    LEFT JOIN duty.department AS d ON d.code = p.department_code
    LEFT JOIN territory.unit AS u ON u.code = p.unit_code
    WHERE i.id = %(id)s
) AS n
ORDER BY n.place, n.name_zh, n.id
LIMIT 400
