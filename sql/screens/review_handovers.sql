-- Handovers of the last two weeks, newest first, with who has received each.
SELECT
    h.id, h.note, h.shift_from, h.written_at, h.written_by, h.writer_zh, h.writer_en, h.figures,
    coalesce(r.receipts, '[]') AS receipts,
    h.written_by = (SELECT m.login FROM access.my_account AS m) AS is_mine,
    coalesce(r.has_mine, false) AS is_received
FROM watch.handover AS h
LEFT JOIN LATERAL (
    SELECT
        jsonb_agg(jsonb_build_object('login', v.received_by, 'name_zh', v.receiver_zh, 'name_en', v.receiver_en, 'at', v.received_at)
            ORDER BY v.received_at) AS receipts,
        bool_or(v.received_by = (SELECT m.login FROM access.my_account AS m)) AS has_mine
    FROM watch.handover_receipt AS v WHERE v.handover_id = h.id
) AS r ON true
WHERE h.written_at > %(now)s::timestamptz - interval '14 days'
ORDER BY h.written_at DESC
LIMIT 20
