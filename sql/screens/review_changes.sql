-- What changed since the reader's last shift, newest first; at most so many rows, in_all says how many there are.
SELECT c.*, count(*) OVER (PARTITION BY c.change) AS in_all
FROM analysis.shift_change_between(%(since)s, %(now)s) AS c
ORDER BY c.at DESC, c.subject_id
LIMIT 200
