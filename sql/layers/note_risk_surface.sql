-- What the legend of the risk surfaces says: the kernel's radius, and when they were worked out or of which past moment they are.
SELECT
    CASE
        WHEN a.moment IS NOT NULL THEN '核半径 ' || analysis.parameter_value('risk_bandwidth_m') || ' 米；截至 ' || a.said
        WHEN a.moment IS NULL AND k.as_of IS NULL THEN '还没有算出：geoapp layers refresh'
        ELSE '核半径 ' || k.bandwidth_m || ' 米；算于 ' || a.said
    END AS note_zh,
    CASE
        WHEN a.moment IS NOT NULL THEN 'Kernel radius ' || analysis.parameter_value('risk_bandwidth_m') || ' m; as of ' || a.said
        WHEN a.moment IS NULL AND k.as_of IS NULL THEN 'Not worked out yet: geoapp layers refresh'
        ELSE 'Kernel radius ' || k.bandwidth_m || ' m; worked out ' || a.said
    END AS note_en
FROM (SELECT max(s.bandwidth_m) AS bandwidth_m, max(s.as_of) AS as_of FROM analysis.risk_surface AS s) AS k
CROSS JOIN LATERAL (
    SELECT
        %(moment)s::timestamptz AS moment,
        to_char(
            coalesce(%(moment)s::timestamptz, k.as_of) AT TIME ZONE (SELECT c.timezone FROM territory.city AS c), 'YYYY-MM-DD HH24:MI'
        ) AS said
) AS a
