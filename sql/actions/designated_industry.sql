-- What the district's committee decides for an industry (duty.designate).
SELECT d.*
FROM duty.designate(
    %(industry)s, %(existing_rule)s, %(department)s, %(place_type_zh)s, %(place_type_en)s, %(near_rule)s, %(document_no)s, %(valid_from)s
) AS d
