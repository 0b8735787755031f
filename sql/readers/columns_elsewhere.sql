-- The columns of a table or view in a database that is not ours, in order: name, type, SRID where the type says it,
-- and the place in the primary key (null outside it).
SELECT a.attname AS name,
       t.typname AS type,
       CASE WHEN t.typname IN ('geometry', 'geography') AND a.atttypmod >= 0
            -- The SRID's bits of a PostGIS typmod, read without calling a function that may be elsewhere.
            THEN nullif(((a.atttypmod & 268435200) - (a.atttypmod & 268435456)) >> 8, 0)
       END AS srid,
       array_position(i.indkey::int2[], a.attnum) AS key_place
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = to_regclass(%(table)s)
  AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY a.attnum
