-- Why a site has its score: each term, largest first.
SELECT e.* FROM analysis.risk_explained_at(coalesce(%(as_of)s::timestamptz, now()), %(id)s) AS e
