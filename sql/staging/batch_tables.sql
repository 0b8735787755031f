-- Tables that imports write (they have a batch_id), each after those that refer to it: in this order rows can be deleted.
WITH RECURSIVE
import_table AS (
    SELECT a.attrelid AS oid FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r'
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE a.attname = 'batch_id' AND NOT a.attisdropped
        AND n.nspname IN ('territory', 'registry', 'duty', 'watch', 'inspection')
        AND c.relname NOT IN ('site_merge')
),
refers AS (
    SELECT DISTINCT k.conrelid AS oid, k.confrelid AS to_oid FROM pg_constraint AS k
    WHERE k.contype = 'f' AND k.conrelid <> k.confrelid
        AND k.conrelid IN (SELECT oid FROM import_table) AND k.confrelid IN (SELECT oid FROM import_table)
),
-- how far a table is from one that nobody refers to
depth AS (
    SELECT t.oid, 0 AS level FROM import_table AS t
    UNION
    SELECT r.to_oid, d.level + 1 FROM depth AS d JOIN refers AS r ON r.oid = d.oid WHERE d.level < 20
)
SELECT
    n.nspname || '.' || c.relname AS name,
    (
        SELECT a.attname FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = d.oid AND i.indisprimary
    ) AS row_id,
    ARRAY(
        SELECT a.attname::text FROM pg_attribute AS a
        WHERE a.attrelid = d.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
        ORDER BY a.attnum
    ) AS columns
FROM (SELECT oid, max(level) AS level FROM depth GROUP BY oid) AS d
JOIN pg_class AS c ON c.oid = d.oid JOIN pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY d.level, name;
