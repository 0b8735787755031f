-- What would lower a site's colour: the measures that are needed first.
SELECT m.* FROM analysis.risk_measures_at(coalesce(%(as_of)s::timestamptz, now()), %(id)s) AS m
