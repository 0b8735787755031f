-- What the legend of the risk surfaces says: the kernel's radius, and when they were worked out.
SELECT
    CASE
        WHEN count(*) = 0 THEN '还没有算出：geoapp layers refresh'
        ELSE '核半径 ' || max(s.bandwidth_m) || ' 米；算于 ' || to_char(max(s.as_of) AT TIME ZONE (SELECT c.timezone FROM territory.city AS c), 'YYYY-MM-DD HH24:MI')
    END AS note_zh,
    CASE
        WHEN count(*) = 0 THEN 'Not worked out yet: geoapp layers refresh'
        ELSE 'Kernel radius ' || max(s.bandwidth_m) || ' m; worked out ' || to_char(max(s.as_of) AT TIME ZONE (SELECT c.timezone FROM territory.city AS c), 'YYYY-MM-DD HH24:MI')
    END AS note_en
FROM analysis.risk_surface AS s
