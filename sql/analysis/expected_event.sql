-- needs: parameter
-- Where the next events are to be expected, as geoapp layers refresh worked it out (layers/event_surface.py).
CREATE VIEW analysis.expected_event AS
SELECT
    e.place, e.town_code, e.cell_code, e.share, e.expected, e.tenth,
    CASE WHEN e.tenth <= 3 THEN (ARRAY['first', 'second', 'third'])[e.tenth] WHEN e.tenth <= 5 THEN 'to_half' ELSE 'rest' END AS band,
    m.cut_day, m.made_at, e.geom, e.geom_3857
FROM watch.expected_event AS e
CROSS JOIN (SELECT d.cut_day, d.made_at FROM watch.expected_event_made AS d) AS m;
COMMENT ON VIEW analysis.expected_event IS '未来 28 天事件预期（250 米方格）; events to be expected in each square of 250 m in the 28 days from cut_day on, from the city''s own events before it. No rows: see analysis.expected_event_made.';
COMMENT ON COLUMN analysis.expected_event.share IS 'Share of the district''s events of the 28 days to be expected in the square.';
COMMENT ON COLUMN analysis.expected_event.expected IS 'Their number: the share times the mean number of events in 28 days of the year before cut_day (of all days on record where they are fewer).';
COMMENT ON COLUMN analysis.expected_event.tenth IS 'Which tenth of the district''s squares, 1 = where most is expected.';

CREATE VIEW analysis.expected_event_made AS
SELECT m.made_at, m.cut_day, m.not_known_zh, m.not_known_en FROM watch.expected_event_made AS m;
COMMENT ON VIEW analysis.expected_event_made IS '事件预期面由何时的事件算出，或为何没有; when the event surface was worked out and up to which day, or why there is none.';
