-- Why a cell has its colour: its highest sites, what each brings and what would lower it.
SELECT e.* FROM analysis.risk_cell_explained_at(coalesce(%(as_of)s::timestamptz, now()), %(code)s) AS e ORDER BY e.place
