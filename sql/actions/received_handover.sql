-- A handover received; no row where it is the caller's own, or not the caller's to read.
INSERT INTO watch.handover_receipt (handover_id)
SELECT h.id FROM watch.handover AS h
WHERE h.id = %(id)s AND h.written_by <> (SELECT m.login FROM access.my_account AS m)
RETURNING handover_id, received_by, received_at
