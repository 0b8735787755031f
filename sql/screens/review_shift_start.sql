-- Since when the reader has not looked, and by what that is known.
SELECT s.since, s.basis FROM analysis.shift_start_at(%(now)s) AS s
