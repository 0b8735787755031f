-- Pairs of sites for a person to decide on, oldest first, and how many there are.
SELECT m.*, count(*) OVER () AS in_all FROM analysis.import_merge AS m ORDER BY m.merge_id LIMIT %(most)s;
