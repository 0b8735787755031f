-- Since when each lens can be answered.
SELECT k.lens, k.known_since FROM analysis.known_since AS k
