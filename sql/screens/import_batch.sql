-- One imported file.
SELECT * FROM analysis.import_batch AS b WHERE b.batch_id = %(batch)s;
