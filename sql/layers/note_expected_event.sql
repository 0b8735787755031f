-- What the legend of the event surface says: the 28 days that it speaks of, or why there is none. Of a past day those from that day on.
SELECT
    CASE
        WHEN a.day IS NOT NULL THEN a.day || ' 起 28 天，由该日之前的事件算出；250 米方格'
        ELSE coalesce(m.not_known_zh, m.cut_day || ' 起 28 天；250 米方格', '还没有算出：geoapp layers refresh')
    END AS note_zh,
    CASE
        WHEN a.day IS NOT NULL THEN '28 days from ' || a.day || ', from the events before it; squares of 250 m'
        ELSE coalesce(m.not_known_en, '28 days from ' || m.cut_day || '; squares of 250 m', 'Not worked out yet: geoapp layers refresh')
    END AS note_en
FROM (SELECT analysis.city_date(%(moment)s::timestamptz) AS day) AS a LEFT JOIN analysis.expected_event_made AS m ON true
