-- Scheduled imports.
SELECT * FROM analysis.import_feed AS f ORDER BY f.name;
