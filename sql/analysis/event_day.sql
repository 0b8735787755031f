-- needs: own_area
-- Of units that the reader sees only a part of there is no row: a part would look like the whole.
CREATE VIEW analysis.event_day AS
SELECT e.day, e.class, e.town_code, e.community_code, sum(e.n) AS n
FROM (
    SELECT d.day, d.class, d.town_code, d.community_code, d.n FROM watch.event_day AS d
    UNION ALL
    SELECT c.day, c.class, c.town_code, c.community_code, c.n FROM watch.event_change AS c
) AS e
WHERE (SELECT analysis.sees_all()) OR ARRAY[e.town_code, e.community_code] && ARRAY(SELECT w.code FROM analysis.whole_unit AS w)
GROUP BY 1, 2, 3, 4
HAVING sum(e.n) <> 0;
COMMENT ON VIEW analysis.event_day IS '每日事件数，按类别、乡镇、社区; events by day (the city''s, of first_seen_at), class, town and community; false alarms left out, an empty text = in none.';

CREATE VIEW analysis.event_cell_day AS
SELECT e.day, e.class, e.town_code, e.community_code, e.cell_code, sum(e.n) AS n
FROM (
    SELECT d.day, d.class, d.town_code, d.community_code, u.cell_code, u.n
    FROM watch.event_day AS d CROSS JOIN LATERAL unnest(d.cell_code, d.cell_n) AS u (cell_code, n)
    UNION ALL
    SELECT c.day, c.class, c.town_code, c.community_code, c.cell_code, c.n FROM watch.event_change AS c
) AS e
WHERE (SELECT analysis.sees_all()) OR ARRAY[e.town_code, e.community_code] && ARRAY(SELECT w.code FROM analysis.whole_unit AS w)
GROUP BY 1, 2, 3, 4, 5
HAVING sum(e.n) <> 0;
COMMENT ON VIEW analysis.event_cell_day IS '每日事件数，按网格和类别; events by grid cell, day and class. Ask with a day and a town or community: then an index finds them.';
