-- What a shift hands over; its figures are counted as it is written.
INSERT INTO watch.handover (note, shift_from) VALUES (%(note)s, %(shift_from)s)
RETURNING id, written_at, written_by, figures
