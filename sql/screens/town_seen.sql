-- The town of a code, where there is one now and the caller sees it.
SELECT u.code FROM territory.unit AS u WHERE u.level = 'town' AND u.valid_to IS NULL AND u.code = %(code)s
