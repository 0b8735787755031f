-- Where a batch's problems lie: longitude and latitude (WGS84) of each row that was kept aside, repaired or warned of, once
-- for each kind; up to `most` of them, rows that were kept aside first.
WITH
problem AS (
    SELECT 1 AS rank, 'rejected' AS kind, r.row_no, r.reason_code, r.reason_zh, r.reason_en, r.place
    FROM staging.rejected AS r WHERE r.batch_id = %(batch_id)s
    UNION ALL
    SELECT 2, 'warning', w.row_no, w.reason_code, w.reason_zh, w.reason_en, w.place
    FROM staging.warning AS w WHERE w.batch_id = %(batch_id)s
    UNION ALL
    SELECT 3, 'repaired', m.row_no, m.reason_code, m.reason_zh, m.reason_en, m.place
    FROM staging.repaired AS m WHERE m.batch_id = %(batch_id)s
),
by_row AS (
    SELECT
        p.rank, p.kind, p.row_no, (array_agg(p.place))[1] AS place,
        string_agg(DISTINCT p.reason_zh, '；') AS zh, string_agg(DISTINCT p.reason_en, '; ') AS en
    FROM problem AS p
    GROUP BY p.rank, p.kind, p.row_no
)
SELECT
    b.kind, b.row_no, b.zh, b.en,
    ST_X(ST_Transform(b.place, 4326)) AS lon, ST_Y(ST_Transform(b.place, 4326)) AS lat,
    count(*) OVER () AS rows_in_all, count(b.place) OVER () AS rows_with_place
FROM by_row AS b
ORDER BY (b.place IS NULL), b.rank, b.row_no
LIMIT %(most)s;
