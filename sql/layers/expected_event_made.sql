-- Notes what the event surface was made from, or why there is none, and that its layer is new.
WITH bumped AS (
    INSERT INTO territory.layer_version AS v (layer) VALUES ('expected_event')
    ON CONFLICT (layer) DO UPDATE SET version = v.version + 1, changed_at = now()
)
INSERT INTO watch.expected_event_made AS m (made_at, cut_day, events, first_day, expected, not_known_zh, not_known_en)
VALUES (now(), %(cut_day)s, %(events)s, %(first_day)s, %(expected)s, %(zh)s, %(en)s)
ON CONFLICT (only_row) DO UPDATE SET
    made_at = excluded.made_at, cut_day = excluded.cut_day, events = excluded.events, first_day = excluded.first_day,
    expected = excluded.expected, not_known_zh = excluded.not_known_zh, not_known_en = excluded.not_known_en
