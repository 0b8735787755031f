-- needs: event
-- From the moment a lead was opened to a person's word on it.
CREATE VIEW analysis.incident_review_time AS
SELECT
    e.id AS incident_id, e.incident_no, e.class, e.review, e.town_code, e.reviewed_by, e.opened_at, e.reviewed_at,
    extract(epoch FROM e.reviewed_at - e.opened_at)::double precision AS seconds
FROM analysis.event AS e
WHERE e.review <> 'unreviewed' AND e.reviewed_at >= e.opened_at;
COMMENT ON VIEW analysis.incident_review_time IS '每起线索从发现到核实的时间（秒）; seconds from opened to reviewed, one row per reviewed incident.';

CREATE FUNCTION analysis.review_time_between(since timestamptz, until timestamptz) RETURNS TABLE (
    class text, reviewed_by text, reviewed bigint, median_s double precision, p90_s double precision
) LANGUAGE sql STABLE AS $$
    SELECT
        t.class, t.officer, count(*),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY t.seconds),
        percentile_cont(0.9) WITHIN GROUP (ORDER BY t.seconds)
    FROM (
        SELECT r.class, coalesce(r.reviewed_by, '') AS officer, r.seconds
        FROM analysis.incident_review_time AS r
        WHERE r.reviewed_at >= since AND r.reviewed_at < until
    ) AS t
    GROUP BY GROUPING SETS ((), (t.class), (t.officer), (t.class, t.officer))
    HAVING count(*) > 0
$$;
CREATE VIEW analysis.review_time AS SELECT * FROM analysis.review_time_between('-infinity', 'infinity');
COMMENT ON FUNCTION analysis.review_time_between IS '某时段内的核实用时：按类别、值班员; time to verify between two moments by class and officer, as analysis.review_time.';
COMMENT ON VIEW analysis.review_time IS '核实用时：按类别、值班员的中位数与 90 分位; time to verify by class and officer: median and 90th percentile, seconds.';
COMMENT ON COLUMN analysis.review_time.class IS 'NULL = all classes together.';
COMMENT ON COLUMN analysis.review_time.reviewed_by IS 'Login; NULL = all officers together, empty = nobody is named.';
