-- What the legend of the event surface says: the 28 days that it speaks of, that they are over, or why there is none. Of a past
-- day those from that day on.
SELECT
    CASE
        WHEN a.day IS NOT NULL THEN a.day || ' 起 28 天，由该日之前的事件算出；250 米方格'
        WHEN m.cut_day IS NULL THEN '还没有算出：geoapp layers refresh'
        WHEN m.not_known_zh <> '' THEN m.not_known_zh
        ELSE m.cut_day || ' 起 28 天；250 米方格' || CASE WHEN m.is_over THEN '；这 28 天已过，请运行 geoapp layers refresh' ELSE '' END
    END AS note_zh,
    CASE
        WHEN a.day IS NOT NULL THEN '28 days from ' || a.day || ', from the events before it; squares of 250 m'
        WHEN m.cut_day IS NULL THEN 'Not worked out yet: geoapp layers refresh'
        WHEN m.not_known_en <> '' THEN m.not_known_en
        ELSE '28 days from ' || m.cut_day || '; squares of 250 m' || CASE WHEN m.is_over THEN '; these days are over: run geoapp layers refresh' ELSE '' END
    END AS note_en
FROM (SELECT analysis.city_date(%(moment)s::timestamptz) AS day) AS a
LEFT JOIN (
    SELECT e.cut_day, e.not_known_zh, e.not_known_en, e.cut_day + 28 <= analysis.city_date(now()) AS is_over FROM analysis.expected_event_made AS e
) AS m ON true
