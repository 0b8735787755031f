-- What can be changed of one account, as it is now; nobody else changes it until the transaction ends.
SELECT
    a.id, a.login, a.name_zh, a.name_en, a.roles, a.oidc_subject, a.disabled_at,
    ARRAY(SELECT r.area_code FROM access.account_area AS r WHERE r.account_id = a.id ORDER BY r.area_code) AS area_codes,
    ARRAY(SELECT r.site_id FROM access.account_site AS r WHERE r.account_id = a.id ORDER BY r.site_id) AS site_ids
FROM access.account AS a
WHERE a.id = %(account)s
FOR UPDATE OF a
