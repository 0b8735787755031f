-- What a report says of a batch before its rows: the file, the run, the account, the city.
SELECT b.*, c.name_zh AS city_zh, c.name_en AS city_en, c.timezone
FROM analysis.import_batch AS b LEFT JOIN territory.city AS c ON true
WHERE b.batch_id = %(batch_id)s;
