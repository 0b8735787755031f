-- What the legend of the event surface says: the 28 days that it speaks of, or why there is none.
SELECT
    coalesce(m.not_known_zh, m.cut_day || ' 起 28 天；250 米方格', '还没有算出：geoapp layers refresh') AS note_zh,
    coalesce(m.not_known_en, '28 days from ' || m.cut_day || '; squares of 250 m', 'Not worked out yet: geoapp layers refresh') AS note_en
FROM (SELECT 1) AS always LEFT JOIN analysis.expected_event_made AS m ON true
